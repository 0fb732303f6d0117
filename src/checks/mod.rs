//! The checks: one file per kind (small ones of a family together). A check only looks.
//!
//! It has two ways not to pass: it looked and something is wrong ([`Outcome::Fail`]), or it could
//! not look ([`Error`]).

mod boot_chain;
mod boot_loader;
mod command_output;
mod docker;
mod error;
mod file;
mod fitting;
mod flat_btrfs_root;
mod free_space;
mod fstab;
mod hard_links;
mod hibernation;
mod immutable;
mod initramfs_tools;
mod installed;
mod known;
mod layout_mounted;
mod machine;
mod mounts;
mod names;
mod names_free;
mod nested_subvolumes;
mod place;
mod properties;
mod root_flags;
mod services;
mod started;
mod subvolumes;
mod swap_file;
mod twins;
mod words;

use std::path::{Path, PathBuf};

pub use error::Error;
pub use fitting::fitting_batch;
pub use fstab::names_layout as fstab_names_layout;
pub use hibernation::hibernated_device;
pub use installed::installed;
pub use started::validation_starts;
pub use twins::twin_devices;

use known::Known;
use names::Kind;

use crate::bootchain::NewSystem;
use crate::documents::layout::FilesystemLayout;
use crate::documents::plan::FilesystemIdentity;
use crate::documents::{CheckSpec, Layout};
use crate::sys::Root;
use crate::sys::mount::Mount;

/// What a check may look at.
#[derive(Debug, Clone, Copy)]
pub struct CheckContext<'a> {
    /// The running system.
    pub system: &'a Root,
    /// What is mounted in it.
    pub mounts: &'a [Mount],
    /// The top level of the root file system, where it could be mounted.
    pub top: Option<&'a Root>,
    /// The subvolume at the top level that is the old system's root; empty for the top level.
    pub old_root: &'a str,
    /// Which subvolume is mounted where, once all is done.
    pub layout: &'a Layout,
    /// How the root file system is known.
    pub identity: Option<&'a FilesystemIdentity>,
    /// The layout's other file systems, as far as they could be mounted.
    pub others: &'a [MountedFilesystem],
}

/// A file system that is not the root's, with its top level mounted.
#[derive(Debug)]
pub struct MountedFilesystem {
    /// Where it is mounted in the old system.
    pub mounted_at: String,
    /// How it is known.
    pub identity: FilesystemIdentity,
    /// Its top level.
    pub top: Root,
}

/// One file system of the layout, as checks look at it.
#[derive(Debug, Clone, Copy)]
struct View<'a> {
    layout: &'a FilesystemLayout,
    top: &'a Root,
    old_root: &'a str,
}

impl View<'_> {
    /// The old root, without what is mounted over it.
    fn old(&self) -> Result<Root, Error> {
        Ok(self.top.within(Path::new(self.old_root))?)
    }

    /// A path of it as the old system sees it.
    fn shown(&self, inside: &Path) -> PathBuf {
        let inside = inside.strip_prefix("/").unwrap_or(inside);
        let inside = inside.strip_prefix(".").unwrap_or(inside);
        Path::new(&self.layout.mounted_at).join(inside)
    }
}

impl<'a> CheckContext<'a> {
    /// What is mounted exactly here; the last mount is the one that is seen.
    #[must_use]
    pub fn mount_at(&self, mount_point: &str) -> Option<&'a Mount> {
        self.mounts
            .iter()
            .rev()
            .find(|mount| mount.mount_point == Path::new(mount_point))
    }

    /// Name of the subvolume that the layout mounts here.
    fn subvolume_at(&self, mount_point: &str) -> Option<&'a str> {
        let filesystems = self.layout.filesystems.iter();
        let mut subvolumes = filesystems.flat_map(|filesystem| &filesystem.subvolumes);
        let found = subvolumes.find(|known| known.mount_point == mount_point);
        found.map(|subvolume| subvolume.name.as_str())
    }

    /// All file systems of the layout, the root's first.
    fn views(&self) -> Result<Vec<View<'a>>, Error> {
        let root = self
            .layout
            .root()
            .ok_or_else(|| Error::Malformed("the layout has no root file system".into()))?;
        let mut views = vec![View {
            layout: root,
            top: self.top()?,
            old_root: self.old_root,
        }];
        for layout in self.layout.others() {
            let mut there = self.others.iter();
            let there = there.find(|other| other.mounted_at == layout.mounted_at);
            let there = there.ok_or_else(|| Error::Missing(layout.mounted_at.clone()))?;
            views.push(View {
                layout,
                top: &there.top,
                old_root: "",
            });
        }
        Ok(views)
    }

    /// How a file system is known; none when it is missing.
    fn identity_of(&self, layout: &FilesystemLayout) -> Option<&'a FilesystemIdentity> {
        if layout.mounted_at == "/" {
            return self.identity;
        }
        let mut others = self.others.iter();
        let there = others.find(|other| other.mounted_at == layout.mounted_at)?;
        Some(&there.identity)
    }

    /// The system that the layout describes, as the boot loader has to find it.
    fn new_system(&self) -> Result<NewSystem<'a>, Error> {
        Ok(NewSystem {
            top: self.top()?,
            root: self.main(),
            old_root: self.old_root,
            identity: self.identity,
        })
    }

    fn top(&self) -> Result<&'a Root, Error> {
        self.top.ok_or(Error::NoTopLevel)
    }

    /// The old system's root, without what is mounted over it.
    fn old(&self) -> Result<Root, Error> {
        Ok(self.top()?.within(Path::new(self.old_root))?)
    }

    /// Name of the layout's root subvolume.
    fn main(&self) -> &'a str {
        let main = self.layout.root().and_then(|filesystem| filesystem.main());
        main.map_or("@", |subvolume| subvolume.name.as_str())
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it should be.
    Pass,
    /// It is not.
    Fail {
        /// What is wrong, naming the thing.
        problem: String,
        /// What to do about it.
        remedy: String,
    },
    /// There is nothing to look at.
    Skip(String),
}

impl Outcome {
    pub(crate) fn fail(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Fail {
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

/// Looks at one thing.
///
/// # Errors
/// When it could not look.
pub fn look(check: &CheckSpec, context: &CheckContext) -> Result<Outcome, Error> {
    Looker::new(*context).look(check)
}

/// What only a running system has is nothing that the program in the initramfs carries code for.
const RUNNING: bool = cfg!(feature = "tools");

/// Looks at many things at one moment: what is read for one check serves the others. To be made
/// anew once something may have changed; what a document's program may change is read anew.
#[derive(Debug)]
pub struct Looker<'a> {
    context: CheckContext<'a>,
    known: Known,
}

impl<'a> Looker<'a> {
    /// Nothing is read yet.
    #[must_use]
    #[inline(never)]
    pub fn new(context: CheckContext<'a>) -> Self {
        let known = Known::default();
        Self { context, known }
    }

    /// Looks.
    ///
    /// # Errors
    /// When it could not look.
    pub fn look(&mut self, check: &CheckSpec) -> Result<Outcome, Error> {
        let context = &self.context;
        let names = |kind, wanted| names::look(self, kind, wanted);
        match check {
            CheckSpec::FlatBtrfsRoot {} => flat_btrfs_root::look(context),
            CheckSpec::NamesFree {} => names_free::look(context),
            CheckSpec::NestedSubvolumes {} => nested_subvolumes::look(context),
            CheckSpec::FreeSpace(wanted) => free_space::look(self, wanted),
            CheckSpec::DeviceStatistics(wanted) => free_space::device_statistics(self, wanted),
            CheckSpec::NoHibernationImage {} => hibernation::look(context),
            CheckSpec::NothingImmutable {} => immutable::look(context),
            CheckSpec::NoStraddlingLinks {} => hard_links::look(context),
            CheckSpec::NoSwapFile {} => swap_file::look(context),
            CheckSpec::BootLoader {} => boot_loader::look(context),
            CheckSpec::InitramfsTools {} => initramfs_tools::look(context),
            CheckSpec::Commands(wanted) => names::commands(context, wanted),
            CheckSpec::KernelFilesystems(wanted) => names(Kind::Filesystem, wanted),
            CheckSpec::Memory { minimum } => machine::memory(self, *minimum),
            CheckSpec::BootChain {} => boot_chain::look(context),
            CheckSpec::FstabNamesLayout {} => fstab::look(context),
            CheckSpec::SubvolumesInPlace {} => subvolumes::look(context),
            CheckSpec::LayoutMounted {} => layout_mounted::look(context),
            CheckSpec::RootFlags {} => root_flags::look(context),
            CheckSpec::Mount(wanted) => mounts::mount(self, wanted),
            CheckSpec::Filesystem(wanted) => mounts::filesystem(context, wanted),
            CheckSpec::FstabEntry(wanted) => mounts::fstab_entry(self, wanted),
            CheckSpec::Subvolume(wanted) => properties::subvolume(context, wanted),
            CheckSpec::Property(wanted) => properties::property(context, wanted),
            CheckSpec::File(wanted) => file::look(self, wanted),
            CheckSpec::GrubEntry(wanted) => words::grub_entry(self, wanted),
            CheckSpec::KernelCommandLine(wanted) => words::command_line(self, wanted),
            CheckSpec::Initramfs(wanted) if RUNNING => words::initramfs(context, wanted),
            CheckSpec::Service(wanted) if RUNNING => services::service(self, wanted),
            CheckSpec::NoFailedUnits {} if RUNNING => services::no_failed_units(context),
            CheckSpec::Socket(wanted) if RUNNING => services::socket(self, wanted),
            CheckSpec::Ports(wanted) if RUNNING => names(Kind::Port, wanted),
            CheckSpec::Processes(wanted) if RUNNING => names(Kind::Process, wanted),
            CheckSpec::Users(wanted) if RUNNING => names(Kind::User, wanted),
            CheckSpec::Groups(wanted) if RUNNING => names(Kind::Group, wanted),
            CheckSpec::Packages(wanted) if RUNNING => names(Kind::Package, wanted),
            CheckSpec::KernelParameter(wanted) => machine::parameter(context, wanted),
            CheckSpec::Network {} if RUNNING => machine::network(self),
            CheckSpec::CommandOutput(wanted) => {
                let looked = command_output::look(context, wanted);
                self.known = Known::default();
                looked
            }
            CheckSpec::DockerStorage {} if RUNNING => docker::look(self),
            CheckSpec::Initramfs(_)
            | CheckSpec::Service(_)
            | CheckSpec::NoFailedUnits {}
            | CheckSpec::Socket(_)
            | CheckSpec::Ports(_)
            | CheckSpec::Processes(_)
            | CheckSpec::Users(_)
            | CheckSpec::Groups(_)
            | CheckSpec::Packages(_)
            | CheckSpec::Network {}
            | CheckSpec::DockerStorage {} => Err(Error::NoRunningSystem(check.kind())),
        }
    }
}

#[cfg(test)]
mod tests;
