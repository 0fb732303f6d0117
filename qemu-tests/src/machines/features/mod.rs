//! What a machine can have: one name and one function each.

mod boot;
mod files;
mod fstab;
mod layout;
mod loaders;
mod subvolumes;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::base::{EVE, own};
use super::bench::Bench;
use crate::run::{run, tool};
use crate::sweep::chance::Chance;

/// Something that a machine has.
pub struct Feature {
    /// As it is written.
    pub name: &'static str,
    /// Of a hundred machines so many have it, in the mean.
    pub weight: u8,
    /// Brings it about.
    pub make: fn(&mut Build) -> Result<()>,
}

impl std::fmt::Debug for Feature {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

/// One feature.
const fn feature(name: &'static str, weight: u8, make: fn(&mut Build) -> Result<()>) -> Feature {
    Feature { name, weight, make }
}

/// All of them, in the order in which a machine gets them.
pub static ALL: &[Feature] = &[
    feature("rootfs", 35, |_| Ok(())),
    feature("umask", 8, |_| Ok(())),
    feature("swapper", 15, |_| Ok(())),
    feature("split-srv", 15, layout::srv),
    feature("split-models", 25, layout::models),
    feature("split-opt", 10, layout::opt),
    feature("split-tmp", 10, layout::tmp),
    feature("split-var-tmp", 10, layout::var_tmp),
    feature("split-cache", 8, layout::cache),
    feature("split-user", 8, layout::user),
    feature("split-eve", 8, layout::eve),
    feature("split-boot", 2, layout::boot),
    feature("split-etc", 2, layout::etc),
    feature("split-usr", 2, layout::usr),
    feature("split-missing", 3, layout::missing),
    feature("split-odd-options", 3, layout::odd_options),
    feature("by-template", 10, layout::by_template),
    feature("two-filesystems", 8, layout::two_filesystems),
    feature("eve-models", 30, layout::eve_owns_models),
    feature("root-by-label", 10, fstab::root_by_label),
    feature("root-by-partuuid", 10, fstab::root_by_partuuid),
    feature("root-by-path", 4, fstab::root_by_path),
    feature("root-twice", 4, fstab::root_twice),
    feature("fstab-comments", 15, fstab::comments),
    feature("fstab-white-space", 12, fstab::white_space),
    feature("fstab-octal", 8, fstab::octal),
    feature("fstab-bind", 10, fstab::bind),
    feature("fstab-noauto", 8, fstab::noauto),
    feature("fstab-automount", 6, fstab::automount),
    feature("fstab-systemd", 8, fstab::systemd_options),
    feature("fstab-absent", 8, fstab::absent),
    feature("fstab-present", 10, fstab::present),
    feature("fstab-home-elsewhere", 3, fstab::home_elsewhere),
    feature("fstab-no-line-end", 5, fstab::no_line_end),
    feature("fstab-tmpfs", 10, fstab::tmpfs),
    feature("fstab-swap", 8, fstab::swap),
    feature("swap-file", 3, fstab::swap_file),
    feature("data-by-name", 8, fstab::data_by_name),
    feature("data-by-id", 5, fstab::data_by_id),
    feature("data-at-its-place", 5, fstab::data_at_its_place),
    feature("data-noauto", 4, fstab::data_noauto),
    feature("home-by-name", 4, fstab::home_by_name),
    feature("nested", 15, subvolumes::nested),
    feature("nested-deep", 8, subvolumes::nested_deep),
    feature("nested-var", 3, subvolumes::nested_var),
    feature("nested-odd-name", 6, subvolumes::nested_odd_name),
    feature("nested-empty-names", 5, subvolumes::nested_among_splits),
    feature("read-only-snapshot", 3, subvolumes::read_only_snapshot),
    feature("snapshots", 5, subvolumes::snapshots),
    feature("timeshift", 4, subvolumes::timeshift),
    feature("rolled-back", 4, subvolumes::rolled_back),
    feature("default-subvolume", 3, subvolumes::default_subvolume),
    feature("quota", 6, subvolumes::quota),
    feature("other-system", 5, subvolumes::other_system),
    feature("odd-names", 12, files::odd_names),
    feature("long-names", 8, files::long_names),
    feature("hard-links", 12, files::hard_links),
    feature("link-across", 3, files::link_across),
    feature("immutable", 8, files::immutable),
    feature("append-only", 6, files::append_only),
    feature("immutable-boot", 2, files::immutable_boot),
    feature("no-cow", 8, files::no_cow),
    feature("acl", 10, files::acl),
    feature("xattrs", 10, files::xattrs),
    feature("capabilities", 8, files::capabilities),
    feature("sparse", 8, files::sparse),
    feature("special", 8, files::special),
    feature("old-times", 8, files::old_times),
    feature("owners", 8, files::owners),
    feature("broken-links", 8, files::broken_links),
    feature("looping-links", 6, files::looping_links),
    feature("no-kernel-links", 8, files::no_kernel_links),
    feature("looping-kernel-links", 3, files::looping_kernel_links),
    feature("trash-name", 2, files::trash_name),
    feature("grub-defaults", 12, boot::defaults),
    feature("grub-drop-in", 8, boot::drop_in),
    feature("grub-drop-in-rootflags", 4, boot::drop_in_rootflags),
    feature("grub-entries", 10, boot::entries),
    feature("grub-custom", 5, boot::custom),
    feature("grub-no-rootflags", 2, boot::no_root_flags),
    feature("two-kernels", 12, boot::two_kernels),
    feature("empty-kernel", 2, boot::empty_kernel),
    feature("by-path-folders", 4, boot::by_path_folders),
    feature("loader-entries", 4, loaders::entries),
    feature("loader-systemd-boot", 3, loaders::systemd_boot),
    feature("loader-refind", 2, loaders::refind),
    feature("loader-stub", 2, loaders::stub),
];

/// What a batch says where it is not the shipped one.
#[derive(Debug, Default)]
pub struct Layout {
    /// Directories that become subvolumes, with options.
    pub splits: Vec<(String, Option<String>)>,
    /// Whether the second disk is in it, at /ml.
    pub with_other: bool,
    /// Whether the program itself writes it.
    pub by_template: bool,
}

/// A machine that is being made.
#[derive(Debug)]
pub struct Build<'a> {
    pub bench: &'a Bench,
    /// The top level.
    pub top: PathBuf,
    /// The root of the system.
    pub root: PathBuf,
    /// The subvolume that is root; empty for the top level.
    pub subvolume: &'static str,
    pub chance: Chance,
    pub layout: Layout,
    /// How fstab names the root.
    pub root_source: String,
    /// Fstab's lines before and after that of the root.
    pub before: Vec<String>,
    pub lines: Vec<String>,
    pub comments: bool,
    pub white_space: bool,
    pub ends_with_line: bool,
    /// Lines of /etc/default/grub.
    pub defaults: Vec<String>,
    /// More of grub.cfg.
    pub entries: String,
    pub kernels: Vec<String>,
    /// What another loader than GRUB gives the kernel.
    pub direct: Option<String>,
    /// Flags are compared in these places.
    pub flagged: Vec<String>,
    pub root_flags_in_menu: bool,
    /// Made immutable when all is there.
    pub immutable: Vec<String>,
}

impl Build<'_> {
    /// Writes a file of the system, with the directories above it.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.root.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }

    /// Runs a program on a file of the system.
    pub fn on(&self, words: &[&str], path: &str) -> Result<()> {
        let (program, words) = words.split_first().context("a program")?;
        run(tool(program).args(words).arg(self.root.join(path)))
    }

    /// Makes a subvolume of the system.
    pub fn subvolume(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = self.root.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        run(tool("btrfs")
            .args(["-q", "subvolume", "create", "--"])
            .arg(path))
    }

    /// One of these.
    pub fn one_of<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of.get(self.chance.below(of.len())).copied().unwrap_or("")
    }

    /// A line of fstab for a subvolume of the root file system.
    pub fn line_for(&self, at: &str, options: &str) -> String {
        format!("UUID={} {at} btrfs {options} 0 0", self.bench.disk.uuid)
    }

    /// Where a subvolume of the root is, as mount options name it.
    pub fn named(&self, path: &str) -> String {
        match self.subvolume {
            "" => path.to_owned(),
            root => format!("{root}/{path}"),
        }
    }

    /// The hostile user's.
    pub fn give_to_eve(&self, path: &str) -> Result<()> {
        own(&self.root.join(path), EVE)
    }
}
