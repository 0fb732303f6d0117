//! What speaks against deleting the old system at this moment: somebody may be at work in it.
//!
//! Everything is read from /proc and /sys of the running system.

use std::path::Path;

use super::super::Error;
use super::at_work::{Look, all_mounts};
use super::doomed::Doomed;
use crate::sys::{InodeFlags, Root, btrfs};

/// That nothing speaks against it.
///
/// # Errors
/// What does, with its remedy.
pub(super) fn none(system: &Root, all: &[Doomed], root_subvolume: &str) -> Result<(), Error> {
    everybody_is_seen(system)?;
    let mounts = all_mounts(system);
    for doomed in all {
        no_lock_above(doomed)?;
        no_default(doomed)?;
        no_other_work(system, doomed.uuid)?;
        let Some(look) = Look::at(doomed, &mounts)? else {
            continue; // without /proc
        };
        look.the_new_system_runs(system, root_subvolume)?;
        look.nothing_is_mounted()?;
        look.no_swap_file(system)?;
        look.no_loop_device(system)?;
        look.no_process(system)?;
    }
    Ok(())
}

pub(super) fn doubt(why: String) -> Result<(), Error> {
    Err(Error::NotNow(format!(
        "{why}; then run `rootshift finalize` again. Until then nothing is deleted"
    )))
}

/// From a process namespace of its own, as a container's, nobody outside is seen. The first one has
/// this number (include/linux/proc_ns.h, PROC_PID_INIT_INO).
fn everybody_is_seen(system: &Root) -> Result<(), Error> {
    match system.read_link(Path::new("proc/self/ns/pid")) {
        Ok(own) if own != Path::new("pid:[4026531836]") => doubt(
            "this runs in a container, from which those who use the old system can't be seen: leave \
             it"
            .to_owned(),
        ),
        _ => Ok(()), // without /proc nobody is seen anyway
    }
}

/// A lock on what stays is not cleared.
fn no_lock_above(doomed: &Doomed) -> Result<(), Error> {
    for path in doomed.trees.iter().map(|tree| &tree.path) {
        let above = path.parent().unwrap_or(Path::new(""));
        if doomed.top.flags(above)?.bits & InodeFlags::LOCKS != 0 {
            return doubt(format!(
                "the directory that holds {} is immutable or append-only: run `chattr -ia` on it",
                path.display()
            ));
        }
    }
    Ok(())
}

/// The kernel does not delete the default subvolume (fs/btrfs/ioctl.c, EPERM).
fn no_default(doomed: &Doomed) -> Result<(), Error> {
    let default = btrfs::default_subvolume(doomed.top)?;
    for subvolume in btrfs::list_subvolumes(doomed.top)? {
        if subvolume.id == default && doomed.holds(&subvolume.path) {
            return doubt(format!(
                "the subvolume {} of the old system is the default one: run `btrfs subvolume \
                 set-default 5 /`",
                subvolume.path.display()
            ));
        }
    }
    Ok(())
}

/// Balance, replacing or removing a device and the like: the kernel takes one at a time.
fn no_other_work(system: &Root, uuid: &str) -> Result<(), Error> {
    let file = Path::new("sys/fs/btrfs").join(uuid);
    // Older kernels than 5.10 do not tell.
    let text = text(system, &file.join("exclusive_operation"));
    match text.trim() {
        "" | "none" | "balance paused" => Ok(()),
        work => doubt(format!(
            "the file system is at work ({work}): wait until that has ended"
        )),
    }
}

/// A file of /proc or /sys; empty when it is not there, or no longer.
pub(super) fn text(system: &Root, path: &Path) -> String {
    let bytes = system.read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tests::system;
    use super::*;

    #[test]
    fn one_work_at_a_time() {
        // The words are those of fs/btrfs/sysfs.c, btrfs_exclusive_operation_show.
        for (work, is_doubt) in [
            ("none\n", false),
            ("balance paused\n", false),
            ("balance\n", true),
            ("device remove\n", true),
            ("device replace\n", true),
            ("resize\n", true),
        ] {
            let (_folder, root) = system(&[("sys/fs/btrfs/u/exclusive_operation", work)]);
            let found = no_other_work(&root, "u");
            assert_eq!(found.is_err(), is_doubt, "{work}");
            if let Err(why) = found {
                assert!(why.to_string().contains(work.trim()), "{why}");
            }
            assert!(no_other_work(&root, "another").is_ok());
        }
    }
}
