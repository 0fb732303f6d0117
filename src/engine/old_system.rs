//! Whether the old system is there to go back to: asked before that is promised, and before it is
//! done. Who tidies up by hand, or puts a snapshot in another's place, asks nobody.

use std::path::{Path, PathBuf};

use super::State;
use super::bootable::problem_in;
use super::rollback::present_root;
use crate::bootchain::{NewSystem, Switch, files_of_entry};
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
        let root = root.display();
        return Some(format!(
            "is another subvolume: give the one that was left at the commit its name again, {root} \
             at the top level of the disk"
        ));
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
    let root = plan.old_system.root.as_str();
    let config = now_at(top, switch, &Path::new(root).join(CONFIG))?;
    let shown = config.display();
    let text = match top.read_text(&config) {
        Err(error) if error.is_not_found() => {
            return Some(format!(
                "can't be started: {shown} is gone from the disk's top level"
            ));
        }
        text => in_its_own_name(&text.ok()?, switch),
    };
    let old = NewSystem {
        top,
        root,
        old_root: root,
        identity: Some(&plan.filesystem),
    };
    let Some(files) = files_of_entry(&old, &text) else {
        return Some(format!(
            "can't be started: {shown}, from the disk's top level, has no entry for it"
        ));
    };
    let paths = files.iter().filter_map(|file| now_at(top, switch, file));
    let is_gone = |path: &PathBuf| {
        let found = top.resolved_status(path);
        found.is_ok_and(|file| file.is_none_or(|file| file.size == 0))
    };
    let gone = paths
        .filter(is_gone)
        .map(|path| path.display().to_string())
        .next()?;
    Some(format!(
        "can't be started: {gone}, from the disk's top level, is gone"
    ))
}

/// Where what the old system's configuration names lies while the boot path leads to the new one.
/// What is not on that path has not moved.
fn now_at(top: &Root, switch: &SwitchBootPath, asked: &Path) -> Option<PathBuf> {
    let [path, kept] = [&switch.path, &switch.keep_as].map(|path| path.trim_matches('/'));
    let rest = asked
        .strip_prefix("/")
        .unwrap_or(asked)
        .strip_prefix(path)
        .ok()?;
    let at_kept = top.status(Path::new(kept)).ok().flatten();
    let is_switched = at_kept.is_some_and(|at_kept| at_kept.is_directory());
    Some(Path::new(if is_switched { kept } else { path }).join(rest))
}

/// `update-grub`, where it ran in the old system under the name that it is kept by, has written that
/// name; it gets its own back in the rollback.
fn in_its_own_name(text: &str, switch: &SwitchBootPath) -> String {
    let [path, kept] = [&switch.path, &switch.keep_as].map(|path| path.trim_matches('/'));
    text.replace(kept, path)
}

/// Makes it ready to be root: writable, and named in its GRUB's configuration as it will be. Durable
/// when it returns; may be repeated.
///
/// # Errors
/// The first act that failed.
pub(super) fn make_ready(top: &Root, plan: &Plan) -> Result<(), super::Error> {
    // GRUB finds the one by way of the other.
    for root in [PathBuf::from("."), root_of(top, plan)] {
        let is_read_only = btrfs::subvolume_info(top, &root).is_ok_and(|info| info.read_only);
        if is_read_only {
            log::warn!("{} could only be read: it is made writable", root.display());
            btrfs::set_read_only(top, &root, false)?;
        }
    }
    let config = Path::new(&plan.old_system.root).join(CONFIG);
    if let Some(switch) = plan.boot_switch()
        && let Some(config) = now_at(top, switch, &config)
        && let Ok(text) = top.read_text(&config)
    {
        let own = in_its_own_name(&text, switch);
        if own != text {
            top.replace_file(&config, own.as_bytes())?;
        }
    }
    Ok(top.sync_filesystem()?)
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
