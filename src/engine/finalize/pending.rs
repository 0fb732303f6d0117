//! The mark of a deletion that is under way, where systemd sees it without looking for it: the
//! timer and the service that go on with it do nothing unless this file is there.

use std::path::Path;

use super::super::Error;
use crate::sys::{Root, process};

/// In the new system. The units `rootshift-finalize` name it in `ConditionPathExists=`.
pub const MARK: &str = "/var/lib/rootshift/finalizing";
const FOLDER: &str = "/var/lib/rootshift";
/// The timer tries again later what was refused.
const START: [&str; 4] = [
    "start",
    "--no-block",
    "rootshift-finalize.timer",
    "rootshift-finalize.service",
];
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// Sets the mark. To be called before the decision is recorded; durable when it returns.
///
/// # Errors
/// When it can't be written.
pub fn remember(system: &Root) -> Result<(), Error> {
    let mark = Path::new(MARK);
    if system.exists(mark)? {
        return Ok(());
    }
    system.create_directories(Path::new(FOLDER), 0o755)?;
    system.write_new_file(mark, b"", 0o644)?;
    Ok(system.within(Path::new(FOLDER))?.sync_filesystem()?)
}

/// Takes the mark away. To be called after the end is recorded. Not durable before a sync: one
/// that a power cut brings back only makes the next boot look.
///
/// # Errors
/// When it can't be removed.
pub fn forget(system: &Root) -> Result<(), Error> {
    let mark = Path::new(MARK);
    match system.remove_file(mark) {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Lets systemd start the service, and does not wait for it.
///
/// # Errors
/// When systemd does not take it.
pub fn hand_over(system: &Root) -> Result<(), Error> {
    let ended = process::run_told_within(system, "systemctl", &START, PATIENCE)?;
    if ended.success() {
        return Ok(());
    }
    Err(Error::NotNow(
        "systemd did not take the work over; nothing is deleted yet. `rootshift finalize` does it \
         in the foreground, else the next boot does"
            .into(),
    ))
}
