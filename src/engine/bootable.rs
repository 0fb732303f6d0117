//! Whether a root can be booted: seen before initramfs-tools mounts it, which would end in a shell
//! where it can't. Then the old system is root again, in the same boot.

use super::Stage;
use super::boot::{Next, lacks_modules, name_after_each_record, named_root};
use super::home::Migration;
use super::interpreter::interpreter;
use super::rollback::roll_back;
use crate::bootcfg::cmdline::merge_root_flags;
use crate::bootcfg::fstab::Fstab;
use crate::sys::process::{self, Output};
use crate::sys::{Error, Root, clock, mount};
use std::path::Path;
use std::time::Duration;

/// Where an init is looked for when the one of the kernel command line is missing: as
/// initramfs-tools does (`validate_init`), but for /bin/sh. A shell is no system.
const INITS: [&str; 3] = ["/sbin/init", "/etc/init", "/bin/init"];
/// The kernel may give a device back a little later than it forgets the file system; a system is
/// not given up for that.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(300);
/// Anybody's execute permission.
const EXECUTABLE: u32 = 0o111;

/// The roots to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// `rootflags=` of the kernel command line.
    pub given: String,
    /// The new root's subvolume.
    pub new: String,
    /// The name that the old root can be mounted by now.
    pub old: String,
}

impl Roots {
    /// The options for the root that the journal names.
    #[must_use]
    pub fn as_journalled(&self) -> String {
        self.flags(&self.new, true)
    }

    fn flags(&self, name: &str, as_given: bool) -> String {
        let given = [self.given.as_str()];
        merge_root_flags(if as_given { &given } else { &[] }, name)
    }
}

/// Which root it is, and how it is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The options of the mount.
    pub flags: String,
    /// Whether what the kernel command line asks for is among them.
    pub as_given: bool,
    /// Whether it is the old root.
    pub is_old: bool,
    /// Why it is not the new root as the kernel command line asks for it.
    pub problem: Option<String>,
}

/// The first root that has no problem: the new one, then the old one; each with the options of the
/// kernel command line, then without them, as a slip in these is no fault of the system. When there
/// is none it is the new one, which the journal names.
pub fn choose(roots: &Roots, problem_of: &mut dyn FnMut(&str) -> Option<String>) -> Choice {
    let mut way = |name: &str, is_old| {
        let flags = roots.flags(name, true);
        let bare = roots.flags(name, false);
        let (flags, problem) = match problem_of(&flags) {
            None => (flags, None),
            Some(problem) if bare == flags || problem_of(&bare).is_some() => return Err(problem),
            problem => (bare, problem),
        };
        Ok(Choice {
            flags,
            as_given: problem.is_none(),
            is_old,
            problem,
        })
    };
    let new = match way(&roots.new, false) {
        Ok(choice) => {
            let told = |problem| {
                format!("the new system's root {problem}; it is mounted without the options")
            };
            return Choice {
                problem: choice.problem.map(told),
                ..choice
            };
        }
        Err(new) => format!("the new system's root {new}"),
    };
    match way(&roots.old, true) {
        Ok(choice) => Choice {
            problem: Some(new),
            ..choice
        },
        Err(old) => Choice {
            flags: roots.as_journalled(),
            as_given: true,
            is_old: false,
            problem: Some(format!("{new}; the old system's root {old}")),
        },
    }
}

/// Notes why it is not the new root as it was asked for, and rolls back when it is the old one.
/// Never fails: what can't be noted is logged, and the root is the one that the journal names.
pub fn settle(
    top: &Root,
    migration: &mut Migration,
    (given, release): (&str, Option<&str>),
    choice: &Choice,
) -> Next {
    let given = if choice.as_given { given } else { "" };
    // Should the rollback be broken off, the root that it came to is named.
    name_after_each_record(top, migration, given);
    let problem = choice.problem.clone().unwrap_or_default();
    log::error!("{problem}");
    let told = match choice.is_old {
        false => Some(problem),
        true => roll_back(top, migration, &problem)
            .err()
            .map(|error| format!("{problem}; {error}")),
    };
    let settled = told.map_or(Ok(()), |told| migration.refuse(&told));
    if let Err(error) = settled {
        log::error!("{error}");
    }
    let stage = migration.state().stage;
    if stage == Stage::RolledBack && lacks_modules(top, migration.plan(), release) {
        return Next::Reboot;
    }
    if choice.is_old && stage.new_system_is_root() {
        // It can't be made root for the boots to come; in this one it is the only one that starts.
        return Next::RootFlags(choice.flags.clone());
    }
    named_root(top, migration.state(), migration.plan(), given)
}

/// A mount of a root, made as initramfs-tools makes it and taken away again. It is read-only; the
/// file system must not be mounted elsewhere, as kernels before 6.8 look at the options of the first
/// mount only (fs/btrfs/super.c).
#[derive(Debug, Clone, Copy)]
pub struct TestMount<'a> {
    /// The device that holds the root.
    pub device: &'a Path,
    /// An empty directory of rootshift's own.
    pub at: &'a Path,
    /// `init=` of the kernel command line, or what stands for it.
    pub init: &'a str,
}

impl TestMount<'_> {
    /// Why the root can't be booted with these options. `None` when it can be, or when this can't
    /// be tried: nothing is held against a root that nobody has seen.
    #[must_use]
    pub fn problem(&self, flags: &str) -> Option<String> {
        for attempt in 1..=ATTEMPTS {
            match self.mount(flags) {
                Err(error) => {
                    log::warn!("{error}; the root is not tried");
                    return None;
                }
                Ok(ran) if ran.success() => break,
                Ok(_) if attempt < ATTEMPTS => clock::pause(PAUSE),
                Ok(ran) => {
                    let said = first_line(&ran);
                    return Some(format!("can't be mounted with {flags}: {said}"));
                }
            }
        }
        let problem = problem_inside(self.at, self.init);
        if let Err(error) = mount::unmount(self.at) {
            log::warn!("{error}");
        }
        problem
    }

    /// The initramfs' own program does it, as options mean different things to different ones.
    fn mount(&self, flags: &str) -> Result<Output, Error> {
        let (device, at) = (self.device.to_string_lossy(), self.at.to_string_lossy());
        let arguments = ["-r", "-t", "btrfs", "-o", flags, &device, &at];
        process::run("mount", &arguments, false)
    }
}

fn first_line(ran: &Output) -> String {
    let line = ran.stderr_tail.lines().next().unwrap_or_default().trim();
    match line {
        "" => format!("mount ended with {}", ran.status),
        line => line.to_owned(),
    }
}

fn problem_inside(at: &Path, init: &str) -> Option<String> {
    match Root::open(at) {
        Ok(root) => problem_in(&root, init),
        Err(error) => Some(format!("can't be read: {error}")),
    }
}

/// Why this root can't be booted.
pub(super) fn problem_in(root: &Root, init: &str) -> Option<String> {
    let is_program = |path: &&str| {
        let found = root.resolved_status(Path::new(path)).ok().flatten();
        found.is_some_and(|file| file.is_file() && file.mode & EXECUTABLE != 0)
    };
    if let Some(found) = [init]
        .iter()
        .chain(&INITS)
        .copied()
        .find(|path| is_program(path))
    {
        return not_to_be_loaded(root, found);
    }
    if has_usr_elsewhere(root) {
        return None;
    }
    let looked_for = INITS.join(", ");
    Some(format!(
        "holds no init: neither {init} nor any of {looked_for} is a program"
    ))
}

/// A loader on a `/usr` of its own is not looked for.
fn not_to_be_loaded(root: &Root, init: &str) -> Option<String> {
    let program = root.read(Path::new(init)).ok()?;
    let loader = interpreter(&program)?;
    let inside = loader.strip_prefix("/").unwrap_or(&loader);
    let is_gone = matches!(root.resolved_status(inside), Ok(None));
    (is_gone && !has_usr_elsewhere(root))
        .then(|| format!("can't execute {init}: {} is not there", loader.display()))
}

/// initramfs-tools mounts /usr by the new root's fstab before it looks for an init.
fn has_usr_elsewhere(root: &Root) -> bool {
    let fstab = root.read_text(Path::new("etc/fstab"));
    fstab.is_ok_and(|text| Fstab::parse(&text).entry_for("/usr").is_some())
}

#[cfg(test)]
mod tests {
    use super::{Choice, Roots, choose, problem_inside};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;

    fn roots(given: &str) -> Roots {
        Roots {
            given: given.into(),
            new: "@".into(),
            old: "@rootfs".into(),
        }
    }

    /// The choice when only these options work, and what was tried.
    fn when_only(given: &str, working: &[&str]) -> (Choice, Vec<String>) {
        let mut tried = Vec::new();
        let choice = choose(&roots(given), &mut |flags| {
            tried.push(flags.to_owned());
            (!working.contains(&flags)).then(|| format!("fails with {flags}"))
        });
        (choice, tried)
    }

    #[test]
    fn a_sound_new_root_is_tried_once() {
        let (choice, tried) = when_only("noatime", &["subvol=@,noatime", "subvol=@rootfs"]);
        assert_eq!(tried, ["subvol=@,noatime"]);
        assert_eq!(choice.flags, "subvol=@,noatime");
        assert_eq!((choice.is_old, choice.as_given), (false, true));
        assert_eq!(choice.problem, None);
    }

    #[test]
    fn options_that_are_refused_are_left_out_before_the_system_is() {
        let (choice, _) = when_only("nonsense", &["subvol=@", "subvol=@rootfs"]);
        assert_eq!(choice.flags, "subvol=@");
        assert_eq!((choice.is_old, choice.as_given), (false, false));
        let problem = choice.problem.unwrap();
        assert!(problem.contains("subvol=@,nonsense"), "{problem}");
    }

    #[test]
    fn a_new_root_that_no_options_mount_gives_way_to_the_old_one() {
        let (choice, _) = when_only("noatime", &["subvol=@rootfs,noatime", "subvol=@rootfs"]);
        assert_eq!(choice.flags, "subvol=@rootfs,noatime");
        assert_eq!((choice.is_old, choice.as_given), (true, true));
        let problem = choice.problem.unwrap();
        assert_eq!(problem, "the new system's root fails with subvol=@,noatime");
        let (choice, _) = when_only("nonsense", &["subvol=@rootfs"]);
        assert_eq!((choice.is_old, choice.as_given), (true, false));
    }

    #[test]
    fn when_none_can_be_mounted_it_is_the_one_that_the_journal_names() {
        let (choice, tried) = when_only("noatime", &[]);
        assert_eq!(choice.flags, "subvol=@,noatime");
        assert!(!choice.is_old);
        assert_eq!(tried.len(), 4);
        let problem = choice.problem.unwrap();
        assert!(problem.contains("subvol=@,noatime; the old"), "{problem}");
        assert!(problem.contains("subvol=@rootfs,noatime"), "{problem}");
    }

    fn program(root: &Path, path: &str, mode: u32) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn an_init_is_found_through_links_that_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(problem_inside(root, "/sbin/init").is_some());
        program(root, "usr/lib/systemd/systemd", 0o755);
        symlink("usr/lib", root.join("lib")).unwrap();
        symlink("usr/sbin", root.join("sbin")).unwrap();
        fs::create_dir(root.join("usr/sbin")).unwrap();
        symlink("/lib/systemd/systemd", root.join("usr/sbin/init")).unwrap();
        assert_eq!(problem_inside(root, "/sbin/init"), None);
        assert_eq!(problem_inside(root, "/no/such/init"), None);
        program(root, "usr/lib/systemd/systemd", 0o644);
        let problem = problem_inside(root, "/no/such/init").unwrap();
        assert!(problem.contains("/no/such/init"), "{problem}");
    }

    #[test]
    fn an_init_needs_what_loads_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        program(root, "sbin/init", 0o755);
        fs::copy(std::env::current_exe().unwrap(), root.join("sbin/init")).unwrap();
        let problem = problem_inside(root, "/sbin/init").unwrap();
        assert!(
            problem.starts_with("can't execute /sbin/init: /lib"),
            "{problem}"
        );
        let loader = problem.split(' ').nth(3).unwrap();
        program(root, loader.trim_start_matches('/'), 0o755);
        assert_eq!(problem_inside(root, "/sbin/init"), None);
    }

    #[test]
    fn a_shell_is_no_init_unless_it_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        program(folder.path(), "bin/sh", 0o755);
        assert!(problem_inside(folder.path(), "/sbin/init").is_some());
        assert_eq!(problem_inside(folder.path(), "/bin/sh"), None);
    }

    #[test]
    fn an_init_may_be_on_a_usr_that_fstab_mounts() {
        let folder = tempfile::tempdir().unwrap();
        program(folder.path(), "etc/fstab", 0o644);
        assert!(problem_inside(folder.path(), "/sbin/init").is_some());
        let line = "UUID=x /usr ext4 defaults 0 2\n";
        fs::write(folder.path().join("etc/fstab"), line).unwrap();
        assert_eq!(problem_inside(folder.path(), "/sbin/init"), None);
    }
}
