//! No menu entry may load or mount what is to be deleted: rootshift rewrites grub.cfg, and not what
//! people wrote themselves.

use std::path::Path;

use super::super::Error;
use super::doomed::Doomed;
use crate::bootchain::{MenuEntry, made_entries, own_entries};
use crate::checks;
use crate::documents::Plan;
use crate::sys::Root;

/// That none does.
///
/// # Errors
/// The first entry that does, with what to do.
pub(super) fn none_is_old(system: &Root, plan: &Plan, doomed: &Doomed) -> Result<(), Error> {
    let read = |entries: Result<Vec<MenuEntry>, _>| entries.map_err(checks::Error::from);
    let mut entries = read(own_entries(system, &plan.filesystem))?;
    entries.extend(read(made_entries(system, &plan.filesystem))?);
    for entry in &entries {
        if let Some(problem) = problem(entry, plan, doomed) {
            return Err(Error::NotNow(problem));
        }
    }
    Ok(())
}

fn problem(entry: &MenuEntry, plan: &Plan, doomed: &Doomed) -> Option<String> {
    let new = plan.root_subvolume();
    let is_doomed = |file: &&String| doomed.holds(Path::new(file.trim_start_matches('/')));
    let does = match entry.loads.files.iter().find(is_doomed) {
        Some(file) => format!("loads {file} of the old system"),
        None if boots_old(entry, plan, doomed) => "boots the old system".to_owned(),
        None => return None,
    };
    Some(format!(
        "/{}: its menu entry \"{}\" {does}: give it the paths /{new}/… and rootflags=subvol={new}, \
         or take it out, run `update-grub`, reboot, and run `rootshift finalize` again. Until then \
         nothing is deleted",
        entry.file.display(),
        entry.loads.title
    ))
}

/// A flat root is the top level; another one leads to the new system by its old name.
fn boots_old(entry: &MenuEntry, plan: &Plan, doomed: &Doomed) -> bool {
    match entry.loads.root.as_deref() {
        None => false,
        Some("") => plan.old_system.root.is_empty(),
        Some(root) => doomed.holds(Path::new(root)),
    }
}
