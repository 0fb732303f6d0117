//! Looking before anything is done: every blocker at once, each with its remedy.

use serde::Serialize;

use crate::checks::{self, CheckContext, Outcome};
use crate::documents::check::{Names, SpaceParameters};
use crate::documents::library::Bundle;
use crate::documents::viscript::{NamedCheck, Stage};
use crate::documents::{Batch, CheckSpec, ViScript};
use crate::journal::Record;

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name.
    pub name: String,
    /// What was looked at.
    #[serde(skip)]
    pub check: CheckSpec,
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
    let (verdict, detail, remedy) = match checks::look(&check.check, context) {
        Ok(Outcome::Pass) => (Verdict::Pass, None, None),
        Ok(Outcome::Fail { problem, remedy }) => (Verdict::Fail, Some(problem), Some(remedy)),
        Ok(Outcome::Skip(why)) => (Verdict::Skip, Some(why), None),
        Err(error) => (
            Verdict::Unknown,
            Some(format!("could not look: {error}")),
            None,
        ),
    };
    Finding {
        name: check.name.clone(),
        check: check.check.clone(),
        viscript: viscript.map(str::to_owned),
        required: check.required,
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
        check("the root is a flat btrfs", CheckSpec::FlatBtrfsRoot {}),
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
        add(
            "enough memory (min_memory)",
            CheckSpec::Memory(SpaceParameters::at_least(minimum)),
        );
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

/// All findings before a migration.
#[must_use]
pub fn preflight(bundle: &Bundle, context: &CheckContext) -> Vec<Finding> {
    let mut findings = Vec::new();
    for check in own_checks() {
        let finding = look(&check, None, context);
        let hopeless = finding.blocks() && check.check == CheckSpec::FlatBtrfsRoot {};
        findings.push(finding);
        if hopeless {
            return findings;
        }
    }
    let required = required_by(&bundle.batch);
    findings.extend(required.iter().map(|check| look(check, None, context)));
    for (name, script) in &bundle.viscripts {
        findings.extend(of_viscript(name, script, context));
    }
    findings
}

fn of_viscript(name: &str, script: &ViScript, context: &CheckContext) -> Vec<Finding> {
    let mut findings = Vec::new();
    let commands = &script.prerequisites.required_commands;
    if !commands.is_empty() {
        let check = CheckSpec::Commands(Names::all(commands));
        let check = NamedCheck::required(format!("programs for {name}"), check);
        findings.push(look(&check, None, context));
    }
    if script.kind.stage() == Stage::Arm {
        let own = own_checks();
        let fresh = |check: &&NamedCheck| !own.iter().any(|own| own.check == check.check);
        let looked = script
            .checks
            .iter()
            .filter(fresh)
            .map(|check| look(check, Some(name), context));
        findings.extend(looked);
    }
    findings
}

/// What a viScript's checks came to, for the journal. A check that several ask for is looked at
/// once and counts for each.
#[must_use]
pub fn tally(
    script: &str,
    checks: &[NamedCheck],
    findings: &[Finding],
    milliseconds: u64,
) -> Record {
    let found = |check: &NamedCheck| findings.iter().find(|finding| finding.check == check.check);
    let count = |verdicts: &[Verdict]| {
        let verdict = checks
            .iter()
            .filter_map(|check| Some(found(check)?.verdict));
        let counted = verdict.filter(|verdict| verdicts.contains(verdict)).count();
        u32::try_from(counted).unwrap_or(u32::MAX)
    };
    Record::Checked {
        script: script.to_owned(),
        passed: count(&[Verdict::Pass]),
        failed: count(&[Verdict::Fail, Verdict::Unknown]),
        skipped: count(&[Verdict::Skip]),
        milliseconds,
    }
}
