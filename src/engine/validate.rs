//! Validation: the running new system proves that it is what the plan said.

use super::examine::{Examiner, Group, Looked, examine};
use super::home::Migration;
use super::preflight::{Finding, Verdict, look};
use super::{Error, Stage, rehearsal};
use crate::checks::CheckContext;
use crate::documents::plan::PlannedPhase;
use crate::documents::viscript::{NamedCheck, Stage as Moment};
use crate::documents::{CheckSpec, Plan};
use crate::journal::{Entry, Record};
use crate::sys::clock;

/// What is looked at whatever the batch asks for.
fn own_checks() -> Vec<NamedCheck> {
    let check = NamedCheck::required;
    vec![
        check("the layout is mounted", CheckSpec::LayoutMounted {}),
        check("fstab names the layout", CheckSpec::FstabNamesLayout {}),
        check(
            "the subvolumes are in place",
            CheckSpec::SubvolumesInPlace {},
        ),
        check("the boot loader agrees", CheckSpec::RootFlags {}),
        check("the next boot finds its way", CheckSpec::BootChain {}),
    ]
}

/// What a look at the running system came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// All findings, nothing twice.
    pub findings: Vec<Finding>,
    /// What the checks of each viScript that runs after the boot came to, for the journal.
    pub scripts: Vec<Looked>,
}

impl Validation {
    /// Whether all that has to be is as it should be.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !self.findings.iter().any(Finding::blocks)
    }
}

/// Looks at the running system: at what must always be, and at the phases after the boot.
#[must_use]
pub fn look_around(plan: &Plan, context: &CheckContext) -> Validation {
    let old_root = &plan.old_system.root;
    let context = &CheckContext {
        old_root,
        ..*context
    };
    let own = own_checks();
    let mut findings: Vec<Finding> = own.iter().map(|check| look(check, None, context)).collect();
    let by = Examiner {
        context,
        known: &findings,
        handling: plan.failure_handling,
    };
    let phases = eased(&plan.phases);
    let here = phases
        .iter()
        .filter(|phase| phase.stage == Moment::AfterBoot);
    let scripts = examine(&here.map(group).collect::<Vec<Group>>(), &by);
    for finding in scripts.iter().flat_map(|looked| &looked.findings) {
        if !findings.iter().any(|known| known.check == finding.check) {
            findings.push(finding.clone());
        }
    }
    Validation { findings, scripts }
}

/// Errors that the disk has counted are said and decide nothing: a read that was corrected has harmed
/// nobody, and the old system lies on the same disk.
fn eased(phases: &[PlannedPhase]) -> Vec<PlannedPhase> {
    let mut phases = phases.to_vec();
    let scripts = phases.iter_mut().flat_map(|phase| &mut phase.viscripts);
    for check in scripts.flat_map(|script| &mut script.checks) {
        check.required &= !matches!(check.check, CheckSpec::DeviceStatistics(_));
    }
    phases
}

fn group(phase: &PlannedPhase) -> Group<'_> {
    let scripts = phase.viscripts.iter();
    Group {
        phase: &phase.name,
        required: phase.required,
        critical: phase.critical,
        at_once: phase.at_once,
        scripts: scripts
            .map(|script| (script.name.as_str(), &script.checks[..]))
            .collect(),
    }
}

/// Records what the viScripts came to.
///
/// # Errors
/// When it could not be made durable.
pub fn record_all(migration: &mut Migration, scripts: &[Looked]) -> Result<(), Error> {
    scripts
        .iter()
        .try_for_each(|looked| migration.record(looked.record()))
}

/// Whether the journal ends with this verdict: who asks every hour is not to fill it.
fn says_the_same(entries: &[Entry], verdict: &[Record]) -> bool {
    let last = entries.iter().rev().zip(verdict.iter().rev());
    entries.len() >= verdict.len()
        && last
            .into_iter()
            .all(|(had, now)| is_alike(&had.record, now))
}

/// What it cost is never the same.
fn is_alike(one: &Record, other: &Record) -> bool {
    let came_to = |record: &Record| {
        let Record::Checked {
            script,
            passed,
            failed,
            skipped,
            ..
        } = record
        else {
            return None;
        };
        Some((script.clone(), *passed, *failed, *skipped))
    };
    one == other || came_to(one).is_some_and(|one| Some(one) == came_to(other))
}

/// Records the verdict when the new system is on trial, or in a rehearsal.
///
/// # Errors
/// When the boot chain can't be read, or a record could not be made durable.
pub fn conclude(
    migration: &mut Migration,
    validation: &Validation,
    context: &CheckContext,
) -> Result<(), Error> {
    let findings = &validation.findings;
    let blocking = findings.iter().filter(|finding| finding.blocks());
    let problems: Vec<String> = blocking.map(Finding::line).collect();
    let state = migration.state();
    let starts_anew = problems.is_empty() && rehearsal::came_to_nothing(state);
    if state.stage.is_validated() && !starts_anew {
        return rehearsal::conclude(migration, context, problems);
    }
    if state.stage != Stage::Committed && !starts_anew {
        return Ok(());
    }
    let verdict: Vec<Record> = validation.scripts.iter().map(Looked::record).collect();
    if !problems.is_empty() {
        let problems = Record::NotValidated { problems };
        let verdict = [verdict, vec![problems]].concat();
        return match says_the_same(migration.journal().entries(), &verdict) {
            true => Ok(()),
            false => verdict
                .into_iter()
                .try_for_each(|record| migration.record(record)),
        };
    }
    record_all(migration, &validation.scripts)?;
    let count = |verdict: Verdict| {
        let counted = findings
            .iter()
            .filter(|finding| finding.verdict == verdict)
            .count();
        u32::try_from(counted).unwrap_or(u32::MAX)
    };
    let (passed, failed) = (count(Verdict::Pass), count(Verdict::Fail));
    let at = Some(clock::unix_seconds());
    let loader_named_root = rehearsal::loader_named_root(migration.plan(), context);
    migration.record(Record::Validated {
        passed,
        failed,
        at,
        loader_named_root,
    })
}

#[cfg(test)]
mod tests {
    use super::eased;
    use crate::documents::plan::PlannedPhase;
    use serde_json::json;

    #[test]
    fn errors_that_the_disk_has_counted_take_no_system_back() {
        let phases = json!([{
            "name": "p", "stage": "after-boot", "required": true, "critical": true,
            "checkpoint_after": false, "at_once": 1, "viScripts": [{
                "name": "v", "risk_level": "low", "steps": [], "requires": [], "checks": [
                    { "name": "the disk", "check": { "device-statistics": { "at": "/" } } },
                    { "name": "the loader", "check": { "root-flags": {} } },
                ],
            }],
        }]);
        let phases: Vec<PlannedPhase> = serde_json::from_value(phases).unwrap();
        let eased = eased(&phases);
        let required = eased[0].viscripts[0].checks.iter();
        let required: Vec<bool> = required.map(|check| check.required).collect();
        assert_eq!(required, [false, true]);
    }
}
