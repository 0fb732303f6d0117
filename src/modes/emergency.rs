//! `rootshift rollback --emergency`: systemd runs it in its emergency mode. /var may be missing
//! there, and root may be read-only: all that it needs is the journal, on the top level.

use std::path::Path;
use std::time::Duration;

use super::{Error, session, status};
use crate::bootcfg::cmdline::CommandLine;
use crate::cli::Exit;
use crate::engine::home::Migration;
use crate::engine::situation;
use crate::engine::survey::Survey;
use crate::engine::transition::{Act, Event, ask};
use crate::engine::{Hands, carry_out};
use crate::report::print;
use crate::sys::{Root, clock, process};

const REASON: &str = "the new system, on trial, ended in systemd's emergency mode";

/// Nothing is recorded before the time is up: who ends the wait stays in the new system, on trial.
pub(super) fn run(seconds: u32) -> Result<Exit, Error> {
    let survey = session::survey()?;
    let Some(top) = survey.top.as_ref() else {
        print::line("The root file system is not btrfs: there is nothing to go back to.");
        return Ok(Exit::Success);
    };
    let Some(migration) = Migration::open(top)? else {
        print::line("Nothing is armed: this emergency is none of rootshift's.");
        return Ok(Exit::Success);
    };
    let is_on_trial = !goes_back(&survey, top, &migration)?.is_empty();
    // Others may look at the journal meanwhile.
    drop(migration);
    if !is_on_trial || is_asked_for(&survey.system) {
        status::show(&survey);
        return Ok(Exit::Success);
    }
    print::line(&format!(
        "{REASON}: in {seconds} s the machine restarts and goes back to the old system. What was \
         changed in the new one is kept. To stay and mend it: `systemctl stop rootshift-emergency`"
    ));
    clock::pause(Duration::from_secs(seconds.into()));
    go_back(&survey, top)
}

/// Whether a person wanted the emergency mode when this boot began (systemd(1), kernel command
/// line).
fn is_asked_for(system: &Root) -> bool {
    let text = system.read_text(Path::new("proc/cmdline"));
    let line = CommandLine::parse(&text.unwrap_or_default());
    let words = ["emergency", "-b"];
    words.iter().any(|word| line.contains(word))
        || line.value("systemd.unit") == Some("emergency.target")
}

/// Nothing unless it is on trial, with an image that can.
fn goes_back(survey: &Survey, top: &Root, migration: &Migration) -> Result<Vec<Act>, Error> {
    let now = situation::of(survey, top, migration);
    Ok(ask(&now, Event::Emergency)?)
}

fn go_back(survey: &Survey, top: &Root) -> Result<Exit, Error> {
    let mut migration = session::migration(top)?;
    // A person may have asked for something else meanwhile.
    let acts = goes_back(survey, top, &migration)?;
    if acts.is_empty() {
        drop(migration);
        status::show(survey);
        return Ok(Exit::Success);
    }
    let mut hands = Hands {
        system: &survey.system,
        top,
        migration: &mut migration,
        reason: REASON,
    };
    carry_out(&acts, &mut hands)?;
    print::line("The next boot goes back to the old system: restarting.");
    let ended = process::run("systemctl", &["reboot"], true)?;
    if !ended.success() {
        print::error("the machine can't be restarted by `systemctl reboot`; restart it by hand");
        return Ok(Exit::Failure);
    }
    Ok(Exit::Success)
}
