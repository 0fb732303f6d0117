//! Checks as data: what a viScript wants to be looked at.
//!
//! A new check is a variant here, its rules in `sense.rs`, a file in `checks/`, an arm in
//! `checks::Looker::look`, a viScript that uses it and a test. Parameters are shared between kinds
//! where they fit: each further type costs the shipped binary 2 KiB.

mod kinds;
mod parameters;
#[cfg(feature = "schema")]
mod schema;
mod sense;

pub use super::size::Size;
pub use parameters::{
    CommandOutput, FileKind, FileParameters, KernelParameter, MountParameters, Names,
    PlaceParameters, Properties, ServiceParameters, SocketParameters, SpaceParameters, Words,
};

/// One thing to look at; nothing is ever changed by it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(rename_all = "kebab-case", deny_unknown_fields)
)]
pub enum CheckSpec {
    /// `/` is the top level of a btrfs on one device, or a single subvolume there as `@rootfs`.
    FlatBtrfsRoot {},
    /// The layout's names are free at the top level, and its mount points are on the root.
    NamesFree {},
    /// No subvolume nested in the old system is read-only.
    NestedSubvolumes {},
    /// There is room: for what the plan needs where no number is given.
    FreeSpace(SpaceParameters),
    /// The btrfs has counted no write, read, flush, corruption or generation error on its devices.
    DeviceStatistics(PlaceParameters),
    /// No swap device holds a hibernated system.
    NoHibernationImage {},
    /// Nothing that must be changed is immutable or append-only.
    NothingImmutable {},
    /// No hard link leads out of a directory that becomes a subvolume.
    NoStraddlingLinks {},
    /// No swap file lies on the root file system.
    NoSwapFile {},
    /// GRUB boots this system in a way that can be switched.
    BootLoader {},
    /// initramfs-tools makes the images, and there is room for new ones.
    InitramfsTools {},
    /// The programs can be run.
    Commands(Names),
    /// The running kernel can mount these file systems.
    KernelFilesystems(Names),
    /// There is this much memory; a tenth less is enough, the kernel keeps a part.
    Memory {
        /// As `512MB`.
        minimum: Size,
    },
    /// The new system can be found by the boot loader: every link of the chain, in the new tree.
    BootChain {},
    /// The new fstab names the layout, each line with a subvolume that exists.
    FstabNamesLayout {},
    /// The layout's subvolumes stand at the top level.
    SubvolumesInPlace {},
    /// The layout is what is mounted, by the kernel's own account.
    LayoutMounted {},
    /// The kernel's command line and the boot loader's configuration agree with the layout.
    RootFlags {},
    /// What is mounted exactly here, by the kernel's own account: the subvolume is mountinfo's root
    /// field, not the option's text.
    Mount(MountParameters),
    /// The file system that a path lies on.
    #[cfg_attr(feature = "schema", schemars(extend("allOf" = schema::asks("filesystem", &["source", "filesystem", "subvolume", "options", "as_in_layout"]))))]
    Filesystem(MountParameters),
    /// A line of /etc/fstab.
    FstabEntry(MountParameters),
    /// A subvolume: `@home` at the top level of the root file system, `/srv/data` in the running
    /// system.
    Subvolume(Properties),
    /// How what is written to a file or directory from now on is stored: by its flags, its btrfs
    /// property and the mount's options, in btrfs's own order.
    #[cfg_attr(feature = "schema", schemars(extend("allOf" = schema::asks("property", &["read_only", "compression", "no_copy_on_write"]))))]
    Property(Properties),
    /// A file, directory or anything else with a path.
    #[cfg_attr(feature = "schema", schemars(extend("allOf" = schema::asks("file", &["exists", "type", "mode", "owner", "group", "minimum_size", "contains", "target"]))))]
    File(FileParameters),
    /// A menu entry of /boot/grub/grub.cfg, the default one or the one of this title: its kernel, its
    /// initrds, the kernel's arguments.
    #[cfg_attr(feature = "schema", schemars(extend("allOf" = schema::asks("grub-entry", &["title", "contains", "lacks"]))))]
    GrubEntry(Words),
    /// What the running kernel was started with, word by word: `quiet` is the argument with a value
    /// or without, `rootflags=subvol=@` also one of several values.
    #[cfg_attr(feature = "schema", schemars(extend("allOf" = schema::asks("kernel-command-line", &["contains", "lacks"]))))]
    KernelCommandLine(Words),
    /// Files in every initramfs image in /boot, by `lsinitramfs`; `sbin/init` also is
    /// `usr/sbin/init`.
    #[cfg_attr(feature = "schema", schemars(extend("allOf" = schema::asks("initramfs", &["contains", "lacks"]))))]
    Initramfs(Words),
    /// A systemd unit: that it exists, is active, is enabled.
    Service(ServiceParameters),
    /// No systemd unit has failed.
    NoFailedUnits {},
    /// A Unix socket answers.
    Socket(SocketParameters),
    /// Something listens on the ports, written as `tcp:22` and `udp:68`.
    Ports(Names),
    /// Processes of these names run, by the 15 bytes of a name that the kernel keeps.
    Processes(Names),
    /// The users exist.
    Users(Names),
    /// The groups exist.
    Groups(Names),
    /// The Debian packages are installed whole, as dpkg(1) means it.
    Packages(Names),
    /// A value under /proc/sys.
    KernelParameter(KernelParameter),
    /// There is a default route.
    Network {},
    /// What a program says. No shell, nothing but PATH and LC_ALL=C in its environment; killed with
    /// what it has started when its time is over, which is a check that could not look.
    CommandOutput(CommandOutput),
    /// Docker answers on its socket, its storage driver works well on btrfs, and its data lies on a
    /// file system or subvolume of its own or on one of the layout. Skipped without Docker.
    DockerStorage {},
}

impl CheckSpec {
    /// Whether only a running system has what it looks at: processes, units, users, packages.
    #[must_use]
    pub fn is_of_running_system(&self) -> bool {
        match self {
            Self::Initramfs(_)
            | Self::Service(_)
            | Self::NoFailedUnits {}
            | Self::Socket(_)
            | Self::Ports(_)
            | Self::Processes(_)
            | Self::Users(_)
            | Self::Groups(_)
            | Self::Packages(_)
            | Self::Network {}
            | Self::DockerStorage {} => true,
            Self::FlatBtrfsRoot {}
            | Self::NamesFree {}
            | Self::NestedSubvolumes {}
            | Self::FreeSpace(_)
            | Self::DeviceStatistics(_)
            | Self::NoHibernationImage {}
            | Self::NothingImmutable {}
            | Self::NoStraddlingLinks {}
            | Self::NoSwapFile {}
            | Self::BootLoader {}
            | Self::InitramfsTools {}
            | Self::Commands(_)
            | Self::KernelFilesystems(_)
            | Self::Memory { .. }
            | Self::BootChain {}
            | Self::FstabNamesLayout {}
            | Self::SubvolumesInPlace {}
            | Self::LayoutMounted {}
            | Self::RootFlags {}
            | Self::Mount(_)
            | Self::Filesystem(_)
            | Self::FstabEntry(_)
            | Self::Subvolume(_)
            | Self::Property(_)
            | Self::File(_)
            | Self::GrubEntry(_)
            | Self::KernelCommandLine(_)
            | Self::KernelParameter(_)
            | Self::CommandOutput(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
