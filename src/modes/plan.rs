//! `rootshift plan`.

use serde_json::{Value, json};

use super::{Error, conversions, session};
use crate::cli::{Exit, PlanOptions};
use crate::documents::Plan;
use crate::documents::plan::{After, KeptSubvolume};
use crate::documents::viscript::Stage;
use crate::report::print;

pub(super) fn run(options: &PlanOptions) -> Result<Exit, Error> {
    let (survey, bundle) = session::survey_to_plan(options.batch.as_deref())?;
    if bundle.batch.layout.to_be_made().next().is_some() {
        return conversions::plan(&survey, &bundle, options.json);
    }
    let plan = session::plan(&survey, &bundle, After::Reboot)?;
    if options.json {
        print::json(&as_json(&plan)?);
    } else {
        print_plan(&plan);
    }
    Ok(Exit::Success)
}

pub(super) fn as_json(plan: &Plan) -> Result<Value, Error> {
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
    for kept in &plan.kept {
        print::line(&stays(kept));
    }
    print_phases(plan, "now, before arming");
}

/// `Stays as it is: data at /srv/data, /data (/etc/fstab, line 5)`
fn stays(kept: &KeptSubvolume) -> String {
    let places: Vec<&str> = kept
        .mounted_at
        .iter()
        .chain(&kept.also_at)
        .map(String::as_str)
        .collect();
    let at = match places.is_empty() {
        true => String::new(),
        false => format!(" at {}", places.join(", ")),
    };
    format!(
        "Stays as it is: {}{at} ({})",
        kept.path,
        kept.named_by.join("; ")
    )
}

/// Its phases; those that look at the running system do so at this time.
pub(super) fn print_phases(plan: &Plan, at_arm: &str) {
    for phase in &plan.phases {
        let place = match phase.stage {
            Stage::Arm => at_arm,
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
}
