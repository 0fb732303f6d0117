//! The machine that boots: its file systems mounted for as long as it takes, and a new root tried.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Error;
use crate::checks::CheckContext;
use crate::documents::plan::FilesystemIdentity;
use crate::engine::boot::Next;
use crate::engine::bootable::{Roots, TestMount, choose, settle};
use crate::engine::home::Migration;
use crate::engine::others::{
    PATIENCE, find, mount_of_plan, numbered, patience_at_boot, unmount_all,
};
use crate::engine::rehearsal;
use crate::engine::trial::TrialMount;
use crate::report::progress::for_boot;
use crate::report::signs::{Sign, give};
use crate::report::{boot_log, log_file};
use crate::sys::{Root, clock, mount};

/// Who watches over this process has so long to take an override back: two seconds.
const ASKED: u32 = 200;
const MOMENT: Duration = Duration::from_millis(10);

/// What is done at the top level while it is mounted.
pub(super) type Work<'w> = dyn FnMut(&Root, &mut Migration, &CheckContext) -> Next + 'w;

/// Where it happens.
pub(super) struct Site<'a> {
    pub(super) system: &'a Root,
    pub(super) device: &'a Path,
    pub(super) mount_at: &'a Path,
    /// The UUID of the file system on the device.
    pub(super) uuid: &'a str,
    /// The kernel's release, as `uname -r` prints it.
    pub(super) release: Option<&'a str>,
    /// Whether nothing is done but to note why, and to name the root.
    pub(super) broken_off: bool,
}

impl Site<'_> {
    /// Mounts the top level for this. Of the other file systems it waits for those that are needed,
    /// or for all of them, for so long.
    pub(super) fn at_top_level(
        &self,
        wait: Option<Duration>,
        work: &mut Work,
    ) -> Result<Next, Error> {
        self.system.create_directories(self.mount_at, 0o700)?;
        let mounted = mount::mount_top_level(self.device, self.mount_at);
        match self.broken_off {
            false => mounted?,
            // The root can be named from what can only be read.
            true => {
                mounted.or_else(|_| mount::mount_top_level_read_only(self.device, self.mount_at))?
            }
        }
        let next = self.opened(wait, work);
        let failure = next.as_ref().err().map(ToString::to_string);
        boot_log::keep(self.mount_at, failure.as_deref());
        if let Err(error) = mount::unmount(self.mount_at) {
            log::warn!("{error}"); // all that matters is durable; the root is still the one to boot
        }
        next
    }

    fn opened(&self, wait: Option<Duration>, work: &mut Work) -> Result<Next, Error> {
        let top = Root::open(self.mount_at)?;
        let Some(migration) = self.migration(&top)? else {
            return Ok(Next::Ordinary);
        };
        let plan = migration.plan().clone();
        let next = self.with_top_level(&top, migration, wait, work);
        unmount_all(self.system, &plan, self.mount_at);
        next
    }

    fn with_top_level(
        &self,
        top: &Root,
        mut migration: Migration,
        wait: Option<Duration>,
        work: &mut Work,
    ) -> Result<Next, Error> {
        let plan = migration.plan().clone();
        if !self.broken_off {
            if let Some(patience) = wait.or_else(|| patience_at_boot(&migration)) {
                let there = mount_of_plan(self.system, &plan, self.mount_at, patience);
                migration.others = Arc::new(there);
            }
            tell_as_wanted(&mut migration);
        }
        let others = Arc::clone(&migration.others);
        let FilesystemIdentity { uuid, aliases } = plan.filesystem.clone();
        let identity = FilesystemIdentity { uuid, aliases };
        let context = CheckContext {
            system: self.system,
            mounts: &[],
            top: Some(top),
            old_root: &plan.old_system.root,
            layout: &plan.layout,
            identity: Some(&identity),
            others: &others,
        };
        let next = work(top, &mut migration, &context);
        migration.progress().finish();
        match migration.unnoted.take() {
            Some(reason) => Err(Error::Unnoted(reason)),
            None => Ok(next),
        }
    }

    fn migration(&self, top: &Root) -> Result<Option<Migration>, Error> {
        let opened = match Migration::open(top) {
            // Who holds it goes on; the root can be named all the same.
            Err(error) if self.broken_off && error.is_busy() => Migration::look(top),
            opened => opened,
        };
        let Some(migration) = opened? else {
            log::warn!("the image is armed and the disk has no journal: nothing is done");
            return Ok(None);
        };
        if migration.plan().filesystem.uuid != self.uuid {
            log::warn!("the journal is another file system's: nothing is done");
            return Ok(None);
        }
        Ok(Some(migration))
    }

    /// A boot in which nothing overrides the root, where it can be booted as the kernel command
    /// line names it; else the first root that can be.
    pub(super) fn rehearsed(&self, roots: Roots, boot: Option<&str>, param_conf: &Path) -> Next {
        give(Sign::At(
            "while the root was tried as the boot loader names it",
        ));
        let reason = match self.problem(&roots.given) {
            Some(problem) => Some(format!("the new root {problem}")),
            None => still_overridden(param_conf),
        };
        let recorded = self.at_top_level(None, &mut |_, migration, _| {
            let recorded = match &reason {
                None => rehearsal::begin(migration, boot),
                Some(reason) => rehearsal::fail(migration, reason),
            };
            match recorded {
                Ok(()) if reason.is_none() => Next::Ordinary,
                Ok(()) => Next::NewRoot(roots.clone()),
                Err(error) => {
                    log::error!("{error}");
                    Next::NewRoot(roots.clone())
                }
            }
        });
        match recorded {
            Ok(Next::Ordinary) => Next::Ordinary,
            Ok(_) => self.seen(&roots),
            Err(error) => {
                log::error!("{error}");
                self.seen(&roots)
            }
        }
    }

    /// Why the root can't be booted with these options.
    fn problem(&self, flags: &str) -> Option<String> {
        let at = trial_of(self.mount_at);
        if let Err(error) = self.system.create_directories(&at, 0o700) {
            return Some(error.to_string());
        }
        let init = std::env::var("init").unwrap_or_else(|_| "/sbin/init".into());
        let test = TestMount {
            device: self.device,
            at: &at,
            init: &init,
        };
        test.problem(flags)
    }

    /// Mounts each of these lines once, while nothing of the layout's file systems is mounted. The
    /// first that can't be, in words.
    pub(super) fn tried(&self, lines: &[TrialMount]) -> Result<(), String> {
        let at = trial_of(self.mount_at);
        let made = self.system.create_directories(&at, 0o700);
        made.map_err(|error| error.to_string())?;
        for line in lines {
            give(Sign::At(&format!(
                "while {} was mounted on trial",
                line.shown
            )));
            let Err(why) = self.tried_one(line, &at) else {
                log::info!("{} can be mounted", line.shown);
                continue;
            };
            let TrialMount { shown, options, .. } = line;
            let problem = format!("{shown} can't be mounted with {options}: {why}");
            if !line.may_fail {
                return Err(problem);
            }
            log::warn!("{problem}; neither could it be in the old system");
        }
        give(Sign::At("after the new fstab was mounted on trial"));
        Ok(())
    }

    fn tried_one(&self, line: &TrialMount, at: &Path) -> Result<(), String> {
        let found = match line.uuid == self.uuid {
            true => Some(self.device.to_path_buf()),
            false => find(self.system, &line.uuid).map_err(|error| error.to_string())?,
        };
        let device = found.ok_or_else(|| format!("no disk holds UUID={}", line.uuid))?;
        mount::try_btrfs(&device, at, &line.options).map_err(|error| error.to_string())
    }

    /// The first root that can be booted, seen while nothing of the file system is mounted.
    pub(super) fn seen(&self, roots: &Roots) -> Next {
        give(Sign::At("while the new root was tried"));
        let at = trial_of(self.mount_at);
        if let Err(error) = self.system.create_directories(&at, 0o700) {
            log::warn!("{error}; the root is not tried");
            return Next::RootFlags(roots.as_journalled());
        }
        let init = std::env::var("init").unwrap_or_else(|_| "/sbin/init".into());
        let test = TestMount {
            device: self.device,
            at: &at,
            init: &init,
        };
        let choice = choose(roots, &mut |flags| test.problem(flags));
        if choice.problem.is_none() {
            return Next::RootFlags(choice.flags);
        }
        let wait = choice.is_old.then_some(PATIENCE);
        let settled = self.at_top_level(wait, &mut |top, migration, _| {
            settle(top, migration, (&roots.given, self.release), &choice)
        });
        settled.unwrap_or_else(|error| {
            log::error!("{error}");
            Next::RootFlags(roots.as_journalled())
        })
    }
}

/// Has what was told the initramfs before taken back, and sees that it is.
fn still_overridden(param_conf: &Path) -> Option<String> {
    give(Sign::AsGiven);
    let folder = param_conf.parent().unwrap_or(Path::new("/"));
    let name = Path::new(param_conf.file_name().unwrap_or_default());
    for _ in 0..ASKED {
        match Root::open(folder).and_then(|root| root.read_text(name)) {
            Err(error) if error.is_not_found() => return None,
            Ok(text) if !text.contains("ROOTFLAGS=") => return None,
            Ok(_) => clock::pause(MOMENT),
            Err(error) => return Some(error.to_string()),
        }
    }
    Some(format!("{} overrides the root", param_conf.display()))
}

/// Where a root is tried.
fn trial_of(mount_at: &Path) -> PathBuf {
    PathBuf::from(format!("{}.root", mount_at.display()))
}

fn tell_as_wanted(migration: &mut Migration) {
    let monitoring = migration.plan().monitoring();
    log_file::set_level(monitoring.log_level);
    migration.show_progress(for_boot(monitoring.progress_tracking));
}

/// A mount over the same mount is refused.
pub(super) fn unmount_left_over(system: &Root, mount_at: &Path) {
    let numbers = (1..).map(|number| numbered(mount_at, number));
    let others = numbers.take_while(|at| matches!(system.exists(at), Ok(true)));
    for at in others.chain([trial_of(mount_at), mount_at.to_path_buf()]) {
        if let Err(error) = mount::unmount_left_over(&at) {
            log::warn!("{error}");
        }
    }
}
