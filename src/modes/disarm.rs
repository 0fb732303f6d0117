//! `rootshift disarm`.

use std::path::Path;

use serde_json::json;

use super::{Error, session};
use crate::cli::{Disarm, Exit};
use crate::documents::plan::JOURNAL;
use crate::engine::home::{Migration, put_aside};
use crate::engine::look::Look;
use crate::engine::situation;
use crate::engine::survey::Survey;
use crate::engine::transition::{Act, Book, Event, Seen, Situation, ask};
use crate::engine::{Hands, carry_out, initramfs};
use crate::journal::Journal;
use crate::report::print;
use crate::sys::Root;

const DONE: &str = "the next boot is an ordinary one";
/// From another system than the one that was armed its images can't be reached.
const GIVEN_UP: &str = "no boot migrates; the images of the system that was armed still hold the \
                        plan: `rootshift recover` there makes them anew";

pub(super) fn run(options: &Disarm) -> Result<Exit, Error> {
    let survey = session::survey()?;
    let top = session::top(&survey)?;
    if options.discard_journal {
        return discard(options, &survey, top);
    }
    match session::migration_with_others(top) {
        Ok(migration) => disarm(options, &survey, top, migration),
        Err(Error::NothingArmed) => {
            let now = situation::without_journal(&survey, top, Book::Missing);
            let acts = ask(&now, Event::Disarm).map_err(|_| Error::NothingArmed)?;
            without_journal(&survey, top, &acts)?;
            say(options, DONE);
            Ok(Exit::Success)
        }
        Err(other) => Err(other),
    }
}

fn disarm(
    options: &Disarm,
    survey: &Survey,
    top: &Root,
    mut migration: Migration,
) -> Result<Exit, Error> {
    let now = situation::without_images(survey, top, &migration);
    let acts = ask(&now, Event::Disarm)?;
    let mut hands = Hands {
        system: &survey.system,
        top,
        migration: &mut migration,
        reason: "",
    };
    carry_out(&acts, &mut hands)?;
    say(
        options,
        match acts.contains(&Act::GiveUpPlan) {
            true => GIVEN_UP,
            false => DONE,
        },
    );
    Ok(Exit::Success)
}

/// Whoever is at work on the journal is left at it, and a sound one is nobody's to throw away.
fn discard(options: &Disarm, survey: &Survey, top: &Root) -> Result<Exit, Error> {
    let lock = Journal::hold(top, Path::new(JOURNAL)).map_err(crate::engine::Error::from)?;
    let look = Look::at(top);
    let running = look.plan.as_ref().map_or(Seen::Unknown, |frozen| {
        situation::running(survey, top, &frozen.plan)
    });
    let way_back = look.plan.as_ref().zip(look.state.as_ref());
    let old_problem =
        way_back.and_then(|(frozen, state)| situation::old_problem(top, &frozen.plan, state));
    let now = Situation {
        running,
        old_is_there: old_problem.is_none(),
        ..situation::without_journal(survey, top, situation::book(&look))
    };
    let acts = ask(&now, Event::DiscardJournal)?;
    let question = "Go on without the journal? GRUB alone names the system that starts then; \
                    rollback and finalize can't be used for this migration any more.";
    if !options.yes && !print::confirmed(question) {
        print::error("nothing was changed");
        return Ok(Exit::NotNow);
    }
    let kept = without_journal(survey, top, &acts)?;
    drop(lock);
    let kept = kept.unwrap_or_else(|| "nothing".into());
    say(options, &format!("the journal is kept as {kept}"));
    Ok(Exit::Success)
}

/// Carries out what needs no journal; returns under which name one was kept aside.
fn without_journal(survey: &Survey, top: &Root, acts: &[Act]) -> Result<Option<String>, Error> {
    let mut kept = None;
    if acts.contains(&Act::PutJournalAside) {
        kept = put_aside(top, Path::new(JOURNAL))?;
        top.sync_filesystem()?;
    }
    if acts.contains(&Act::MakeImages) {
        initramfs::withdraw(&survey.system)?;
        initramfs::rebuild()?;
        initramfs::verify(&survey.system, None, &[])?;
        survey.system.sync_filesystem()?;
    }
    Ok(kept.map(|path| path.display().to_string()))
}

fn say(options: &Disarm, what: &str) {
    if options.json {
        print::json(&json!({ "disarmed": true, "note": what }));
    } else {
        print::line(&format!("Disarmed: {what}."));
    }
}
