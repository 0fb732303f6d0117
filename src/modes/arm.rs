//! `rootshift arm`.

use serde_json::json;

use super::{Error, check, plan, renew, session};
use crate::cli::{Arm, Exit};
use crate::documents::Plan;
use crate::documents::library::Bundle;
use crate::documents::plan::After;
use crate::documents::viscript::Stage;
use crate::engine::arming;
use crate::engine::home::Migration;
use crate::engine::preflight::{Preflight, Verdict};
use crate::engine::situation;
use crate::engine::survey::Survey;
use crate::engine::transition::{Act, Book, Event, Images, Seen, Situation, ask};
use crate::engine::validate::record_all;
use crate::journal::Record;
use crate::report::print;
use crate::report::progress::{Progress, for_terminal};
use crate::sys::Root;

pub(super) fn run(options: &Arm) -> Result<Exit, Error> {
    if options.renew {
        return renew::run(options);
    }
    let after = after(options.after.as_deref())?;
    let (survey, bundle) = session::survey_for(options.batch.as_deref())?;
    let top = session::top(&survey)?;
    acts(&survey, top)?;
    let mut progress = shown(&bundle);
    progress.step("arm", 1, "looking at the machine");
    let (found, planned) = session::look_ahead(&survey, &bundle, after)?;
    progress.finish();
    let (false, Some(mut planned)) = (found.blocks(), planned) else {
        if options.json {
            let findings = session::json(&found.findings)?;
            print::json(&json!({ "armed": false, "findings": findings }));
        } else {
            check::print_findings(&found.findings);
        }
        print::error("not armed: mend what is marked FAIL. Nothing was changed");
        return Ok(Exit::NotWell);
    };
    if !options.json {
        plan::print_plan(&planned);
    }
    if options.yes {
        planned.interactive = None; // the answer is yes at every checkpoint
    } else if !agreed(&planned, &found) {
        print::error("not armed; nothing was changed");
        return Ok(Exit::NotNow);
    }
    let acts = acts(&survey, top)?; // somebody may have armed while this waited for an answer
    progress.step("arm", 2, "building and verifying every initramfs");
    let mut migration = arming::arm(
        &survey.system,
        top,
        &planned,
        env!("CARGO_PKG_VERSION"),
        &acts,
    )?;
    progress.finish();
    record_all(&mut migration, &found.scripts)?;
    for phase in checkpoints(&planned) {
        migration.record(Record::Checkpoint { phase })?;
    }
    let images: Vec<&str> = migration
        .state()
        .images
        .iter()
        .map(|image| image.name.as_str())
        .collect();
    if options.json {
        let digest = &migration.frozen.digest;
        print::json(&json!({ "batch_id": planned.batch_id, "plan": digest, "images": images }));
    } else {
        print::line(&format!("\nArmed: {}.", images.join(", ")));
        print::line("Reboot to migrate; `rootshift disarm` takes it back.");
    }
    Ok(Exit::Success)
}

/// What arming takes in the state that the journal is in.
fn acts(survey: &Survey, top: &Root) -> Result<Vec<Act>, Error> {
    let now = match Migration::open(top)? {
        Some(migration) => situation::without_images(survey, top, &migration),
        None => Situation {
            book: Book::Missing,
            images: Images::Unknown,
            offered: false,
            running: Seen::Unknown,
            loader_agrees: true,
            old_is_there: true,
        },
    };
    Ok(ask(&now, Event::Arm)?)
}

/// Looking takes a moment, the images take most of the time.
fn shown(bundle: &Bundle) -> Progress {
    if bundle
        .batch
        .monitoring
        .unwrap_or_default()
        .progress_tracking
    {
        Progress::new(vec![1, 9], for_terminal())
    } else {
        Progress::hidden()
    }
}

/// Phases that end here, in the old system, with a checkpoint.
fn checkpoints(plan: &Plan) -> Vec<String> {
    let here = plan.phases.iter().filter(|phase| phase.stage == Stage::Arm);
    let ends = here.filter(|phase| phase.checkpoint_after);
    ends.map(|phase| phase.name.clone()).collect()
}

/// Asks at each interactive checkpoint, and once for all.
fn agreed(plan: &Plan, found: &Preflight) -> bool {
    let count = |verdict| {
        let counted = found
            .findings
            .iter()
            .filter(|finding| finding.verdict == verdict);
        counted.count()
    };
    let (passed, skipped) = (count(Verdict::Pass), count(Verdict::Skip));
    let good = |phase: &String| {
        print::confirmed(&format!(
            "\nCheckpoint {phase}: {passed} checks passed, {skipped} skipped. Go on?"
        ))
    };
    (plan.interactive.is_none() || checkpoints(plan).iter().all(good))
        && print::confirmed("\nArm this plan? The next boot carries it out.")
}

fn after(text: Option<&str>) -> Result<After, Error> {
    match text {
        None | Some("reboot") => Ok(After::Reboot),
        Some("continue") => Ok(After::Continue),
        Some(other) => Err(Error::Usage(format!(
            "--after {other}: there is only `reboot` and `continue`"
        ))),
    }
}
