//! `rootshift plan`.

use serde_json::{Value, json};

use super::{Error, session};
use crate::cli::{Exit, PlanOptions};
use crate::documents::Plan;
use crate::documents::plan::After;
use crate::documents::viscript::Stage;
use crate::engine::conversions::{self, PlannedConversion};
use crate::report::print;

pub(super) fn run(options: &PlanOptions) -> Result<Exit, Error> {
    let (survey, bundle) = session::survey_to_plan(options.batch.as_deref())?;
    let made = conversions::planned(&survey, &bundle.batch.layout)?;
    let plan = session::plan(&survey, &bundle, &made, After::Reboot)?;
    if options.json {
        print::json(&as_json(&plan, &made)?);
    } else {
        print_plan(&plan, &made);
    }
    let possible = made.iter().all(PlannedConversion::is_possible);
    Ok(if possible {
        Exit::Success
    } else {
        Exit::NotWell
    })
}

fn as_json(plan: &Plan, made: &[PlannedConversion]) -> Result<Value, Error> {
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
        if !made.is_empty() {
            object.insert("conversions".to_owned(), session::json(&made)?);
            object.insert("can_be_armed".to_owned(), Value::Bool(false));
        }
    }
    Ok(tree)
}

/// The plan as people read it; what comes before its steps first.
pub(super) fn print_plan(plan: &Plan, made: &[PlannedConversion]) {
    print::line(&format!(
        "Layout: {}",
        session::layout_in_words(&plan.layout)
    ));
    for one in made {
        print::line("");
        for line in conversions::lines(one) {
            print::line(&line);
        }
        for obstacle in &one.obstacles {
            print::line(&format!("{} {obstacle}", print::mark(false)));
        }
    }
    for phase in &plan.phases {
        let place = match phase.stage {
            Stage::Arm if !made.is_empty() => "in the running system, once that is done",
            Stage::Arm => "now, before arming",
            Stage::Initramfs => "in the initramfs, before root is mounted",
            Stage::AfterBoot => "in the new system, after the boot",
        };
        print::line(&format!("\n{} ({place})", phase.name));
        for script in &phase.viscripts {
            let risk = script.risk_level.name();
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
    if !made.is_empty() {
        print::line(
            "Not supported yet: this version plans the conversion and can't carry it out; `check` \
             and `arm` refuse this batch.",
        );
    }
}
