//! What each menu entry loads, and of which system it is.

use super::identity::{RootIdentity, subvolume_of};
use super::path::{Device, Path};
use super::{loads_initrd, loads_kernel, search_target};
use crate::bootcfg::grub_script::{self, Entry};

/// What a menu entry loads. Variables are not expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loads {
    /// The title of the entry.
    pub title: String,
    /// The subvolume of our file system that it mounts as root, empty for the top level; none where
    /// its root is on another one.
    pub root: Option<String>,
    /// The kernel and the initrds that GRUB reads from our file system, as paths from its top level.
    pub files: Vec<String>,
}

/// What the menu entries load, those of submenus too. A text that GRUB would refuse gives the
/// entries that are whole.
pub fn loads(text: &str, root: &RootIdentity<'_>) -> Vec<Loads> {
    let entries = grub_script::parse(text).entries;
    entries.iter().map(|entry| of_entry(entry, root)).collect()
}

fn of_entry(entry: &Entry, root: &RootIdentity<'_>) -> Loads {
    let kernel = entry.body.iter().find(|command| root.boots(command));
    let mut searches = entry
        .body
        .iter()
        .filter_map(|command| search_target(command));
    let found = searches
        .next_back()
        .and_then(|target| root.is_found_by(target));
    let is_ours = found.unwrap_or(kernel.is_some());
    let kernels = entry.body.iter().filter(|command| loads_kernel(command));
    let initrds = entry.body.iter().filter(|command| loads_initrd(command));
    let words = kernels.flat_map(|command| operands(command).take(1));
    let words = words.chain(initrds.flat_map(operands));
    let paths = words.map(Path::of).filter(|path| match path.device {
        Device::Root | Device::Named => is_ours,
        Device::None => false,
    });
    Loads {
        title: entry.label.title.clone(),
        root: kernel.map(|kernel| subvolume_of(kernel).unwrap_or_default()),
        files: paths.map(|path| path.path.to_owned()).collect(),
    }
}

/// What follows the name of a command, without its options.
fn operands(command: &grub_script::Command) -> impl Iterator<Item = &str> {
    let words = command.iter().skip(1).map(|word| word.value.as_str());
    words.filter(|word| !word.starts_with("--"))
}
