//! `rootshift run`: phases of a batch, by hand, where they belong.

use serde::Serialize;

use super::{Error, check, session};
use crate::cli::{Exit, Run};
use crate::documents::batch::Phase;
use crate::documents::json;
use crate::documents::library::Bundle;
use crate::engine::conversions;
use crate::engine::examine::Looked;
use crate::engine::home::Migration;
use crate::engine::preflight::Finding;
use crate::engine::run::{Ran, Runner, select};
use crate::engine::survey::Survey;
use crate::report::print;
use crate::report::progress::{Progress, for_terminal};

pub(super) fn run(options: &Run) -> Result<Exit, Error> {
    let survey = session::survey()?;
    let bundle = match (&options.batch, &options.viscript) {
        (Some(batch), None) => session::load(&survey.system, Some(batch))?,
        (None, Some(file)) => session::load_viscript(&survey.system, file)?,
        _ => {
            let what = "run: give --batch (and --phase), or --viscript";
            return Err(Error::Usage(what.into()));
        }
    };
    conversions::refuse(&bundle.batch.layout)?;
    let phases = select(&bundle, options.phase.as_deref())?;
    let mut migration = of_this_batch(&survey, &bundle)?;
    let context = survey.context(&bundle.batch.layout);
    let mut runner = Runner {
        bundle: &bundle,
        context: &context,
        migration: migration.as_mut(),
        alone: options.viscript.is_some(),
    };
    let mut progress = shown(&bundle, &phases);
    let mut all = Vec::new();
    for (index, phase) in phases.iter().enumerate() {
        progress.step(&phase.name, index + 1, &phase.viscripts.join(", "));
        let ran = runner.run(phase)?;
        progress.finish();
        if !options.json {
            tell(&ran);
        }
        let more = index + 1 < phases.len();
        let stops = ran.stops;
        let good = ran.is_good();
        all.push(ran);
        if stops || (more && good && !goes_on(options, &bundle, &phase.name)) {
            break;
        }
    }
    conclude(options, &bundle, &all)
}

/// Phases weigh as much as they have viScripts.
fn shown(bundle: &Bundle, phases: &[&Phase]) -> Progress {
    let wanted = bundle.batch.monitoring.unwrap_or_default();
    if !wanted.progress_tracking {
        return Progress::hidden();
    }
    let weight = |phase: &&Phase| u32::try_from(phase.viscripts.len()).unwrap_or(1);
    Progress::new(phases.iter().map(weight).collect(), for_terminal())
}

/// The migration that was armed with this batch, where there is one.
fn of_this_batch(survey: &Survey, bundle: &Bundle) -> Result<Option<Migration>, Error> {
    let Some(top) = survey.top.as_ref() else {
        return Ok(None);
    };
    let name = format!("{}_", bundle.batch.batch_name);
    let found = Migration::open(top)?;
    Ok(found.filter(|migration| migration.plan().batch_id.starts_with(&name)))
}

fn goes_on(options: &Run, bundle: &Bundle, phase: &str) -> bool {
    let asks = bundle.batch.interactive_checkpoints && !options.yes;
    let ends = bundle.batch.phases.iter();
    let mut ends = ends.filter(|one| one.checkpoint_after);
    !asks
        || !ends.any(|one| one.name == phase)
        || print::confirmed(&format!("Checkpoint {phase}. Go on?"))
}

fn tell(ran: &Ran) {
    let scripts = ran.looked.len();
    print::line(&format!(
        "{} ({scripts} viScripts, {} ms)",
        ran.phase, ran.milliseconds
    ));
    check::print_findings(&ran.findings);
    print::line("");
}

/// What `--json` prints. Thousands of findings: written as they are, with no tree in between.
#[derive(Serialize)]
struct Report<'a> {
    batch: &'a str,
    good: bool,
    phases: Vec<PhaseReport<'a>>,
}

#[derive(Serialize)]
struct PhaseReport<'a> {
    name: &'a str,
    good: bool,
    milliseconds: u64,
    findings: &'a [Finding],
    #[serde(rename = "viScripts")]
    viscripts: Vec<ScriptReport<'a>>,
}

#[derive(Serialize)]
struct ScriptReport<'a> {
    name: &'a str,
    milliseconds: u64,
    findings: &'a [Finding],
}

fn conclude(options: &Run, bundle: &Bundle, all: &[Ran]) -> Result<Exit, Error> {
    let good = all.iter().all(Ran::is_good);
    if options.json {
        let report = Report {
            batch: &bundle.batch.batch_name,
            good,
            phases: all.iter().map(of_phase).collect(),
        };
        let text = json::text(&report);
        let unprintable = |cause| Error::Usage(format!("cannot print JSON: {cause}"));
        print::compact_json(&text.map_err(unprintable)?);
    } else {
        print::line(if good {
            "All is well."
        } else {
            "Not well: see what is marked FAIL. Nothing was changed."
        });
    }
    Ok(if good { Exit::Success } else { Exit::NotWell })
}

fn of_phase(ran: &Ran) -> PhaseReport<'_> {
    PhaseReport {
        name: &ran.phase,
        good: ran.is_good(),
        milliseconds: ran.milliseconds,
        findings: &ran.findings,
        viscripts: ran.looked.iter().map(of_script).collect(),
    }
}

fn of_script(looked: &Looked) -> ScriptReport<'_> {
    ScriptReport {
        name: &looked.script,
        milliseconds: looked.cost.0,
        findings: &looked.findings,
    }
}
