//! Looking at the checks of whole phases: viScripts one after the other or side by side, each with
//! what it found and what it cost.

use super::preflight::{Finding, Verdict, look_with};
use super::schedule::{Job, side_by_side};
use crate::checks::{CheckContext, Looker};
use crate::documents::batch::FailureHandling;
use crate::documents::viscript::NamedCheck;
use crate::journal::Record;
use crate::sys::Usage;
use crate::sys::usage::{Meter, Scope};

/// What the checks of one viScript came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The viScript's file name.
    pub script: String,
    /// One for each check, in their order.
    pub findings: Vec<Finding>,
    /// Wall time in milliseconds, and what was used.
    pub cost: (u64, Usage),
}

/// The checks of one phase.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// The phase's name.
    pub phase: &'a str,
    /// Whether the run can't do without it.
    pub required: bool,
    /// Whether its failure matters to what comes after.
    pub critical: bool,
    /// viScripts that are looked at together.
    pub at_once: u32,
    /// Name and checks of its viScripts.
    pub scripts: Vec<(&'a str, &'a [NamedCheck])>,
}

/// How checks are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Examiner<'a> {
    /// What they may look at.
    pub context: &'a CheckContext<'a>,
    /// What was found already: a check that is asked for again is not looked at again.
    pub known: &'a [Finding],
    /// What a failed phase means for those after it.
    pub handling: FailureHandling,
}

impl Looked {
    /// The verdicts counted, for the journal.
    #[must_use]
    pub fn record(&self) -> Record {
        let count = |verdicts: &[Verdict]| {
            let counted = self
                .findings
                .iter()
                .filter(|finding| verdicts.contains(&finding.verdict));
            u32::try_from(counted.count()).unwrap_or(u32::MAX)
        };
        Record::Checked {
            script: self.script.clone(),
            passed: count(&[Verdict::Pass]),
            failed: count(&[Verdict::Fail, Verdict::Unknown]),
            skipped: count(&[Verdict::Skip]),
            milliseconds: self.cost.0,
            usage: Some(self.cost.1.into()),
        }
    }
}

/// Looks at the checks of one viScript, in their order.
#[must_use]
pub fn look_at(script: &str, checks: &[NamedCheck], scope: Scope, by: &Examiner) -> Looked {
    let meter = Meter::start(scope);
    let mut looker = Looker::new(*by.context);
    let one = |check: &NamedCheck| {
        let known = by
            .known
            .iter()
            .find(|finding| finding.check.as_ref() == Some(&check.check));
        let mut finding = match known {
            Some(known) => known.clone(),
            None => look_with(&mut looker, check, Some(script)),
        };
        finding.required = check.required;
        finding
    };
    Looked {
        script: script.to_owned(),
        findings: checks.iter().map(one).collect(),
        cost: meter.read(),
    }
}

/// Looks at phases in their order. Where a phase fails that those after it can't do without, they
/// are not looked at, and say so.
#[must_use]
pub fn examine(groups: &[Group], by: &Examiner) -> Vec<Looked> {
    let mut all = Vec::new();
    let mut failed: Option<&str> = None;
    for group in groups {
        if let Some(failed) = failed {
            all.extend(
                group
                    .scripts
                    .iter()
                    .map(|(script, checks)| passed_over(script, checks, failed)),
            );
            continue;
        }
        let looked = examine_group(group, by);
        let blocks = looked
            .iter()
            .flat_map(|looked| &looked.findings)
            .any(Finding::blocks);
        let matters = match by.handling {
            FailureHandling::StopOnCritical => group.critical,
            FailureHandling::Continue => false,
            FailureHandling::Rollback => group.required,
        };
        failed = (blocks && matters).then_some(group.phase);
        all.extend(looked);
    }
    all
}

/// A phase that the run can do without never blocks it.
fn examine_group(group: &Group, by: &Examiner) -> Vec<Looked> {
    let limit = usize::try_from(group.at_once).unwrap_or(1);
    let scope = if limit > 1 {
        Scope::Thread
    } else {
        Scope::Process
    };
    let work = |index: usize| {
        let (script, checks) = group.scripts.get(index).copied().unwrap_or_default();
        let mut looked = look_at(script, checks, scope, by);
        for finding in &mut looked.findings {
            finding.required &= group.required || group.critical;
        }
        looked
    };
    let jobs = vec![Job::default(); group.scripts.len()];
    let looked = side_by_side(&jobs, limit, &work, &|_| true);
    looked.into_iter().flatten().collect()
}

fn passed_over(script: &str, checks: &[NamedCheck], failed: &str) -> Looked {
    let finding = |check: &NamedCheck| Finding {
        name: check.name.clone(),
        check: Some(check.check.clone()),
        viscript: Some(script.to_owned()),
        required: false,
        verdict: Verdict::Skip,
        detail: Some(format!("not looked at, because {failed} failed")),
        remedy: None,
    };
    Looked {
        script: script.to_owned(),
        findings: checks.iter().map(finding).collect(),
        cost: (0, Usage::default()),
    }
}
