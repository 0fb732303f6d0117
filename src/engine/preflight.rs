//! Looking before anything is done: every blocker at once, each with its remedy.

use serde::Serialize;

use super::circumstances;
use super::examine::{Examiner, Group, Looked, examine};
use crate::checks::{self, CheckContext, Looker, Outcome};
use crate::documents::batch::Phase;
use crate::documents::check::{Names, SpaceParameters};
use crate::documents::library::Bundle;
use crate::documents::viscript::{NamedCheck, Stage};
use crate::documents::{Batch, CheckSpec, ViScript};

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name.
    pub name: String,
    /// What was looked at; `None` for what no check of the documents looks at.
    #[serde(skip)]
    pub check: Option<CheckSpec>,
    /// The viScript that asked for it; `None` for rootshift's own.
    #[serde(rename = "viScript", skip_serializing_if = "Option::is_none")]
    pub viscript: Option<String>,
    /// Whether its failure stops the run.
    pub required: bool,
    /// What was found.
    pub verdict: Verdict,
    /// What is wrong, or why it was skipped or could not look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// The four outcomes of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// Looked, and it is wrong.
    Fail,
    /// Nothing to look at.
    Skip,
    /// Could not look.
    Unknown,
}

impl Finding {
    /// Whether it stops the run.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.required && matches!(self.verdict, Verdict::Fail | Verdict::Unknown)
    }

    /// One line: what and the remedy.
    #[must_use]
    pub fn line(&self) -> String {
        let detail = self.detail.as_deref().unwrap_or("as it should be");
        match &self.remedy {
            Some(remedy) => format!("{}: {detail}; {remedy}", self.name),
            None => format!("{}: {detail}", self.name),
        }
    }
}

/// Looks, and puts what it found into words.
#[must_use]
pub fn look(check: &NamedCheck, viscript: Option<&str>, context: &CheckContext) -> Finding {
    look_with(&mut Looker::new(*context), check, viscript)
}

/// As [`look`], one of many checks at one moment.
pub(super) fn look_with(
    looker: &mut Looker,
    check: &NamedCheck,
    viscript: Option<&str>,
) -> Finding {
    Finding {
        check: Some(check.check.clone()),
        viscript: viscript.map(str::to_owned),
        required: check.required,
        ..finding(&check.name, looker.look(&check.check))
    }
}

/// What a look came to, in words; required.
pub(super) fn finding(name: &str, looked: Result<Outcome, checks::Error>) -> Finding {
    let (verdict, detail, remedy) = match looked {
        Ok(Outcome::Pass) => (Verdict::Pass, None, None),
        Ok(Outcome::Fail { problem, remedy }) => (Verdict::Fail, Some(problem), Some(remedy)),
        Ok(Outcome::Skip(why)) => (Verdict::Skip, Some(why), None),
        Err(error) => (
            Verdict::Unknown,
            Some(format!("could not look: {error}")),
            None,
        ),
    };
    let why = detail.as_deref().unwrap_or_default();
    log::debug!("check {name}: {verdict:?} {why}");
    Finding {
        name: name.to_owned(),
        check: None,
        viscript: None,
        required: true,
        verdict,
        detail,
        remedy,
    }
}

/// What every migration is held against, whatever its batch asks for. Cheap ones first; where the
/// root is no flat btrfs the others would only repeat it.
#[must_use]
pub fn own_checks() -> Vec<NamedCheck> {
    let check = NamedCheck::required;
    vec![
        check("the root can be moved", CheckSpec::FlatBtrfsRoot {}),
        check("names are free", CheckSpec::NamesFree {}),
        check(
            "nested subvolumes can be carried over",
            CheckSpec::NestedSubvolumes {},
        ),
        check(
            "there is room",
            CheckSpec::FreeSpace(SpaceParameters::default()),
        ),
        check("no hibernated system", CheckSpec::NoHibernationImage {}),
        check("nothing is immutable", CheckSpec::NothingImmutable {}),
        check("no swap file", CheckSpec::NoSwapFile {}),
        check("GRUB can be switched", CheckSpec::BootLoader {}),
        check("initramfs-tools", CheckSpec::InitramfsTools {}),
        check("no hard link is cut", CheckSpec::NoStraddlingLinks {}),
    ]
}

/// Checks that follow from what the batch requires of the machine.
fn required_by(batch: &Batch) -> Vec<NamedCheck> {
    let requirements = &batch.dependencies.system_requirements;
    let mut checks = Vec::new();
    let mut add = |name: &str, check: CheckSpec| {
        checks.push(NamedCheck::required(name, check));
    };
    if let Some(minimum) = requirements.min_memory {
        add("enough memory (min_memory)", CheckSpec::Memory { minimum });
    }
    if let Some(minimum) = requirements.min_disk_space {
        add(
            "min_disk_space",
            CheckSpec::FreeSpace(SpaceParameters::at_least(minimum)),
        );
    }
    if !requirements.required_filesystems.is_empty() {
        let names = Names::all(&requirements.required_filesystems);
        add(
            "the kernel knows the file systems (required_filesystems)",
            CheckSpec::KernelFilesystems(names),
        );
    }
    if !requirements.required_commands.is_empty() {
        let names = Names::all(&requirements.required_commands);
        add(
            "programs are installed (required_commands)",
            CheckSpec::Commands(names),
        );
    }
    checks
}

/// What was found before a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// All of it, nothing twice.
    pub findings: Vec<Finding>,
    /// What the checks of each viScript that runs now came to, for the journal.
    pub scripts: Vec<Looked>,
}

impl Preflight {
    /// Whether the root is none that can be moved: all else would only repeat that.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|one| one.blocks() && one.check == Some(CheckSpec::FlatBtrfsRoot {}))
    }

    /// Whether something stands in the way.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.findings.iter().any(Finding::blocks)
    }
}

/// All findings before a migration.
#[must_use]
pub fn preflight(bundle: &Bundle, context: &CheckContext) -> Preflight {
    preflight_of(bundle, &bundle.batch.phases, context)
}

/// The same for these phases of the batch alone.
#[must_use]
pub fn preflight_of(bundle: &Bundle, phases: &[Phase], context: &CheckContext) -> Preflight {
    let mut findings = Vec::new();
    let mut scripts = Vec::new();
    for check in own_checks() {
        let finding = look(&check, None, context);
        let hopeless = finding.blocks() && check.check == CheckSpec::FlatBtrfsRoot {};
        findings.push(finding);
        if hopeless {
            return Preflight { findings, scripts };
        }
    }
    let required = required_by(&bundle.batch);
    findings.push(finding("rootshift stays", checks::installed(context)));
    let starts = checks::validation_starts(context);
    findings.push(finding("the new system will be validated", starts));
    findings.extend(required.iter().map(|check| look(check, None, context)));
    findings.extend(circumstances::findings(&bundle.batch, context));
    for (name, script) in &bundle.viscripts {
        findings.extend(programs_for(name, script, context));
    }
    for looked in at_arm(bundle, phases, context, &findings) {
        let fresh = |finding: &&Finding| !findings.iter().any(|known| known.check == finding.check);
        let fresh: Vec<Finding> = looked.findings.iter().filter(fresh).cloned().collect();
        findings.extend(fresh);
        scripts.push(looked);
    }
    Preflight { findings, scripts }
}

fn programs_for(name: &str, script: &ViScript, context: &CheckContext) -> Option<Finding> {
    let names = Names::all(&script.prerequisites.required_commands);
    if names.names.is_empty() {
        return None;
    }
    let check = NamedCheck::required(format!("programs for {name}"), CheckSpec::Commands(names));
    Some(look(&check, None, context))
}

/// The phases that run in the old system.
fn at_arm(
    bundle: &Bundle,
    phases: &[Phase],
    context: &CheckContext,
    known: &[Finding],
) -> Vec<Looked> {
    let by = Examiner {
        context,
        known,
        handling: bundle.batch.failure_handling,
    };
    examine_phases(bundle, phases, Stage::Arm, &by)
}

/// Looks at those of these phases that run at this stage.
#[must_use]
pub fn examine_phases(
    bundle: &Bundle,
    phases: &[Phase],
    stage: Stage,
    by: &Examiner,
) -> Vec<Looked> {
    let groups: Vec<Group> = phases
        .iter()
        .map(|phase| group(bundle, phase, stage))
        .collect();
    examine(&groups, by)
}

fn group<'a>(bundle: &'a Bundle, phase: &'a Phase, stage: Stage) -> Group<'a> {
    let named = |name: &String| bundle.viscripts.iter().find(|(known, _)| known == name);
    let here = phase.viscripts.iter().filter_map(named);
    let here = here.filter(|(_, script)| script.kind.stage() == stage);
    Group {
        phase: &phase.name,
        required: phase.required,
        critical: phase.critical,
        at_once: bundle.batch.at_once(phase),
        scripts: here
            .map(|(name, script)| (name.as_str(), &script.checks[..]))
            .collect(),
    }
}
