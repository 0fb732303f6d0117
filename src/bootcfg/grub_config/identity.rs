//! Which kernels are of our root file system, and of which subvolume of it.

use super::{SearchTarget, loads_kernel};
use crate::bootcfg::grub_script::Command;
use crate::bootcfg::mount_options;

/// How grub.cfg may name the root file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootIdentity<'a> {
    /// The UUID of the file system.
    pub uuid: &'a str,
    /// Other values of `root=` that mean it: `PARTUUID=…`, `LABEL=…`, `/dev/…`.
    pub aliases: &'a [String],
}

impl RootIdentity<'_> {
    /// Whether a command starts a kernel with our root; the last `root=` counts.
    pub(super) fn boots(&self, command: &Command) -> bool {
        let arguments = command.iter().rev().map(|word| word.value.as_str());
        let mut roots = arguments.filter_map(|argument| argument.strip_prefix("root="));
        loads_kernel(command) && roots.next().is_some_and(|device| self.is_root(device))
    }

    /// Whether a value of `root=` means it.
    pub fn is_root(&self, device: &str) -> bool {
        let uuid = device.strip_prefix("UUID=");
        let uuid = uuid.or_else(|| device.strip_prefix("/dev/disk/by-uuid/"));
        uuid.is_some_and(|uuid| uuid.eq_ignore_ascii_case(self.uuid))
            || self
                .aliases
                .iter()
                .any(|alias| alias.eq_ignore_ascii_case(device))
    }

    /// Whether a search ends on our file system; unknown for a search by file.
    pub(super) fn is_found_by(&self, target: SearchTarget<'_>) -> Option<bool> {
        match target {
            SearchTarget::Uuid(uuid) => Some(uuid.eq_ignore_ascii_case(self.uuid)),
            SearchTarget::Label(label) => {
                let named = |alias: &String| alias.strip_prefix("LABEL=") == Some(label);
                Some(self.aliases.iter().any(named))
            }
            SearchTarget::File => None,
        }
    }
}

/// The subvolume that a kernel command mounts as root; none for the top level.
pub(super) fn subvolume_of(command: &Command) -> Option<String> {
    let values = command
        .iter()
        .filter_map(|word| word.value.strip_prefix("rootflags="));
    let mut options = values
        .flat_map(mount_options::split)
        .filter(|o| mount_options::is_subvolume(o));
    let chosen = options.next_back()?;
    match chosen
        .strip_prefix("subvol=")
        .map(|name| name.trim_matches('/'))
    {
        Some("") => None,
        Some(name) => Some(name.to_owned()),
        None if matches!(chosen, "subvolid=5" | "subvolid=0") => None,
        None => Some(chosen.to_owned()),
    }
}
