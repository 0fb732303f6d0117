//! Makes the menu boot a subvolume.

use super::identity::{RootIdentity, subvolume_of};
use super::path::{Device, Path, below, is_boot_path};
use super::{loads_initrd, loads_kernel, search_target};
use crate::bootcfg::cmdline::merge_root_flags;
use crate::bootcfg::edit::{self, Edit};
use crate::bootcfg::grub_script::{self, Command, Entry, Script, Word};
use crate::bootcfg::{Error, mount_options};

/// A changed configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The whole text.
    pub text: String,
    /// How many menu entries changed; 0 if all of them booted the subvolume already.
    pub entries: usize,
}

/// The configuration with the entries of the root file system booting `subvolume`.
///
/// In every menu entry, also in submenus, whose kernel has `root=` with our file system:
/// * kernel, initrd and Xen paths get `/<subvolume>` in front, if GRUB looks them up on our file
///   system. The entry's `search` says so; paths on a separate /boot stay. Where the entry does
///   not search, `/boot/…` and the links `/vmlinuz` and `/initrd.img` (and `.old`) are ours.
/// * exactly one `rootflags=` remains, `subvol=<subvolume>` merged with what was there, where the
///   first one stood, else after `ro` or `rw`, else after `root=`;
/// * `rootfstype=ext…` goes (facts boot.md T52).
///
/// Outside of entries, paths under `/boot` and `/usr` (fonts, themes, pictures, `source`) get the
/// prefix too, unless the last `search` chose another file system. `$prefix/…` stays.
///
/// The first of our entries tells which subvolume the system is booted from now (none on a flat
/// system). Entries of ours with *another* subvolume are snapshots or second systems: untouched,
/// as is everything else, byte for byte. The result rewritten again does not change.
pub fn to_subvolume(
    text: &str,
    root: &RootIdentity<'_>,
    subvolume: &str,
) -> Result<Rewritten, Error> {
    mount_options::check_root_subvolume(subvolume)?;
    let script = grub_script::parse(text);
    if let Some((line, reason)) = script.fault {
        return Err(Error::GrubSyntax { line, reason });
    }
    let kernels = script.entries.iter().flat_map(|entry| &entry.body);
    let Some(first) = kernels.clone().find(|command| root.boots(command)) else {
        return Err(Error::NoMenuEntry {
            uuid: root.uuid.to_owned(),
        });
    };
    let old = subvolume_of(first);
    let rewriter = Rewriter {
        text,
        root,
        new: subvolume,
        old,
    };
    let mut edits = rewriter.header(&script);
    let mut entries = 0;
    for entry in &script.entries {
        let changes = rewriter.entry(entry);
        entries += usize::from(!changes.is_empty());
        edits.extend(changes);
    }
    Ok(Rewritten {
        text: edit::apply(text, edits),
        entries,
    })
}

struct Rewriter<'a> {
    text: &'a str,
    root: &'a RootIdentity<'a>,
    new: &'a str,
    old: Option<String>,
}

impl Rewriter<'_> {
    fn entry(&self, entry: &Entry) -> Vec<Edit> {
        let ours = |command: &&Command| {
            self.root.boots(command) && {
                let now = subvolume_of(command);
                now == self.old || now.as_deref() == Some(self.new)
            }
        };
        let kernels: Vec<&Command> = entry.body.iter().filter(ours).collect();
        if kernels.is_empty() {
            return Vec::new();
        }
        let searched = entry
            .body
            .iter()
            .filter_map(|command| search_target(command))
            .next_back();
        let found = searched.and_then(|target| self.root.is_found_by(target));
        let with_paths = entry.body.iter().filter(|command| {
            let name = command.first().map_or("", |word| word.value.as_str());
            let xen = name.starts_with("multiboot") || name.starts_with("module");
            let kernel = loads_kernel(command);
            (kernel && ours(command)) || (!kernel && (loads_initrd(command) || xen))
        });
        let paths = with_paths.flat_map(|command| self.paths(command, found));
        paths
            .chain(kernels.iter().flat_map(|command| self.arguments(command)))
            .collect()
    }

    /// Edits of the paths in one command: the first of a kernel's words, all of an initrd's.
    fn paths(&self, command: &Command, found: Option<bool>) -> Vec<Edit> {
        let words = command
            .iter()
            .skip(1)
            .filter(|word| !word.value.starts_with("--"));
        let count = if loads_initrd(command) { usize::MAX } else { 1 };
        let ours = |word: &&Word| {
            let path = Path::of(&word.value);
            match (found, path.device) {
                (_, Device::None) => false,
                (Some(found), Device::Root) => found,
                _ => is_boot_path(self.below_old(path.path)),
            }
        };
        words
            .take(count)
            .filter(ours)
            .filter_map(|word| self.prefixed(word, ""))
            .collect()
    }

    /// The path below the old root subvolume.
    fn below_old<'p>(&self, path: &'p str) -> &'p str {
        self.old
            .as_deref()
            .and_then(|old| below(path, old))
            .unwrap_or(path)
    }

    /// Whether a path is in the new subvolume, and not in an old one that is nested in it.
    fn is_in_new(&self, path: &str) -> bool {
        let nested = |old: &&str| {
            old.strip_prefix(self.new)
                .is_some_and(|r| r.starts_with('/'))
        };
        let old = self.old.as_deref().filter(nested);
        below(path, self.new).is_some() && old.and_then(|old| below(path, old)).is_none()
    }

    /// The edit that puts a path into the subvolume; none if it is there already. `name` is what
    /// precedes the path in the word (`font=`).
    fn prefixed(&self, word: &Word, name: &str) -> Option<Edit> {
        let path = Path::of(word.value.strip_prefix(name)?).path;
        if self.is_in_new(path) {
            return None;
        }
        let raw = self.text.get(word.span.clone())?;
        let device = if word.value.starts_with('(') {
            raw.find(')')?
        } else {
            0
        };
        let at = word.span.start + device + raw.get(device..)?.find('/')?;
        let strip = path.len() - self.below_old(path).len();
        // A prefix with quotes or escapes in its midst stays, inside the new one: old names resolve
        // there while the old system is kept.
        let plain = self.text.get(at..at + strip) == path.get(..strip);
        let end = if plain { at + strip } else { at };
        Some(Edit::new(at..end, format!("/{}", self.new)))
    }

    /// Edits of `rootflags=` and `rootfstype=`.
    fn arguments(&self, command: &Command) -> Vec<Edit> {
        let mut edits = Vec::new();
        let (mut flags, mut kept) = (Vec::new(), Vec::new());
        for word in command.iter().skip(1) {
            if word.value.starts_with("rootfstype=ext") {
                edits.push(Edit::new(edit::removal(self.text, &word.span), ""));
            } else if let Some(value) = word.value.strip_prefix("rootflags=") {
                flags.push((word, value));
            } else {
                kept.push(word);
            }
        }
        let values: Vec<&str> = flags.iter().map(|(_, value)| *value).collect();
        let merged = quoted(&format!(
            "rootflags={}",
            merge_root_flags(&values, self.new)
        ));
        match flags.split_first() {
            Some(((first, value), others)) => {
                if merge_root_flags(&values, self.new) != **value {
                    edits.push(Edit::new(first.span.clone(), merged));
                }
                let removed = others
                    .iter()
                    .map(|(word, _)| edit::removal(self.text, &word.span));
                edits.extend(removed.map(|range| Edit::new(range, "")));
            }
            None => edits
                .extend(insertion_point(&kept).map(|at| Edit::new(at..at, format!(" {merged}")))),
        }
        edits
    }

    /// Edits of fonts, themes, pictures and sourced files outside the menu.
    fn header(&self, script: &Script) -> Vec<Edit> {
        let mut edits = Vec::new();
        let mut elsewhere = false;
        for command in &script.top {
            if let Some(target) = search_target(command) {
                elsewhere = self.root.is_found_by(target) == Some(false);
            } else if !elsewhere && uses_paths(command) {
                let changes = command.iter().filter_map(|word| self.header_path(word));
                edits.extend(changes);
            }
        }
        edits
    }

    fn header_path(&self, word: &Word) -> Option<Edit> {
        let name = ["font=", "theme="]
            .iter()
            .find(|name| word.value.starts_with(**name));
        let name = name.copied().unwrap_or_default();
        let path = Path::of(word.value.strip_prefix(name)?);
        let inside = self.below_old(path.path);
        let ours = inside.starts_with("/boot/") || inside.starts_with("/usr/");
        (ours && path.device == Device::Root)
            .then(|| self.prefixed(word, name))
            .flatten()
    }
}

/// After `ro` or `rw`, else after `root=`.
fn insertion_point(arguments: &[&Word]) -> Option<usize> {
    let last = |wanted: fn(&str) -> bool| arguments.iter().rfind(|word| wanted(&word.value));
    let word = last(|a| a == "ro" || a == "rw").or_else(|| last(|a| a.starts_with("root=")))?;
    Some(word.span.end)
}

/// Whether the words of a top-level command may be paths to read.
fn uses_paths(command: &Command) -> bool {
    let [first, rest @ ..] = command.as_slice() else {
        return false;
    };
    let reads = [
        "loadfont",
        "background_image",
        "source",
        "configfile",
        ".",
        "[",
        "test",
        "cat",
    ];
    let sets = |word: &Word| word.value.starts_with("font=") || word.value.starts_with("theme=");
    reads.contains(&first.value.as_str())
        || sets(first)
        || (matches!(first.value.as_str(), "set" | "export") && rest.iter().any(sets))
}

/// Single quotes around a word that needs them.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@_-.,+:=~/%".contains(c);
    if word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
