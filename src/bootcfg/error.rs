//! What can be wrong with a boot configuration, told with the line and what to do about it.

/// Why a boot configuration cannot be edited safely.
///
/// The messages name the line and the remedy but not the path: the caller read the file and knows
/// it. Line numbers count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The main line of fstab names another device than the file system that is migrated.
    #[error(
        "line {line}: {mount}, which is not {expected}; \
         correct the device of that line"
    )]
    ForeignRoot {
        /// The line of the entry.
        line: usize,
        /// The mount point and the device as the line spells it, in words.
        mount: String,
        /// The device that was expected, as `UUID=…`.
        expected: String,
    },

    /// Two lines mount the same place, so tools disagree which of them counts.
    #[error(
        "lines {first} and {second} both mount {mount_point}; put a # before the second, the first is what counts today"
    )]
    SeveralEntries {
        /// The first of the lines.
        first: usize,
        /// The next one.
        second: usize,
        /// The mount point they share.
        mount_point: String,
    },

    /// A line that tools read differently mounts a place that is to be edited.
    #[error("line {line}: the line for {mount_point} is malformed: {reason}; correct it")]
    MalformedEntry {
        /// The line of the entry.
        line: usize,
        /// The mount point it names.
        mount_point: String,
        /// What is wrong with it.
        reason: String,
    },

    /// Another file system is already mounted where a subvolume is to go.
    #[error(
        "line {line}: {mount_point} is already mounted from {device}; \
         leave {mount_point} out of the layout (`rootshift new` writes such a batch)"
    )]
    MountPointTaken {
        /// The line of the entry.
        line: usize,
        /// The mount point.
        mount_point: String,
        /// What is mounted there, decoded.
        device: String,
    },

    /// The layout itself cannot be written to an fstab.
    #[error("the layout cannot be written to fstab: {reason}")]
    Layout {
        /// What is wrong with it.
        reason: String,
    },

    /// The name of the root subvolume cannot stand on a kernel command line.
    #[error("subvolume name {name:?} cannot be used in boot files: {reason}; choose another name")]
    SubvolumeName {
        /// The name.
        name: String,
        /// Why not.
        reason: &'static str,
    },

    /// An assignment of /etc/default/grub that can be read only by running it.
    #[error(
        "line {line}: {variable} sets rootflags= or rootfstype= in a way that cannot be edited \
         ({reason}); write the option as plain text, or remove it"
    )]
    OpaqueAssignment {
        /// The line where the assignment starts.
        line: usize,
        /// The variable.
        variable: String,
        /// What stands in the way.
        reason: &'static str,
    },

    /// GRUB itself would refuse this text.
    #[error("line {line}: {reason}; run update-grub to write the file anew")]
    GrubSyntax {
        /// The line where the trouble starts.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },

    /// No menu entry of grub.cfg boots the root file system.
    #[error(
        "no menu entry boots the file system {uuid}; run update-grub, and check \
         GRUB_DEVICE and the root= arguments"
    )]
    NoMenuEntry {
        /// The UUID that was looked for.
        uuid: String,
    },
}
