//! Running phases of a batch by hand: those that only look, in the system that they look at.

use super::Error;
use super::examine::{Examiner, Looked};
use super::home::Migration;
use super::preflight::{Finding, examine_phases, preflight_of};
use super::validate::record_all;
use crate::checks::CheckContext;
use crate::documents::batch::{FailureHandling, Phase};
use crate::documents::library::Bundle;
use crate::documents::order;
use crate::documents::viscript::Stage;
use crate::journal::Record;
use crate::sys::clock;

/// What came of a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its name.
    pub phase: String,
    /// All findings, nothing twice.
    pub findings: Vec<Finding>,
    /// The same for each viScript.
    pub looked: Vec<Looked>,
    /// Wall time.
    pub milliseconds: u64,
    /// Whether the batch ends here.
    pub stops: bool,
}

impl Ran {
    /// Whether nothing stands in the way.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !self.findings.iter().any(Finding::blocks)
    }
}

/// What a run has at hand.
#[derive(Debug)]
pub struct Runner<'a> {
    /// The batch.
    pub bundle: &'a Bundle,
    /// The running system.
    pub context: &'a CheckContext<'a>,
    /// The migration that was armed with this batch; its journal takes the results.
    pub migration: Option<&'a mut Migration>,
    /// Whether the documents' checks are looked at alone, without rootshift's own.
    pub alone: bool,
}

/// The phases that are meant: the one of this name, or all that run in a mounted system.
///
/// # Errors
/// When the order of the batch is not sound, or there is no such phase.
pub fn select<'a>(bundle: &'a Bundle, wanted: Option<&str>) -> Result<Vec<&'a Phase>, Error> {
    let problems = order::problems(&bundle.batch, |name| bundle.viscript(name));
    if let Some(problem) = problems.first() {
        return Err(Error::Unresolved(problem.to_string()));
    }
    let phases = &bundle.batch.phases;
    let Some(wanted) = wanted else {
        return Ok(phases.iter().collect());
    };
    match phases.iter().find(|phase| phase.name == wanted) {
        Some(phase) => Ok(vec![phase]),
        None => {
            let names: Vec<&str> = phases.iter().map(|phase| phase.name.as_str()).collect();
            Err(Error::Unresolved(format!(
                "there is no phase {wanted} in the batch; there are {}",
                names.join(", ")
            )))
        }
    }
}

impl Runner<'_> {
    /// Runs a phase, and records what came of it where a journal waits for it.
    ///
    /// # Errors
    /// When it does not belong into this system, or the journal can't be written.
    pub fn run(&mut self, phase: &Phase) -> Result<Ran, Error> {
        let stage = self.stage(phase);
        self.belongs_here(phase, stage)?;
        let began = clock::monotonic_milliseconds();
        let mut ran = match stage {
            Stage::Arm if !self.alone => self.before(phase),
            _ => self.looked(phase, stage),
        };
        ran.milliseconds = clock::monotonic_milliseconds().saturating_sub(began);
        let matters = match self.bundle.batch.failure_handling {
            FailureHandling::StopOnCritical => phase.critical,
            FailureHandling::Continue => false,
            FailureHandling::Rollback => phase.required,
        };
        ran.stops = matters && !ran.is_good();
        self.record(phase, &ran)?;
        Ok(ran)
    }

    fn stage(&self, phase: &Phase) -> Stage {
        let first = phase.viscripts.first();
        let script = first.and_then(|name| self.bundle.viscript(name));
        script.map_or(Stage::Arm, |script| script.kind.stage())
    }

    fn new_system_is_root(&self) -> bool {
        let migration = self.migration.as_ref();
        migration.is_some_and(|migration| migration.state().stage.new_system_is_root())
    }

    fn belongs_here(&self, phase: &Phase, stage: Stage) -> Result<(), Error> {
        let name = &phase.name;
        let batch = &self.bundle.batch.batch_name;
        match stage {
            Stage::Initramfs => Err(Error::NotNow(format!(
                "phase {name} works on a root that is not mounted: `rootshift arm --batch {batch}` \
                 and a reboot carry it out"
            ))),
            Stage::Arm if self.new_system_is_root() => Err(Error::NotNow(format!(
                "phase {name} belongs to the old system, and the new one is root"
            ))),
            _ => Ok(()),
        }
    }

    fn before(&self, phase: &Phase) -> Ran {
        let found = preflight_of(self.bundle, std::slice::from_ref(phase), self.context);
        of(phase, found.findings, found.scripts)
    }

    fn looked(&self, phase: &Phase, stage: Stage) -> Ran {
        let by = Examiner {
            context: self.context,
            known: &[],
            handling: self.bundle.batch.failure_handling,
        };
        let phases = std::slice::from_ref(phase);
        let looked = examine_phases(self.bundle, phases, stage, &by);
        let findings = looked.iter().flat_map(|looked| looked.findings.clone());
        of(phase, findings.collect(), looked)
    }

    /// What was looked at before arming is recorded by arming.
    fn record(&mut self, phase: &Phase, ran: &Ran) -> Result<(), Error> {
        if !self.new_system_is_root() {
            return Ok(());
        }
        let Some(migration) = self.migration.as_mut() else {
            return Ok(());
        };
        record_all(migration, &ran.looked)?;
        if phase.checkpoint_after && ran.is_good() {
            let phase = phase.name.clone();
            migration.record(Record::Checkpoint { phase })?;
        }
        Ok(())
    }
}

fn of(phase: &Phase, findings: Vec<Finding>, looked: Vec<Looked>) -> Ran {
    Ran {
        phase: phase.name.clone(),
        findings,
        looked,
        milliseconds: 0,
        stops: false,
    }
}
