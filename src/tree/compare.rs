//! Two manifests side by side.

use std::collections::BTreeSet;
use std::fmt;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::slice::Iter;

use super::Manifest;
use super::manifest::Entry;

/// What to leave out. [`Options::default`] leaves out nothing.
pub struct Options<'a> {
    /// Paths (relative to the tree's root) to leave out, with everything below them; the empty
    /// path leaves out only the root's own entry.
    pub ignore: &'a dyn Fn(&Path) -> bool,
    /// Single differences to leave out, as the times of a directory in which a file was replaced.
    pub ignore_difference: &'a dyn Fn(&Path, &Difference) -> bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            ignore: &|_| false,
            ignore_difference: &|_, _| false,
        }
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Options").finish_non_exhaustive()
    }
}

/// One attribute that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which: kind, mode, owner, group, size, modified, flags, links, first name, target, device,
    /// content, holes, or the name of an extended attribute.
    pub attribute: String,
    /// Its old value, for people.
    pub old: String,
    /// Its new value, for people.
    pub new: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} -> {}", self.attribute, self.old, self.new)
    }
}

/// What two trees have in common and what not. All paths are sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Entries that are equal in everything that was compared.
    pub same: usize,
    /// Only in the old tree.
    pub missing: Vec<PathBuf>,
    /// Only in the new tree.
    pub extra: Vec<PathBuf>,
    /// In both, but not equal.
    pub changed: Vec<(PathBuf, Vec<Difference>)>,
}

impl Comparison {
    /// Nothing missing, nothing extra, nothing changed.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.changed.is_empty()
    }
}

/// Compares everything that two manifests record. Both must have been made with the same options.
#[must_use]
pub fn compare(old: &Manifest, new: &Manifest, options: &Options<'_>) -> Comparison {
    let mut result = Comparison::default();
    let mut old = Kept::new(old, options.ignore);
    let mut new = Kept::new(new, options.ignore);
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return result,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(before), Some(after)) => before.path.cmp(&after.path),
        };
        let before = if order.is_le() { old.next() } else { None };
        let after = if order.is_ge() { new.next() } else { None };
        match (before, after) {
            (Some(before), Some(after)) => compare_entry(before, after, options, &mut result),
            (Some(before), None) => result.missing.push(before.path.clone()),
            (None, Some(after)) => result.extra.push(after.path.clone()),
            (None, None) => return result,
        }
    }
}

/// The entries of a manifest that are not to be left out.
struct Kept<'a> {
    entries: Peekable<Iter<'a, Entry>>,
    ignore: &'a dyn Fn(&Path) -> bool,
    /// The directory last left out; what is below it follows right behind it.
    ignored: Option<&'a Path>,
}

impl<'a> Kept<'a> {
    fn new(manifest: &'a Manifest, ignore: &'a dyn Fn(&Path) -> bool) -> Self {
        Self {
            entries: manifest.entries().iter().peekable(),
            ignore,
            ignored: None,
        }
    }

    fn peek(&mut self) -> Option<&'a Entry> {
        loop {
            let entry = *self.entries.peek()?;
            let below = self
                .ignored
                .is_some_and(|ignored| entry.path.starts_with(ignored));
            if !below && !(self.ignore)(&entry.path) {
                return Some(entry);
            }
            if !below && !entry.path.as_os_str().is_empty() {
                self.ignored = Some(&entry.path);
            }
            self.entries.next();
        }
    }

    fn next(&mut self) -> Option<&'a Entry> {
        self.peek()?;
        self.entries.next()
    }
}

fn compare_entry(old: &Entry, new: &Entry, options: &Options<'_>, result: &mut Comparison) {
    let mut differences = if old == new {
        Vec::new()
    } else {
        differences(old, new)
    };
    differences.retain(|difference| !(options.ignore_difference)(&old.path, difference));
    if differences.is_empty() {
        result.same += 1;
    } else {
        result.changed.push((old.path.clone(), differences));
    }
}

fn differences(old: &Entry, new: &Entry) -> Vec<Difference> {
    let mut found: Vec<Difference> = described(old)
        .into_iter()
        .zip(described(new))
        .filter(|((_, old), (_, new))| old != new)
        .map(|((attribute, old), (_, new))| Difference {
            attribute: attribute.into(),
            old,
            new,
        })
        .collect();
    let names: BTreeSet<_> = old.attributes.keys().chain(new.attributes.keys()).collect();
    for name in names {
        let (before, after) = (old.attributes.get(name), new.attributes.get(name));
        if before != after {
            let attribute = name.to_string_lossy().into_owned();
            found.push(Difference {
                attribute,
                old: value(before),
                new: value(after),
            });
        }
    }
    found
}

/// Everything but the extended attributes, in words.
fn described(entry: &Entry) -> [(&'static str, String); 13] {
    let time = entry.modified;
    [
        ("kind", format!("{:?}", entry.kind)),
        ("mode", format!("{:04o}", entry.mode)),
        ("owner", entry.uid.to_string()),
        ("group", entry.gid.to_string()),
        ("size", entry.size.to_string()),
        (
            "modified",
            format!("{}.{:09}", time.seconds, time.nanoseconds),
        ),
        ("flags", format!("{:#x}", entry.flags)),
        ("links", entry.links.to_string()),
        (
            "first name",
            or_none(
                entry
                    .linked_to
                    .as_ref()
                    .map(|path| path.display().to_string()),
            ),
        ),
        (
            "target",
            or_none(entry.target.as_ref().map(|path| format!("{path:?}"))),
        ),
        (
            "device",
            or_none(entry.special_device.map(|device| format!("{device:#x}"))),
        ),
        (
            "content",
            or_none(entry.content.map(|hash| format!("{hash:032x}"))),
        ),
        (
            "holes",
            or_none(entry.holes.map(|hash| format!("{hash:016x}"))),
        ),
    ]
}

fn or_none(value: Option<String>) -> String {
    value.unwrap_or_else(|| "none".to_owned())
}

fn value(attribute: Option<&Vec<u8>>) -> String {
    or_none(attribute.map(|bytes| bytes.escape_ascii().to_string()))
}
