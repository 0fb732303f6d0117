//! `grub.cfg` as grub-mkconfig writes it (2.06 to 2.14, Debian and Ubuntu) and as people edit it.

mod forward;
mod identity;
mod loads;
mod menu;
mod path;
mod rewrite;

pub use super::grub_script::MenuLabel;
pub use forward::{Forward, forward};
pub use identity::RootIdentity;
pub use loads::{Loads, loads};
pub use menu::{BootEntry, KernelLine, boot_entries, default_entry, kernel_lines};
pub use rewrite::{Rewritten, to_subvolume};

use super::grub_script::Word;

/// What a `search` command looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SearchTarget<'a> {
    Uuid(&'a str),
    Label(&'a str),
    File,
}

/// The target of `search … --set=root …` and of the short form `search.fs_uuid … root`.
fn search_target(command: &[Word]) -> Option<SearchTarget<'_>> {
    let mut words = command.iter().map(|word| word.value.as_str());
    let (mut kind, mut name) = (Kind::File, "");
    match words.next()? {
        "search" => {}
        "search.fs_uuid" => return words.next().map(SearchTarget::Uuid),
        "search.fs_label" => return words.next().map(SearchTarget::Label),
        "search.file" => return Some(SearchTarget::File),
        _ => return None,
    }
    while let Some(word) = words.next() {
        match word {
            "--fs-uuid" | "-u" => kind = Kind::Uuid,
            "--label" | "--fs-label" | "-l" => kind = Kind::Label,
            "--file" | "-f" => kind = Kind::File,
            // Without `=` a hint's value is the next word.
            "--hint" | "-h" => drop(words.next()),
            option if option.starts_with("--hint-") && !option.contains('=') => drop(words.next()),
            option if option.starts_with('-') => {}
            positional if name.is_empty() => name = positional,
            _ => {}
        }
    }
    Some(match kind {
        Kind::Uuid => SearchTarget::Uuid(name),
        Kind::Label => SearchTarget::Label(name),
        Kind::File => SearchTarget::File,
    })
}

/// What a search compares; a file, if it does not say.
enum Kind {
    Uuid,
    Label,
    File,
}

/// Whether a command loads a kernel of Linux; Xen's `module` does too, if it has a `root=`.
fn loads_kernel(command: &[Word]) -> bool {
    let kernel = ["linux", "linux16", "linuxefi", "module", "module2"];
    let named = command
        .first()
        .is_some_and(|word| kernel.contains(&word.value.as_str()));
    let module = command
        .first()
        .is_some_and(|word| word.value.starts_with("module"));
    named && (!module || command.iter().any(|word| word.value.starts_with("root=")))
}

/// Whether a command loads an initrd.
fn loads_initrd(command: &[Word]) -> bool {
    let initrd = ["initrd", "initrd16", "initrdefi"];
    command
        .first()
        .is_some_and(|word| initrd.contains(&word.value.as_str()))
}

#[cfg(test)]
mod tests;
