//! Whether a frozen plan still fits the machine: nothing is begun or gone on with while it does not.

use super::Error;
use super::home::Migration;
use super::kept::{self, Disk};
use super::links::cut_since;
use super::mount_lines::Mounting;
use super::others::top_at;
use super::preflight::{Finding, finding, look, own_checks};
use super::survey::{GRUB_CONFIG, boot_images, fingerprints, old_system};
use crate::checks::{CheckContext, installed, validation_starts};
use crate::documents::CheckSpec;
use crate::documents::plan::{Fingerprint, KeptSubvolume, STAGING};
use crate::journal::record::BootImage;
use crate::sys::{Root, block, btrfs};
use std::path::Path;

/// What makes a plan fit again that was made for another machine.
const REARM: &str = "rootshift disarm`, then `rootshift arm";
/// What makes a plan fit again after an update of a kernel or of an image.
const RENEW: &str = "rootshift arm --renew";

/// Files and images of the old system, as a plan is held against them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Present {
    pub fingerprints: Vec<Fingerprint>,
    pub images: Vec<BootImage>,
}

impl Present {
    pub fn of(old: &Root) -> Result<Self, Error> {
        Ok(Self {
            fingerprints: fingerprints(old)?,
            images: boot_images(old)?,
        })
    }
}

fn stale(remedy: &'static str, reason: String) -> Error {
    Error::Stale { reason, remedy }
}

/// The boot may begin: the plan of the image is the journal's, and the old system is what the plan
/// was made from.
pub(super) fn still_fits(top: &Root, migration: &Migration, image_plan: &str) -> Result<(), Error> {
    let frozen = &migration.frozen;
    if image_plan != frozen.digest {
        let reason = "the initramfs holds another plan than the journal".into();
        return Err(stale(REARM, reason));
    }
    let old = top.within(&frozen.plan.old_system.path(""))?;
    let present = Present::of(&old)?;
    same_machine(top, migration, &present)?;
    match updated(migration, &present) {
        Some(name) => Err(stale(
            RENEW,
            format!("{name} was changed, added or removed since"),
        )),
        None => Ok(()),
    }
}

/// What no update of a kernel changes: the other files that the plan was made from, and which
/// subvolumes there are.
pub(super) fn same_machine(
    top: &Root,
    migration: &Migration,
    present: &Present,
) -> Result<(), Error> {
    let then = &migration.plan().fingerprints;
    let changed = |now: &&Fingerprint| now.path != GRUB_CONFIG && !then.contains(now);
    if let Some(changed) = present.fingerprints.iter().find(changed) {
        return Err(stale(REARM, format!("{} was changed since", changed.path)));
    }
    if nested_changed(top, migration)? {
        let reason = "a subvolume was made or deleted in the old system since".into();
        return Err(stale(REARM, reason));
    }
    Ok(())
}

/// The first of grub.cfg and the images that is not as it was when it was armed, or last renewed.
pub(super) fn updated(migration: &Migration, present: &Present) -> Option<String> {
    let state = migration.state();
    let known = match state.fingerprints.as_slice() {
        [] => &migration.plan().fingerprints,
        renewed => renewed,
    };
    let (now, then) = (&present.images, &state.images);
    let files = present.fingerprints.iter();
    let mut files = files.filter(|file| file.path == GRUB_CONFIG && !known.contains(file));
    let changed = || now.iter().find(|image| !then.contains(image));
    let gone = || then.iter().find(|image| !now.contains(image));
    files.next().map(|file| file.path.clone()).or_else(|| {
        let image = changed().or_else(gone)?;
        Some(format!("/boot/{}", image.name))
    })
}

/// Whether subvolumes were made or deleted in an old system: a new one would be missing from the
/// new system.
fn nested_changed(top: &Root, migration: &Migration) -> Result<bool, Error> {
    let plan = migration.plan();
    for filesystem in plan.filesystems() {
        let layout = filesystem.layout;
        let Some(top) = top_at(top, &migration.others, &layout.mounted_at) else {
            continue;
        };
        let root = &filesystem.old_system.root;
        let kept: Vec<KeptSubvolume> = plan.kept_on(&layout.mounted_at).cloned().collect();
        if !kept.iter().all(|one| is_there(top, one)) {
            return Ok(true);
        }
        let mut nested = old_system(top, root, &kept)?.nested;
        // Those of a root that is a subvolume itself are beside it.
        let ours = layout.subvolumes.iter().filter(|_| root.is_empty());
        let ours: Vec<&str> = ours.map(|subvolume| subvolume.name.as_str()).collect();
        nested.retain(|path| !ours.iter().any(|name| Path::new(path).starts_with(name)));
        if nested != filesystem.old_system.nested {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the very subvolume is there that was to stay.
fn is_there(top: &Root, kept: &KeptSubvolume) -> bool {
    let path = Path::new(&kept.path);
    let info = match btrfs::is_subvolume(top, path) {
        Ok(true) => btrfs::subvolume_info(top, path),
        Ok(false) | Err(_) => return false,
    };
    info.is_ok_and(|info| block::uuid_text(info.uuid) == kept.uuid)
}

/// What can have changed since arming without a fingerprint. Nothing has been begun yet, so that
/// a finding is a refusal: the machine can be mended and started again.
pub(super) fn look_again(
    top: &Root,
    migration: &Migration,
    context: &CheckContext,
) -> Result<(), Error> {
    if migration.state().has_work() {
        return Ok(());
    }
    nothing_unknown_is_prepared(top, migration)?;
    same_names(top, migration)?;
    no_link_is_cut(top, migration, context)?;
    look_at(context, &|check| {
        matches!(
            check,
            CheckSpec::NamesFree {}
                | CheckSpec::NestedSubvolumes {}
                | CheckSpec::FreeSpace(_)
                | CheckSpec::NothingImmutable {}
        )
    })
}

/// Nothing is begun nor gone on with where nobody would validate it: the package was removed.
pub(super) fn still_installed(context: &CheckContext) -> Result<(), Error> {
    let found = [
        finding("rootshift stays", installed(context)),
        finding(
            "the new system will be validated",
            validation_starts(context),
        ),
    ];
    match found.iter().find(|found| found.blocks()) {
        Some(found) => Err(Error::NotNow(found.line())),
        None => Ok(()),
    }
}

/// Nothing is mounted by a name that the plan does not know.
fn same_names(top: &Root, migration: &Migration) -> Result<(), Error> {
    let plan = migration.plan();
    let mounting = Mounting::of_files(&top.within(&plan.old_system.path(""))?)?;
    for filesystem in plan.filesystems() {
        let place = filesystem.layout.mounted_at.as_str();
        let Some(top) = top_at(top, &migration.others, place) else {
            continue;
        };
        let found = kept::on(
            &Disk {
                place,
                top,
                root: &filesystem.old_system.root,
                identity: filesystem.identity,
                device: None,
            },
            &mounting,
        )?;
        let known = |path: &str| plan.kept_on(place).any(|kept| kept.path == path);
        if let Some(new) = found.kept.iter().find(|one| !known(&one.path)) {
            let by = new.named_by.join(", ");
            return Err(stale(
                REARM,
                format!("{by} mounts the subvolume {} by its name now", new.path),
            ));
        }
        if let Some(doubt) = found.doubts.first() {
            return Err(stale(REARM, doubt.problem.clone()));
        }
    }
    Ok(())
}

/// A hard link can have been made since arming. A plan of before that tells no generation: then all
/// is walked over.
fn no_link_is_cut(top: &Root, migration: &Migration, context: &CheckContext) -> Result<(), Error> {
    for filesystem in migration.plan().filesystems() {
        let place = &filesystem.layout.mounted_at;
        let Some(top) = top_at(top, &migration.others, place) else {
            continue;
        };
        if filesystem.old_system.generation.is_none() {
            return look_at(context, &|check| {
                matches!(check, CheckSpec::NoStraddlingLinks {})
            });
        }
        if let Some([one, other]) = cut_since(top, filesystem)? {
            let [one, other] = [one, other].map(|path| Path::new(place).join(path));
            return Err(Error::NotNow(format!(
                "{} and {} are one file (a hard link made since arming), and belong into two \
                 subvolumes; run `rootshift check`",
                one.display(),
                other.display()
            )));
        }
    }
    Ok(())
}

/// Looks at those of rootshift's own checks that are wanted.
pub(super) fn look_at(
    context: &CheckContext,
    wanted: &dyn Fn(&CheckSpec) -> bool,
) -> Result<(), Error> {
    let checks = own_checks()
        .into_iter()
        .filter(|check| wanted(&check.check));
    let findings = checks.map(|check| look(&check, None, context));
    let problems: Vec<String> = findings
        .filter(Finding::blocks)
        .map(|finding| finding.line())
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::Checks { problems })
    }
}

/// A prepared subvolume that the journal does not know of (it is older: somebody put it back) would
/// be taken for the work of this run, whatever the old system has become since.
fn nothing_unknown_is_prepared(top: &Root, migration: &Migration) -> Result<(), Error> {
    for filesystem in migration.plan().filesystems() {
        let place = &filesystem.layout.mounted_at;
        let Some(top) = top_at(top, &migration.others, place) else {
            continue;
        };
        let staging = Path::new(STAGING);
        if !top.exists(staging)? {
            continue;
        }
        for name in top.list(staging)? {
            let path = staging.join(name);
            if btrfs::is_subvolume(top, &path)? {
                return Err(Error::NotNow(format!(
                    "{} on the file system of {place} is work that the journal does not know of: \
                     was a part of the disk put back? Run `rootshift disarm`, then `rootshift \
                     recover`: it says whose it is",
                    path.display()
                )));
            }
        }
    }
    Ok(())
}
