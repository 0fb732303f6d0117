//! The new fstab on trial: before the commit each of its lines that mounts one of the layout's file
//! systems is mounted once, read-only and out of sight, and unmounted again. A line that can't be
//! mounted would be an emergency shell at the first boot; so the old system stays.
//!
//! What it proves: the kernel of this boot takes every option of the line, and finds the subvolume
//! by its name. Nothing else of the file system is mounted meanwhile, not even its top level:
//! kernels before 6.8 read the options of the first mount only and take anything for the others
//! (fs/btrfs/super.c), and later ones keep the first mount's options for the whole file system.
//! What it does not prove: that another kernel takes the options too; that the line can be mounted
//! for writing; what only the mount program and systemd read (`nofail`, `x-…`), which no kernel ever
//! sees; and the context of a security module, which is not loaded yet.

use std::path::Path;

use super::Error;
use crate::bootcfg::fstab::{Entry, Fstab};
use crate::documents::Plan;
use crate::documents::mount_options::{Reader, is_ext_only, reader, split};
use crate::sys::Root;
use crate::sys::file_system_context::FileSystemContext;

/// One line of the new fstab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialMount {
    /// The UUID of its file system.
    pub uuid: String,
    /// What the kernel gets of its options, as `subvol=@home,compress=zstd`.
    pub options: String,
    /// What messages call it.
    pub shown: String,
    /// Whether the old system had this very line, and boots without it: no reason to stay there.
    pub may_fail: bool,
}

/// The lines that are to be tried, each set of options once.
///
/// # Errors
/// When a file can't be read.
pub(super) fn lines(top: &Root, plan: &Plan) -> Result<Vec<TrialMount>, Error> {
    let file = Path::new("etc/fstab");
    let new = top.within(Path::new(plan.root_subvolume()))?;
    let new = Fstab::parse(&new.read_text(file)?);
    let old = top.within(&plan.old_system.path(""))?.read_text(file);
    let old = Fstab::parse(&old.unwrap_or_default());
    let mut lines: Vec<TrialMount> = Vec::new();
    for filesystem in plan.filesystems() {
        let identity = filesystem.identity;
        for entry in new.entries_of(&identity.uuid, &identity.aliases) {
            let line = TrialMount {
                uuid: identity.uuid.clone(),
                options: for_the_kernel(entry),
                shown: format!(
                    "line {} of the new fstab ({})",
                    entry.line, entry.mount_point
                ),
                may_fail: is_optional(entry) && old.entries().any(|known| is_same(known, entry)),
            };
            let same = |known: &&mut TrialMount| {
                (&known.uuid, &known.options) == (&line.uuid, &line.options)
            };
            match lines.iter_mut().find(same) {
                Some(known) => known.may_fail &= line.may_fail,
                None => lines.push(line),
            }
        }
    }
    Ok(lines)
}

/// Options of the new fstab's lines that this kernel refuses, asked without mounting anything. Empty
/// where it can't be asked (before 6.8): then the trial before the commit tells. It can't be told
/// here what depends on the file system, as `space_cache=v1`, or on another kernel.
///
/// # Errors
/// When the old fstab can't be read.
pub fn refused_options(top: &Root, plan: &Plan) -> Result<Vec<String>, Error> {
    let Some(context) = FileSystemContext::of_btrfs() else {
        return Ok(Vec::new());
    };
    let old = top.within(&plan.old_system.path(""))?;
    let old = Fstab::parse(&old.read_text(Path::new("etc/fstab"))?);
    let mut refused: Vec<String> = Vec::new();
    for filesystem in plan.filesystems() {
        let identity = filesystem.identity;
        let lines = old.entries_of(&identity.uuid, &identity.aliases);
        // A line that stays as it is fails as it failed before.
        let is_ours = |entry: &&Entry| {
            let mut layout = filesystem.layout.subvolumes.iter();
            let bare = |place: &str| place.trim_end_matches('/').to_owned();
            layout.any(|one| bare(&one.mount_point) == bare(&entry.mount_point))
        };
        let lines = lines.filter(|entry| is_ours(entry) || !is_optional(entry));
        let given = lines.flat_map(|entry| &entry.options);
        let asked = filesystem.layout.subvolumes.iter();
        let asked = asked.flat_map(|subvolume| &subvolume.options);
        for option in given.chain(asked).flat_map(|options| split(options)) {
            let is_taken = !is_for_btrfs(option) || is_ext_only(option) || context.takes(option);
            if !is_taken && !refused.iter().any(|known| known == option) {
                refused.push(option.to_owned());
            }
        }
    }
    Ok(refused)
}

/// The options without those that no kernel sees, or that say nothing of the file system.
fn for_the_kernel(entry: &Entry) -> String {
    let options = entry.options.iter().flat_map(|options| split(options));
    let seen = options.filter(|option| is_for_btrfs(option));
    seen.collect::<Vec<&str>>().join(",")
}

fn is_for_btrfs(option: &str) -> bool {
    match reader(option) {
        Some(Reader::Fstab | Reader::Kernel | Reader::Security) => false,
        Some(Reader::Btrfs) | None => true,
    }
}

fn is_optional(entry: &Entry) -> bool {
    let mut options = entry.options.iter();
    options.any(|option| option == "nofail" || option == "noauto")
}

fn is_same(one: &Entry, other: &Entry) -> bool {
    let what = |entry: &Entry| {
        let (source, place) = (entry.source.clone(), entry.mount_point.clone());
        (source, place, entry.options.clone())
    };
    what(one) == what(other)
}

#[cfg(test)]
mod tests {
    use super::{for_the_kernel, is_optional};
    use crate::bootcfg::fstab::Fstab;

    #[test]
    fn the_kernel_gets_what_is_btrfs_own_or_unknown() {
        let text = "UUID=u /home btrfs noatime,nofail,x-systemd.automount,compress=zstd:1,\
                    subvol=@home,bogus,context=\"a,b\",_netdev 0 0\n";
        let fstab = Fstab::parse(text);
        let entry = fstab.entries().next().unwrap();
        assert_eq!(for_the_kernel(entry), "compress=zstd:1,subvol=@home,bogus");
        assert!(is_optional(entry));
    }
}
