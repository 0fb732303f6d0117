//! Whether the old system is there to go back to: asked before that is promised, and before it is
//! done. Who tidies up by hand, or puts a snapshot in another's place, asks nobody.

use std::path::{Path, PathBuf};

use super::State;
use super::bootable::problem_in;
use super::rollback::present_root;
use crate::bootchain::{NewSystem, Switch, missing_file};
use crate::documents::Plan;
use crate::documents::step::SwitchBootPath;
use crate::journal::{Object, Role};
use crate::sys::block::uuid_text;
use crate::sys::{InodeFlags, Root, btrfs};

/// Where an init is; the kernel command line of that boot is not known.
const INIT: &str = "/sbin/init";
const CONFIG: &str = "boot/grub/grub.cfg";
/// What nothing starts without, where the inventory has it as a part of the old system.
const NEEDED: [&str; 11] = [
    "bin", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "usr", "var",
];

/// Why it is not, in a sentence. What can't be seen is no reason: a disk that fails proves nothing.
#[must_use]
#[inline(never)]
pub fn problem(top: &Root, plan: &Plan, state: &State) -> Option<String> {
    let problem = problem_of_it(top, plan, state)?;
    Some(format!("the old system {problem}"))
}

fn problem_of_it(top: &Root, plan: &Plan, state: &State) -> Option<String> {
    if top
        .flags(Path::new("."))
        .is_ok_and(|flags| flags.bits & InodeFlags::LOCKS != 0)
    {
        return Some("can't be led to: the top level of the disk is locked (chattr -ia)".into());
    }
    let switch = plan.boot_switch();
    if let Some(problem) = switch.and_then(|switch| broken(top, switch)) {
        return Some(problem);
    }
    let root = root_of(top, plan);
    if is_another(top, &root, state) {
        return Some("is not the subvolume that was left at the commit".into());
    }
    let there = top.within(&root).ok()?;
    there.resolved_status(Path::new(INIT)).ok()?;
    problem_in(&there, INIT)
        .or_else(|| lacks(&there, state))
        .or_else(|| nothing_to_load(top, plan, switch?))
}

/// Its root as it can be found now, from the top level.
fn root_of(top: &Root, plan: &Plan) -> PathBuf {
    let name = present_root(top, plan);
    let name = name.trim_start_matches('/');
    PathBuf::from(if name.is_empty() { "." } else { name })
}

/// Whether the subvolume is another than the inventory has.
fn is_another(top: &Root, root: &Path, state: &State) -> bool {
    let is_old = |object: &&Object| object.role == Role::OldSubvolume && object.filesystem == "/";
    let inventory = state.inventory().unwrap_or_default();
    let Some(known) = inventory.iter().find(is_old) else {
        return false;
    };
    btrfs::subvolume_info(top, root)
        .is_ok_and(|now| now.id != known.id || uuid_text(now.uuid) != known.subvolume)
}

/// Of a flat system; what a subvolume held is in no inventory.
fn lacks(old: &Root, state: &State) -> Option<String> {
    let is_entry = |object: &&Object| {
        object.role == Role::OldEntry
            && object.filesystem == "/"
            && NEEDED.contains(&object.path.as_str())
    };
    let is_gone = |object: &&Object| matches!(old.exists(object.path()), Ok(false));
    let inventory = state.inventory().unwrap_or_default();
    let gone = inventory.iter().filter(is_entry).find(is_gone)?;
    Some(format!("has no /{} any more", gone.path))
}

/// What GRUB reads of it: its configuration, and the kernel and images of the entry that starts it.
fn nothing_to_load(top: &Root, plan: &Plan, switch: &SwitchBootPath) -> Option<String> {
    let [path, kept] = [&switch.path, &switch.keep_as].map(|path| path.trim_matches('/'));
    let at_kept = top.status(Path::new(kept)).ok().flatten();
    let is_switched = at_kept.is_some_and(|at_kept| at_kept.is_directory());
    // What else a path goes through is not on the way to the new system now.
    let now = |asked: &Path| -> Option<PathBuf> {
        let rest = asked.strip_prefix("/").unwrap_or(asked).strip_prefix(path);
        rest.ok().map(|rest| match is_switched {
            true => Path::new(kept).join(rest),
            false => Path::new(path).join(rest),
        })
    };
    let root = &plan.old_system.root;
    let config = now(&Path::new(root).join(CONFIG))?;
    let text = match top.read_text(&config) {
        Err(error) if error.is_not_found() => {
            return Some(format!("can't be started: {} is gone", config.display()));
        }
        text => text.ok()?,
    };
    let old = NewSystem {
        top,
        root,
        old_root: root,
        identity: Some(&plan.filesystem),
    };
    let is_gone = |asked: &Path| {
        let found = now(asked).map(|path| top.resolved_status(&path));
        found.is_some_and(|found| found.is_ok_and(|file| file.is_none_or(|file| file.size == 0)))
    };
    let file = missing_file(&old, &text, &is_gone)?;
    Some(format!(
        "can't be started: {file} of its menu entry is gone"
    ))
}

/// Root has to be writable.
///
/// # Errors
/// When it can't be made so.
pub(super) fn make_writable(top: &Root, plan: &Plan) -> Result<(), super::Error> {
    let root = root_of(top, plan);
    let is_read_only = btrfs::subvolume_info(top, &root).is_ok_and(|info| info.read_only);
    if is_read_only {
        log::warn!("the old system could only be read: it is made writable");
        btrfs::set_read_only(top, &root, false)?;
    }
    Ok(())
}

/// GRUB finds the old system only if both names are as the switch of the boot path left them.
fn broken(top: &Root, switch: &SwitchBootPath) -> Option<String> {
    let [path, kept] = [&switch.path, &switch.keep_as].map(|path| path.trim_matches('/'));
    let target = &switch.target;
    let switch = Switch {
        path: Path::new(path),
        target: Path::new(target),
        kept: Path::new(kept),
    };
    if switch.is_whole(top).unwrap_or(true) {
        return None;
    }
    Some(format!(
        "is not all there: at the top level of the disk {path} has to be the symlink to \
             {target}, and {kept} what was there before"
    ))
}
