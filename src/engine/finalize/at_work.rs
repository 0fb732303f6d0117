//! Who is at work in the old system: mounts, processes, swap files and loop devices.
//!
//! A file that is open only to be read is no work: what was opened stays readable until it is
//! closed.

use std::path::{Path, PathBuf};

use super::super::Error;
use super::doomed::Doomed;
use super::doubts::{doubt, text};
use crate::sys::Root;
use crate::sys::mount::{Mount, parse_mountinfo, unescape};

/// The owner's right to write, as the links in /proc/PID/fd have it (proc_pid_fd(5)).
const WRITABLE: u32 = 0o200;

/// The processes, but for this one.
fn processes(system: &Root) -> Vec<PathBuf> {
    let own = std::process::id().to_string();
    let names = system.list(Path::new("proc")).unwrap_or_default();
    let names = names.iter().filter_map(|name| name.to_str());
    let numbers = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let others = numbers.filter(|name| *name != own);
    others.map(|name| Path::new("proc").join(name)).collect()
}

/// The mounts of every mount namespace, those of this process first.
pub(super) fn all_mounts(system: &Root) -> Vec<Mount> {
    let mut all = parse_mountinfo(&text(system, Path::new("proc/self/mountinfo")));
    let mut seen = Vec::new();
    for process in processes(system) {
        let Ok(namespace) = system.read_link(&process.join("ns/mnt")) else {
            continue;
        };
        if !seen.contains(&namespace) {
            seen.push(namespace);
            all.extend(parse_mountinfo(&text(system, &process.join("mountinfo"))));
        }
    }
    all
}

/// Where a path lies as seen from the top level, if it is reached through this mount.
fn from_top(mount: &Mount, path: &Path) -> Option<PathBuf> {
    let rest = path.strip_prefix(&mount.mount_point).ok()?;
    let root = mount.root.strip_prefix("/").unwrap_or(&mount.root);
    Some(root.join(rest))
}

/// A look at one file system.
pub(super) struct Look<'a> {
    doomed: &'a Doomed<'a>,
    mounts: &'a [Mount],
    /// The mounts of the file system: through them the old system may be seen.
    windows: Vec<&'a Mount>,
}

impl<'a> Look<'a> {
    /// `None` where the mounts do not tell which are those of the file system.
    pub(super) fn at(doomed: &'a Doomed, mounts: &'a [Mount]) -> Result<Option<Self>, Error> {
        let status = doomed.top.status(Path::new(""))?;
        let own = mounts
            .iter()
            .find(|mount| status.is_some_and(|status| status.mount == mount.id));
        let look = |own: &Mount| {
            let same = mounts.iter().filter(|mount| mount.device == own.device);
            let windows = same.collect();
            Self {
                doomed,
                mounts,
                windows,
            }
        };
        Ok(own.map(look))
    }

    /// Does this path lead into what is to be deleted, or, where that counts, to the top level?
    /// Through any mount but those that are somebody's root: of whom a path is, is not known here.
    fn leads_in(&self, path: &Path, top_counts: bool) -> bool {
        let below_root = |mount: &&&Mount| mount.mount_point != Path::new("/");
        let mut windows = self.windows.iter().filter(below_root);
        windows.any(|mount| {
            from_top(mount, path).is_some_and(|path| {
                self.doomed.holds(&path) || (top_counts && path.as_os_str().is_empty())
            })
        })
    }

    /// The old system may be running: another entry of the boot loader's menu leads to it.
    pub(super) fn the_new_system_runs(
        &self,
        system: &Root,
        root_subvolume: &str,
    ) -> Result<(), Error> {
        let own = parse_mountinfo(&text(system, Path::new("proc/self/mountinfo")));
        let is_root = |mount: &&Mount| mount.mount_point == Path::new("/");
        let Some(root) = own.iter().rev().find(is_root) else {
            return Ok(());
        };
        let elsewhere = self.windows.iter().all(|mount| mount.device != root.device);
        if elsewhere || root.root == Path::new("/").join(root_subvolume) {
            return Ok(());
        }
        doubt(format!(
            "root is {} and not {root_subvolume}: start the new system",
            root.root.display()
        ))
    }

    pub(super) fn nothing_is_mounted(&self) -> Result<(), Error> {
        for mount in &self.windows {
            let deleted = mount.root.to_string_lossy().ends_with("//deleted");
            let is_doomed = self
                .doomed
                .holds(mount.root.strip_prefix("/").unwrap_or(&mount.root));
            // In another namespace, or for a process in its own root.
            let is_root = [&mount.root, &mount.mount_point]
                .iter()
                .all(|path| *path == "/");
            if !deleted && (is_doomed || is_root) {
                return doubt(format!(
                    "{} of the old system is mounted at {}: unmount it",
                    mount.root.display(),
                    mount.mount_point.display()
                ));
            }
        }
        for mount in self.mounts {
            let mut below = self.windows.iter();
            let inside = below.any(|window| {
                window.id == mount.parent_id
                    && from_top(window, &mount.mount_point).is_some_and(|at| self.doomed.holds(&at))
            });
            if inside {
                return doubt(format!(
                    "{} is mounted inside the old system: unmount it",
                    mount.mount_point.display()
                ));
            }
        }
        Ok(())
    }

    pub(super) fn no_swap_file(&self, system: &Root) -> Result<(), Error> {
        for line in text(system, Path::new("proc/swaps")).lines() {
            let file = unescape(line.split([' ', '\t']).next().unwrap_or_default());
            if self.leads_in(Path::new(&file), false) {
                let file = Path::new(&file).display();
                return doubt(format!(
                    "the swap file {file} lies in the old system: run `swapoff {file}`"
                ));
            }
        }
        Ok(())
    }

    pub(super) fn no_loop_device(&self, system: &Root) -> Result<(), Error> {
        let block = Path::new("sys/block");
        for name in system.list(block).unwrap_or_default() {
            let file = text(system, &block.join(&name).join("loop/backing_file"));
            if self.leads_in(Path::new(file.trim_end_matches('\n')), false) {
                let name = name.to_string_lossy();
                return doubt(format!(
                    "/dev/{name} is made of {} in the old system: run `losetup -d /dev/{name}`",
                    file.trim_end()
                ));
            }
        }
        Ok(())
    }

    pub(super) fn no_process(&self, system: &Root) -> Result<(), Error> {
        for process in processes(system) {
            let Some(path) = self.place_of_work(system, &process) else {
                continue;
            };
            let number = process.file_name().unwrap_or_default().to_string_lossy();
            let name = text(system, &process.join("comm"));
            return doubt(format!(
                "process {number} ({}) is at work in the old system, on {}: end it",
                name.trim_end(),
                path.display()
            ));
        }
        Ok(())
    }

    /// What a process has there: its root, its working directory or a file that it can write to.
    fn place_of_work(&self, system: &Root, process: &Path) -> Option<PathBuf> {
        let root = system.read_link(&process.join("root")).ok();
        // That of a flat system is the top level.
        if let Some(root) = root.filter(|root| self.leads_in(root, true)) {
            return Some(root);
        }
        let mut links = vec![process.join("cwd")];
        let files = process.join("fd");
        for name in system.list(&files).unwrap_or_default() {
            let link = files.join(name);
            let status = system.status(&link).ok().flatten();
            if status.is_some_and(|status| status.mode & WRITABLE != 0) {
                links.push(link);
            }
        }
        let mut places = links.iter().filter_map(|link| system.read_link(link).ok());
        places.find(|place| self.leads_in(place, false))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::system;
    use super::*;
    use std::fs;

    #[test]
    fn mounts_of_every_namespace_are_seen_once() {
        let line = |id: u32| format!("{id} 1 0:9 /a /b rw - btrfs /dev/x rw\n");
        let own = std::process::id();
        let (folder, root) = system(&[
            ("proc/self/mountinfo", &line(1)),
            (&format!("proc/{own}/mountinfo"), &line(1)),
            ("proc/11/mountinfo", &line(2)),
            ("proc/12/mountinfo", &line(2)),
            ("proc/13/mountinfo", &line(3)),
        ]);
        for (process, namespace) in [(11, "mnt:[5]"), (12, "mnt:[5]"), (13, "mnt:[6]")] {
            let place = folder.path().join(format!("proc/{process}/ns"));
            fs::create_dir_all(&place).unwrap();
            std::os::unix::fs::symlink(namespace, place.join("mnt")).unwrap();
        }
        let ids: Vec<u64> = all_mounts(&root).iter().map(|mount| mount.id).collect();
        assert_eq!(ids, [1, 2, 3]);
    }

    #[test]
    fn a_path_is_seen_from_the_top_level_through_each_mount() {
        let mounts = parse_mountinfo(
            "1 0 0:9 /@home /home rw - btrfs x rw\n2 0 0:9 / /mnt/top rw - btrfs x rw\n",
        );
        let through = |index: usize, path: &str| from_top(&mounts[index], Path::new(path));
        assert_eq!(through(0, "/home/a/b"), Some("@home/a/b".into()));
        assert_eq!(through(1, "/mnt/top/home"), Some("home".into()));
        assert_eq!(through(1, "/mnt/topper"), None);
        assert_eq!(through(0, "relative"), None);
    }
}
