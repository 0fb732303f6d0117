//! `rootshift disarm`.

use std::path::Path;

use serde_json::json;

use super::{Error, session};
use crate::cli::{Disarm, Exit};
use crate::documents::plan::JOURNAL;
use crate::engine::{arming, home, initramfs};
use crate::report::print;

pub(super) fn run(options: &Disarm) -> Result<Exit, Error> {
    let survey = session::survey()?;
    let top = session::top(&survey)?;
    if options.discard_journal {
        let kept = home::put_aside(top, Path::new(JOURNAL))?;
        initramfs::withdraw(&survey.system)?;
        initramfs::rebuild()?;
        initramfs::verify(&survey.system, None, &[])?;
        let kept = kept.map(|path| path.display().to_string());
        say(
            options,
            &format!(
                "the journal is kept as {}",
                kept.as_deref().unwrap_or("nothing")
            ),
        );
        return Ok(Exit::Success);
    }
    let mut migration = session::migration_with_others(top)?;
    arming::disarm(&survey.system, top, &mut migration)?;
    say(options, "the next boot is an ordinary one");
    Ok(Exit::Success)
}

fn say(options: &Disarm, what: &str) {
    if options.json {
        print::json(&json!({ "disarmed": true, "note": what }));
    } else {
        print::line(&format!("Disarmed: {what}."));
    }
}
