//! Validation: the running new system proves that it is what the plan said.

use super::home::Migration;
use super::preflight::{Finding, Verdict, look, tally};
use super::{Error, Stage};
use crate::checks::CheckContext;
use crate::documents::viscript::{NamedCheck, Stage as Moment};
use crate::documents::{CheckSpec, Plan};
use crate::journal::Record;
use crate::sys::{Usage, clock};

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

/// Looks at the running system. Changes nothing.
#[must_use]
pub fn findings(plan: &Plan, context: &CheckContext) -> Vec<Finding> {
    let own = own_checks();
    let mut findings: Vec<Finding> = own.iter().map(|check| look(check, None, context)).collect();
    for phase in plan
        .phases
        .iter()
        .filter(|phase| phase.stage == Moment::AfterBoot)
    {
        for script in &phase.viscripts {
            for check in &script.checks {
                if own.iter().any(|own| own.check == check.check) {
                    continue;
                }
                let mut finding = look(check, Some(&script.name), context);
                finding.required &= phase.required;
                findings.push(finding);
            }
        }
    }
    findings
}

/// What the checks of each viScript of a stage came to. They are looked at together: the time
/// and the cost are those of all of them, told once.
///
/// # Errors
/// When it could not be made durable.
pub fn record_tallies(
    migration: &mut Migration,
    stage: Moment,
    findings: &[Finding],
    cost: (u64, Usage),
) -> Result<(), Error> {
    let plan = migration.plan().clone();
    let phases = plan.phases.iter().filter(|phase| phase.stage == stage);
    let mut left = cost;
    for script in phases.flat_map(|phase| &phase.viscripts) {
        let took = std::mem::take(&mut left);
        migration.record(tally(&script.name, &script.checks, findings, took))?;
    }
    Ok(())
}

/// Records the verdict, and what it cost to find, when the new system is on trial.
///
/// # Errors
/// When it could not be made durable.
pub fn conclude(
    migration: &mut Migration,
    findings: &[Finding],
    cost: (u64, Usage),
) -> Result<(), Error> {
    if migration.state().stage != Stage::Committed {
        return Ok(());
    }
    record_tallies(migration, Moment::AfterBoot, findings, cost)?;
    let problems: Vec<String> = findings
        .iter()
        .filter(|finding| finding.blocks())
        .map(Finding::line)
        .collect();
    if !problems.is_empty() {
        return migration.record(Record::NotValidated { problems });
    }
    let count = |verdict: Verdict| {
        let counted = findings
            .iter()
            .filter(|finding| finding.verdict == verdict)
            .count();
        u32::try_from(counted).unwrap_or(u32::MAX)
    };
    let (passed, failed) = (count(Verdict::Pass), count(Verdict::Fail));
    let at = Some(clock::unix_seconds());
    migration.record(Record::Validated { passed, failed, at })
}
