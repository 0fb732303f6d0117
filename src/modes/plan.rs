//! `rootshift plan`.

use serde_json::{Value, json};

use super::{Error, session};
use crate::cli::{Exit, PlanOptions};
use crate::documents::Plan;
use crate::documents::plan::After;
use crate::documents::viscript::{RiskLevel, Stage};
use crate::report::print;

pub(super) fn run(options: &PlanOptions) -> Result<Exit, Error> {
    let (survey, bundle) = session::survey_for(options.batch.as_deref())?;
    let plan = session::plan(&survey, &bundle, After::Reboot)?;
    if options.json {
        print::json(&as_json(&plan)?);
    } else {
        print_plan(&plan);
    }
    Ok(Exit::Success)
}

fn as_json(plan: &Plan) -> Result<Value, Error> {
    let mut steps = Vec::new();
    for step in plan.steps() {
        steps.push(json!({
            "id": step.id,
            "kind": step.action.kind(),
            "after_commit": step.action.runs_after_commit(),
            "do": session::json(&step.action)?,
        }));
    }
    let mut tree = session::json(plan)?;
    if let Some(object) = tree.as_object_mut() {
        object.insert("steps".to_owned(), Value::Array(steps));
    }
    Ok(tree)
}

/// The plan as people read it.
pub(super) fn print_plan(plan: &Plan) {
    print::line(&format!(
        "Layout: {}",
        session::layout_in_words(&plan.layout)
    ));
    for phase in &plan.phases {
        let place = match phase.stage {
            Stage::Arm => "now, before arming",
            Stage::Initramfs => "in the initramfs, before root is mounted",
            Stage::AfterBoot => "in the new system, after the boot",
        };
        print::line(&format!("\n{} ({place})", phase.name));
        for script in &phase.viscripts {
            let risk = match script.risk_level {
                RiskLevel::Low => "low",
                RiskLevel::Medium => "medium",
                RiskLevel::High => "high",
            };
            let (steps, checks) = (script.steps.len(), script.checks.len());
            print::line(&format!(
                "  {} [{risk}]: {steps} steps, {checks} checks",
                script.name
            ));
            for step in &script.steps {
                let after = if step.action.runs_after_commit() {
                    "  (after the commit)"
                } else {
                    ""
                };
                print::line(&format!("    {}{after}", step.id));
            }
        }
    }
    let steps = plan.steps().len();
    print::line(&format!(
        "\n{steps} steps; none of them copies data, so the time does not depend on its amount. \
         The old system stays whole until `rootshift finalize`."
    ));
}
