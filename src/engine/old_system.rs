//! Whether the old system is there to go back to: asked before that is promised, and before it is
//! done. Who tidies up by hand, or puts a snapshot in another's place, asks nobody.

use std::path::Path;

use super::bootable::problem_in;
use super::rollback::present_root;
use crate::bootchain::Switch;
use crate::documents::Plan;
use crate::documents::step::SwitchBootPath;
use crate::sys::{InodeFlags, Root};

/// Where an init is; the kernel command line of that boot is not known.
const INIT: &str = "/sbin/init";

/// Why it is not, in a sentence. What can't be seen is no reason.
#[must_use]
#[inline(never)]
pub fn problem(top: &Root, plan: &Plan) -> Option<String> {
    let problem = problem_of_it(top, plan)?;
    Some(format!("the old system {problem}"))
}

fn problem_of_it(top: &Root, plan: &Plan) -> Option<String> {
    if top
        .flags(Path::new("."))
        .is_ok_and(|flags| flags.bits & InodeFlags::LOCKS != 0)
    {
        return Some("can't be led to: the top level of the disk is locked (chattr -ia)".into());
    }
    let switch = plan.boot_switch().and_then(|switch| broken(top, switch));
    switch.or_else(|| {
        let name = present_root(top, plan);
        let root = top.within(Path::new(name.trim_start_matches('/'))).ok()?;
        root.resolved_status(Path::new(INIT)).ok()?; // a disk that fails proves nothing
        problem_in(&root, INIT)
    })
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
    if !cfg!(feature = "tools") {
        return Some("is not all there: `rootshift rollback` says what is missing".into());
    }
    Some(format!(
        "is not all there: at the top level of the disk {path} has to be the symlink to {target}, and \
         {kept} what was there before"
    ))
}
