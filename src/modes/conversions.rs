//! `rootshift plan` of a batch with a file system that is no btrfs yet.

use serde_json::Value;

use super::{Error, plan as plans, session};
use crate::cli::{Exit, PlanOptions};
use crate::documents::Plan;
use crate::documents::library::Bundle;
use crate::documents::plan::{After, OtherFilesystem};
use crate::engine::conversions::{PlannedConversion, lines, planned};
use crate::engine::resolve::resolve;
use crate::engine::survey::Survey;
use crate::report::print;

pub(super) fn run(options: &PlanOptions) -> Result<Exit, Error> {
    let (survey, bundle) = session::survey_to_plan(options.batch.as_deref())?;
    plan(&survey, &bundle, options.json)
}

/// Prints what comes before the plan's steps, and the plan on what there is then.
pub(super) fn plan(survey: &Survey, bundle: &Bundle, json: bool) -> Result<Exit, Error> {
    let made = planned(survey, &bundle.batch.layout)?;
    let mut root = None;
    let mut others = session::others(survey)?;
    for one in &made {
        let (identity, old_system) = (one.identity.clone(), one.old_system.clone());
        if one.mounted_at == "/" {
            root = Some((identity, old_system));
        } else {
            let mounted_at = one.mounted_at.clone();
            others.push(OtherFilesystem {
                mounted_at,
                identity,
                old_system,
            });
        }
    }
    let root = match root {
        Some(root) => root,
        None => session::root(survey)?,
    };
    let machine = session::machine(survey, root, others)?;
    let plan = resolve(bundle, machine, After::Reboot)?;
    if json {
        let mut tree = plans::as_json(&plan)?;
        if let Some(object) = tree.as_object_mut() {
            object.insert("conversions".to_owned(), session::json(&made)?);
            object.insert("can_be_armed".to_owned(), Value::Bool(false));
        }
        print::json(&tree);
    } else {
        show(&plan, &made);
    }
    Ok(if made.iter().all(PlannedConversion::is_possible) {
        Exit::Success
    } else {
        Exit::NotWell
    })
}

fn show(plan: &Plan, made: &[PlannedConversion]) {
    let layout = session::layout_in_words(&plan.layout);
    print::line(&format!("Layout: {layout}"));
    for one in made {
        print::line("");
        for line in lines(one) {
            print::line(&line);
        }
        for obstacle in &one.obstacles {
            print::line(&format!("{} {obstacle}", print::mark(false)));
        }
    }
    plans::print_phases(plan, "in the running system, once that is done");
    print::line(
        "Not supported yet: this version plans the conversion and can't carry it out; `check` and \
         `arm` refuse this batch.",
    );
}
