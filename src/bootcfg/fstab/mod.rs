//! `/etc/fstab`: a parser that keeps every byte, and the edit that turns a root file system into
//! mounts of its subvolumes.

mod line;
mod plan;
mod subvolumes;

pub use subvolumes::{SubvolumeMount, to_subvolumes};

use super::mount_options;
use line::Line;
use plan::Identity;
use std::fmt;

/// An fstab. Comments, blank lines, lines that make no sense, blanks, line endings and a missing
/// final newline are all kept: `Fstab::parse(text).to_string() == text` for every text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fstab {
    lines: Vec<Line>,
    entries: Vec<Entry>,
}

/// One line that libmount takes for a mount, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The line, counted from 1.
    pub line: usize,
    /// What is mounted: `UUID=…`, a device, a path; quotes as written.
    pub source: String,
    /// Where; `none` for swap.
    pub mount_point: String,
    /// The type of the file system.
    pub fstype: String,
    /// The options, without empty ones; none if the field is absent.
    pub options: Vec<String>,
    /// The fifth field as written, if there is one.
    pub dump: Option<String>,
    /// The sixth field: when fsck checks it. Absent means 0.
    pub pass: Option<i32>,
}

impl Fstab {
    /// Parses; never fails.
    pub fn parse(text: &str) -> Self {
        let lines: Vec<Line> = text.split_inclusive('\n').map(Line::parse).collect();
        let numbered = lines.iter().enumerate();
        let entries = numbered.filter_map(|(index, line)| entry(index + 1, line).ok().flatten());
        Self {
            entries: entries.collect(),
            lines,
        }
    }

    /// The lines that libmount accepts, in order. As measured with util-linux 2.38.1 that means at
    /// least three fields, numbers in the fifth and sixth if they are there, and that anything from
    /// the seventh field on is ignored.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The entry for a mount point; the **first** one if several lines name it. libmount looks for
    /// it from the top, systemd-fstab-generator keeps the first and reports a duplicate, the
    /// initramfs stops at the first. Doubled and trailing slashes do not matter.
    pub fn entry_for(&self, mount_point: &str) -> Option<&Entry> {
        let wanted = line::normal_path(mount_point);
        self.entries()
            .find(|entry| line::normal_path(&entry.mount_point) == wanted)
    }

    /// The entries that mount this btrfs, under whichever of its names.
    pub fn entries_of<'f>(
        &'f self,
        uuid: &'f str,
        aliases: &[String],
    ) -> impl Iterator<Item = &'f Entry> {
        let identity = Identity::new(uuid, aliases);
        let is_ours = move |entry: &&Entry| {
            identity.matches(entry) && ["btrfs", "auto"].contains(&entry.fstype.as_str())
        };
        self.entries().filter(is_ours)
    }

    /// Lines that are no comment and that libmount drops, with the reason.
    pub fn malformed(&self) -> Vec<(usize, String)> {
        let numbered = self.lines.iter().enumerate();
        let reason = |(index, line)| Some((index + 1, entry(index + 1, line).err()?.to_owned()));
        numbered.filter_map(reason).collect()
    }
}

impl fmt::Display for Fstab {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.lines.iter().for_each(|line| line.write(&mut text));
        formatter.write_str(&text)
    }
}

/// Whether a source, as fstab and mount units write it, is the file system of this UUID or one of
/// its other names.
pub fn names_filesystem(source: &str, uuid: &str, aliases: &[String]) -> bool {
    plan::Identity::new(uuid, aliases).names(source)
}

/// Whether an option belongs to ext2, ext3 or ext4 and makes btrfs refuse the mount (facts boot.md
/// D8), `errors=remount-ro` being the one that installers write.
pub fn is_ext_only_option(option: &str) -> bool {
    mount_options::is_ext_only(option)
}

/// The entry of a line; nothing for a comment; the reason why libmount drops it otherwise.
fn entry(number: usize, line: &Line) -> Result<Option<Entry>, &'static str> {
    if line.fields.is_empty() {
        return Ok(None);
    }
    let field = |index| line.field(index).ok_or("fewer than three fields");
    let (source, mount_point, fstype) = (field(0)?, field(1)?, field(2)?);
    if line.field(4).is_some_and(|dump| number_of(dump).is_none()) {
        return Err("the fifth field (dump) is not a number");
    }
    let pass = match line.field(5) {
        Some(text) => Some(number_of(text).ok_or("the sixth field (pass) is not a number")?),
        None => None,
    };
    Ok(Some(Entry {
        line: number,
        source: line::decode(source),
        mount_point: line::decode(mount_point),
        fstype: line::decode(fstype),
        options: line.field(3).map(line::options).unwrap_or_default(),
        dump: line.field(4).map(str::to_owned),
        pass,
    }))
}

/// Decimal with an optional sign, as libmount's `next_s32` reads it.
fn number_of(text: &str) -> Option<i32> {
    text.parse().ok()
}

#[cfg(test)]
mod tests;
