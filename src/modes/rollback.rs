//! `rootshift rollback`.

use serde_json::json;

use super::{Error, emergency, session};
use crate::cli::{Exit, Rollback};
use crate::engine::home::Migration;
use crate::engine::rollback::{WayBack, return_to, way_back};
use crate::engine::situation;
use crate::engine::transition::{Act, Event, Situation, ask};
use crate::engine::{self, Hands, Stage, carry_out};
use crate::report::print;
use crate::sys::Root;

pub(super) fn run(options: &Rollback) -> Result<Exit, Error> {
    if let Some(seconds) = options.emergency {
        return emergency::run(seconds);
    }
    let survey = session::survey()?;
    let top = session::top(&survey)?;
    let mut migration = session::migration_with_others(top)?;
    if let Some(phase) = &options.to
        && way_back(&migration, phase)? == WayBack::Nothing
    {
        say(options, "nothing was changed since that checkpoint");
        return Ok(Exit::Success);
    }
    let event = match options.to {
        Some(_) => Event::ReturnTo,
        None => Event::Rollback,
    };
    let now = situation::of(&survey, top, &migration);
    let acts = ask(&now, event).map_err(|refusal| nowhere(top, &migration, &now, refusal))?;
    let outcome = Outcome::of(&acts);
    if let Some(question) = outcome.question()
        && !options.yes
        && !print::confirmed(question)
    {
        print::error("nothing was changed");
        return Ok(Exit::NotNow);
    }
    let reason = match &options.to {
        Some(phase) => format!("asked for by hand, to the checkpoint {phase}"),
        None => "asked for by hand".into(),
    };
    let (mine, others): (Vec<Act>, Vec<Act>) =
        acts.into_iter().partition(|act| *act == Act::ReturnTo);
    let mut hands = Hands {
        system: &survey.system,
        top,
        migration: &mut migration,
        reason: &reason,
    };
    carry_out(&others, &mut hands)?;
    if let (Some(phase), Some(_)) = (&options.to, mine.first()) {
        return_to(top, &mut migration, phase)?;
    }
    say(options, outcome.words());
    Ok(Exit::Success)
}

/// What is not there to go back to is named.
fn nowhere(
    top: &Root,
    migration: &Migration,
    now: &Situation,
    refusal: engine::Error,
) -> engine::Error {
    let stage = migration.state().stage;
    let is_over = matches!(stage, Stage::Finalizing | Stage::Finalized);
    let matters = stage.new_system_is_root() && !is_over && !now.old_is_there;
    match situation::old_problem(top, migration.plan(), migration.state()).filter(|_| matters) {
        Some(problem) => engine::Error::NotNow(format!("{problem}; {refusal}")),
        None => refusal,
    }
}

/// What the acts come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It was asked for before, and the images can do it.
    AskedAlready,
    /// The next boot goes back.
    NextBoot,
    /// The old system runs: it is made root for the boots to come at once.
    AtOnce,
    /// To a checkpoint before the commit.
    Checkpoint,
    /// Nothing was committed: what is armed is taken back.
    TakenBack,
    /// The same, from a system that can't reach the images.
    GivenUp,
}

impl Outcome {
    fn of(acts: &[Act]) -> Self {
        let has = |act| acts.contains(&act);
        if acts.is_empty() {
            Self::AskedAlready
        } else if has(Act::RollBack) {
            Self::AtOnce
        } else if has(Act::ReturnTo) {
            Self::Checkpoint
        } else if has(Act::RequestRollback) || has(Act::RecordRearmed) {
            Self::NextBoot
        } else if has(Act::GiveUpPlan) {
            Self::GivenUp
        } else {
            Self::TakenBack
        }
    }

    fn question(self) -> Option<&'static str> {
        match self {
            Self::AskedAlready => None,
            Self::NextBoot => Some(
                "Go back to the old system at the next boot? What was changed since stays, in \
                 subvolumes named *.rolled-back-N.",
            ),
            Self::AtOnce => Some(
                "Make this old system the one that boots from now on? What was changed in the new \
                 one stays, in subvolumes named *.rolled-back-N.",
            ),
            Self::Checkpoint => {
                Some("Take back what came after the checkpoint? The next boot goes on from there.")
            }
            Self::TakenBack | Self::GivenUp => {
                Some("The old system is root. Take back what is armed and what was prepared?")
            }
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::AskedAlready => "asked for already: the next boot goes back to the old system",
            Self::NextBoot => "the next boot goes back to the old system; reboot now",
            Self::AtOnce => "the old system is root again, and boots from now on",
            Self::Checkpoint => {
                "what came after the checkpoint is taken back; the next boot goes on from there"
            }
            Self::TakenBack => "the old system was root all along; what was prepared is taken back",
            Self::GivenUp => {
                "no boot migrates; the images of the system that was armed still hold the plan: \
                 `rootshift recover` there makes them anew"
            }
        }
    }
}

fn say(options: &Rollback, what: &str) {
    if options.json {
        print::json(&json!({ "rollback": what }));
    } else {
        print::line(&format!("Rollback: {what}."));
    }
}
