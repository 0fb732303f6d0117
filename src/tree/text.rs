//! The text form of a manifest: a head line, then a line an entry with these fields, separated by
//! a space: path, kind, mode, owner, group, size, time, flags, links, content, holes, device,
//! target, first name, extended attributes.
//!
//! Names are ASCII with `\xHH` for everything else. What may be absent is `-`, or `=` and the
//! value. The root's empty path is `.`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::{FromStr, Split};

use super::Error;
use super::manifest::Entry;
use crate::sys::{FileKind, Time};

const HEAD: &str = "rootshift-manifest 1";
const KINDS: [(char, FileKind); 7] = [
    ('f', FileKind::File),
    ('d', FileKind::Directory),
    ('l', FileKind::Symlink),
    ('c', FileKind::CharacterDevice),
    ('b', FileKind::BlockDevice),
    ('p', FileKind::Fifo),
    ('s', FileKind::Socket),
];

pub(super) fn write(entries: &[Entry]) -> String {
    let mut text = String::from(HEAD);
    text.push('\n');
    for entry in entries {
        // Writing into a String cannot fail.
        write_entry(&mut text, entry).ok();
    }
    text
}

fn write_entry(text: &mut String, entry: &Entry) -> std::fmt::Result {
    let kind = KINDS
        .iter()
        .find(|(_, kind)| *kind == entry.kind)
        .map_or('f', |(letter, _)| *letter);
    let root = entry.path.as_os_str().is_empty();
    let path = if root {
        ".".to_owned()
    } else {
        escape_path(&entry.path)
    };
    let Entry {
        mode,
        uid,
        gid,
        size,
        flags,
        links,
        ..
    } = entry;
    let Time {
        seconds,
        nanoseconds,
    } = entry.modified;
    write!(
        text,
        "{path} {kind} {mode:o} {uid} {gid} {size} {seconds}.{nanoseconds:09} "
    )?;
    write!(text, "{flags:x} {links} ")?;
    write!(
        text,
        "{} ",
        optional(entry.content.map(|hash| format!("{hash:032x}")))
    )?;
    write!(
        text,
        "{} ",
        optional(entry.holes.map(|hash| format!("{hash:016x}")))
    )?;
    write!(
        text,
        "{} ",
        optional(entry.special_device.map(|device| format!("{device:x}")))
    )?;
    write!(
        text,
        "{} ",
        optional(entry.target.as_deref().map(escape_path))
    )?;
    write!(
        text,
        "{} ",
        optional(entry.linked_to.as_deref().map(escape_path))
    )?;
    let attributes: Vec<String> = entry
        .attributes
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name.as_bytes()), escape(value)))
        .collect();
    let attributes = (!attributes.is_empty()).then(|| attributes.join(","));
    writeln!(text, "{}", optional(attributes))
}

fn optional(value: Option<String>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("={value}"))
}

fn escape_path(path: &Path) -> String {
    escape(path.as_os_str().as_bytes())
}

/// Letters, digits and harmless signs stay; space, comma, `=` and backslash do not.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b',' | b'=' | b'\\' => write!(text, "\\x{byte:02x}").ok(),
            0x21..=0x7e => {
                text.push(char::from(*byte));
                None
            }
            _ => write!(text, "\\x{byte:02x}").ok(),
        };
    }
    text
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('\\');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let part = part.strip_prefix('x')?;
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    Some(bytes)
}

pub(super) fn read(text: &str) -> Result<Vec<Entry>, Error> {
    let mut lines = text.lines().enumerate();
    let problem = |line: usize, problem: &str| Error::Text {
        line: line + 1,
        problem: problem.into(),
    };
    if lines.next().is_none_or(|(_, line)| line != HEAD) {
        return Err(problem(
            0,
            "it does not begin with \"rootshift-manifest 1\"",
        ));
    }
    let mut entries: Vec<Entry> = Vec::new();
    for (number, line) in lines {
        let mut fields = Fields {
            rest: line.split(' '),
            last: "path",
        };
        let entry = fields.entry().ok_or_else(|| {
            problem(
                number,
                &format!("the field \"{}\" is missing or malformed", fields.last),
            )
        })?;
        if entries
            .last()
            .is_some_and(|before| before.path >= entry.path)
        {
            return Err(problem(number, "the paths are not in order"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// The fields of one line that are still to be read.
struct Fields<'a> {
    rest: Split<'a, char>,
    last: &'static str,
}

impl Fields<'_> {
    fn entry(&mut self) -> Option<Entry> {
        let path = self.field("path")?;
        let path = if path == "." {
            PathBuf::new()
        } else {
            path_from(&path)?
        };
        let letter = self.field("kind")?;
        let kind = KINDS.iter().find(|(kind, _)| letter == kind.to_string())?.1;
        let entry = Entry {
            path,
            kind,
            mode: u32::from_str_radix(&self.field("mode")?, 8).ok()?,
            uid: self.number("owner")?,
            gid: self.number("group")?,
            size: self.number("size")?,
            modified: time(&self.field("time")?)?,
            flags: u32::from_str_radix(&self.field("flags")?, 16).ok()?,
            links: self.number("links")?,
            content: self.optional("content", |hash| u128::from_str_radix(hash, 16).ok())?,
            holes: self.optional("holes", |hash| u64::from_str_radix(hash, 16).ok())?,
            special_device: self.optional("device", |hex| u64::from_str_radix(hex, 16).ok())?,
            target: self.optional("target", path_from)?,
            linked_to: self.optional("first name", path_from)?,
            attributes: self
                .optional("extended attributes", attributes)?
                .unwrap_or_default(),
        };
        self.last = "end of the line";
        self.rest.next().is_none().then_some(entry)
    }

    fn field(&mut self, name: &'static str) -> Option<String> {
        self.last = name;
        self.rest.next().map(str::to_owned)
    }

    fn number<T: FromStr>(&mut self, name: &'static str) -> Option<T> {
        self.field(name)?.parse().ok()
    }

    /// `Some(None)` for a field that says that there is nothing.
    fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Option<T>> {
        let field = self.field(name)?;
        if field == "-" {
            return Some(None);
        }
        parse(field.strip_prefix('=')?).map(Some)
    }
}

fn path_from(text: &str) -> Option<PathBuf> {
    Some(OsString::from_vec(unescape(text)?).into())
}

fn time(text: &str) -> Option<Time> {
    let (seconds, nanoseconds) = text.split_once('.')?;
    Some(Time {
        seconds: seconds.parse().ok()?,
        nanoseconds: nanoseconds.parse().ok()?,
    })
}

fn attributes(text: &str) -> Option<BTreeMap<OsString, Vec<u8>>> {
    let pairs = text.split(',').map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((OsString::from_vec(unescape(name)?), unescape(value)?))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Manifest;
    use proptest::collection::{btree_map, vec};
    use proptest::option;
    use proptest::prelude::*;

    fn path() -> impl Strategy<Value = PathBuf> {
        let name = vec(
            (1_u8..).prop_filter("no slash", |byte| *byte != b'/'),
            1..12,
        );
        vec(name, 1..4).prop_map(|names| {
            // No name of an entry is "." (that is how the root is written).
            let join = |names: Vec<Vec<u8>>| names.join(&b'/');
            PathBuf::from(OsString::from_vec(join(names)))
        })
    }

    prop_compose! {
        fn entry()(
            path in path(),
            kind in 0..KINDS.len(),
            numbers in any::<(u32, u32, u32, u32)>(),
            (size, links, seconds) in any::<(u64, u64, i64)>(),
            nanoseconds in 0..1_000_000_000_u32,
            linked_to in option::of(path()),
            target in option::of(path()),
            special_device in any::<Option<u64>>(),
            content in any::<Option<u128>>(),
            holes in any::<Option<u64>>(),
            names in btree_map(vec(1_u8.., 1..9), vec(any::<u8>(), 0..9), 0..3),
        ) -> Entry {
            let (mode, uid, gid, flags) = numbers;
            let attributes =
                names.into_iter().map(|(name, value)| (OsString::from_vec(name), value)).collect();
            Entry {
                path, kind: KINDS[kind].1, mode, uid, gid, size, links, flags, linked_to, target,
                special_device, content, holes, attributes,
                modified: Time { seconds, nanoseconds },
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(entries in vec(entry(), 0..6)) {
            let sorted: BTreeMap<PathBuf, Entry> = entries
                .into_iter()
                .filter(|entry| entry.path != Path::new("."))
                .map(|entry| (entry.path.clone(), entry))
                .collect();
            let manifest = Manifest { entries: sorted.into_values().collect() };
            let text = manifest.to_text();
            prop_assert!(text.is_ascii());
            prop_assert_eq!(text.lines().count(), manifest.entries.len() + 1);
            prop_assert_eq!(Manifest::from_text(&text).unwrap(), manifest);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            Manifest::from_text(&format!("{HEAD}\n{text}")).ok();
        }
    }

    #[test]
    fn odd_names_stay_on_their_line() {
        assert_eq!(escape(b"a b\n\xff\\,="), r"a\x20b\x0a\xff\x5c\x2c\x3d");
        assert_eq!(unescape(r"a\x20b\x0a\xff").unwrap(), b"a b\n\xff");
        assert_eq!(unescape(r"a\q"), None);
    }

    #[test]
    fn a_broken_line_is_named() {
        let line = ". d 755 0 0 0 1.000000000 0 1 - - - - -";
        let error = Manifest::from_text(&format!("{HEAD}\n{line}\n")).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        assert!(error.to_string().contains("extended attributes"), "{error}");
        assert!(Manifest::from_text("").is_err());
        let twice = format!("{HEAD}\n{line} -\n{line} -\n");
        assert!(
            Manifest::from_text(&twice)
                .unwrap_err()
                .to_string()
                .contains("order")
        );
    }
}
