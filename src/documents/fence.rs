//! Paths of a resolved plan, by what may be done at them. Each is parsed once; that it stays where it
//! belongs follows from its type, whatever a document said.
//!
//! Before the commit a step writes at a [`StagedPath`] or inside a [`StagedSubvolume`], and nowhere
//! else. An [`OldPath`] is only read.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::layout::is_plain_name;
use super::plan::STAGING;

/// Longest name of an entry, in bytes (linux/limits.h).
const NAME_LIMIT: usize = 255;
/// A longer path can't be given to the kernel, in bytes (linux/limits.h).
const PATH_LIMIT: usize = 4000;

/// The name of a subvolume at the top level, as `@home`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SubvolumeName(String);

/// A prepared subvolume: `.rootshift/new/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StagedSubvolume(SubvolumeName);

/// A place below `.rootshift/new`: a prepared subvolume, or a path inside one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StagedPath {
    subvolume: StagedSubvolume,
    /// Below the subvolume; empty for itself.
    inside: String,
}

/// A path inside one subvolume, as `/etc/fstab`; never its root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InsidePath(String);

/// A path of the old system, from its root, as `/` or `/home`. It is only read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OldPath(String);

/// The name of one entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryName(String);

impl SubvolumeName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a path from the top level.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl StagedSubvolume {
    /// Where a subvolume of this name is prepared.
    #[must_use]
    pub fn of(name: SubvolumeName) -> Self {
        Self(name)
    }

    /// The name that it will have at the top level.
    #[must_use]
    pub fn name(&self) -> &SubvolumeName {
        &self.0
    }

    /// From the top level, for messages and comparisons.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        Path::new(STAGING).join(self.0.path())
    }
}

impl StagedPath {
    /// The prepared subvolume that it is, or lies in.
    #[must_use]
    pub fn subvolume(&self) -> &StagedSubvolume {
        &self.subvolume
    }

    /// The path inside it; `None` for the subvolume itself.
    #[must_use]
    pub fn inside(&self) -> Option<&Path> {
        Some(Path::new(&self.inside)).filter(|path| !path.as_os_str().is_empty())
    }

    /// From the top level, for messages and comparisons.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self.inside() {
            Some(inside) => self.subvolume.path().join(inside),
            None => self.subvolume.path(),
        }
    }
}

impl InsidePath {
    /// Relative to the subvolume's root.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// Its first part.
    #[must_use]
    pub fn first(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

impl OldPath {
    /// Relative to the old system's root; `.` for the root itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self.0.as_str() {
            "" => Path::new("."),
            inside => Path::new(inside),
        }
    }

    /// Whether it is the old system's root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path of what lies above `inside`, where this ends with it: `/var` of `/var/log` and `log`.
    #[must_use]
    pub fn without(&self, inside: &InsidePath) -> Self {
        let rest = self.0.strip_suffix(inside.0.as_str());
        let rest = rest.filter(|rest| rest.is_empty() || rest.ends_with('/'));
        Self(rest.unwrap_or(&self.0).trim_end_matches('/').to_owned())
    }
}

impl EntryName {
    /// As a path from its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(&self.0)
    }
}

/// Why a text is no path that stays inside.
fn stray(inside: &str) -> Option<&'static str> {
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    if inside.len() > PATH_LIMIT || inside.split('/').any(|part| part.len() > NAME_LIMIT) {
        Some("it is too long")
    } else if inside.contains('\0') {
        Some("it holds a zero byte")
    } else if inside.split('/').any(odd) {
        Some("a part of it is empty, \".\" or \"..\"")
    } else {
        None
    }
}

/// Without one slash at the begin and one at the end: `/home` and `home/` are the same place.
fn bare(text: &str) -> &str {
    let text = text.strip_prefix('/').unwrap_or(text);
    let ended = text.strip_suffix('/').filter(|rest| !rest.is_empty());
    ended.unwrap_or(text)
}

const WRITE_THIS: &str = "write \"{staging}/{name}\" or the like";

impl TryFrom<String> for SubvolumeName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match bare(&text) {
            name if is_plain_name(name) => Ok(Self(name.to_owned())),
            _ => Err(format!(
                "\"{text}\" is no name of a subvolume at the top level"
            )),
        }
    }
}

impl TryFrom<String> for StagedPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let refused = |why: &str| {
            format!("\"{text}\" is not below the staging place {STAGING}{why}; {WRITE_THIS}")
        };
        let below = bare(&text).strip_prefix(STAGING);
        let below = below.and_then(|rest| rest.strip_prefix('/'));
        let below = below.ok_or_else(|| refused(""))?;
        if let Some(why) = stray(below) {
            return Err(refused(&format!(": {why}")));
        }
        let (name, inside) = below.split_once('/').unwrap_or((below, ""));
        let name =
            SubvolumeName::try_from(name.to_owned()).map_err(|why| refused(&format!(": {why}")))?;
        Ok(Self {
            subvolume: StagedSubvolume(name),
            inside: inside.to_owned(),
        })
    }
}

impl TryFrom<String> for StagedSubvolume {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let path = StagedPath::try_from(text)?;
        match path.inside() {
            None => Ok(path.subvolume),
            Some(_) => Err(format!(
                "\"{}\" is a path inside a prepared subvolume, and not one itself; {WRITE_THIS}",
                path.path().display()
            )),
        }
    }
}

impl TryFrom<String> for InsidePath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let inside = bare(&text);
        match stray(inside) {
            None => Ok(Self(inside.to_owned())),
            Some(why) => Err(format!(
                "\"{text}\" is no path inside a subvolume: {why}; write it as \"/etc/fstab\""
            )),
        }
    }
}

impl TryFrom<String> for OldPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let inside = bare(&text);
        match stray(inside) {
            _ if inside.is_empty() => Ok(Self(String::new())),
            None => Ok(Self(inside.to_owned())),
            Some(why) => Err(format!(
                "\"{text}\" is no path of the old system: {why}; write it as \"/home\""
            )),
        }
    }
}

impl TryFrom<String> for EntryName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match stray(&text) {
            None if !text.contains('/') => Ok(Self(text)),
            _ => Err(format!(
                "\"{text}\" is no name of one entry: write it as \"@home\""
            )),
        }
    }
}

impl From<SubvolumeName> for String {
    fn from(name: SubvolumeName) -> Self {
        name.0
    }
}

impl From<StagedSubvolume> for String {
    fn from(subvolume: StagedSubvolume) -> Self {
        format!("{STAGING}/{}", subvolume.0.0)
    }
}

impl From<StagedPath> for String {
    fn from(path: StagedPath) -> Self {
        let subvolume = Self::from(path.subvolume);
        match path.inside.as_str() {
            "" => subvolume,
            inside => format!("{subvolume}/{inside}"),
        }
    }
}

impl From<InsidePath> for String {
    fn from(path: InsidePath) -> Self {
        format!("/{}", path.0)
    }
}

impl From<OldPath> for String {
    fn from(path: OldPath) -> Self {
        format!("/{}", path.0)
    }
}

impl From<EntryName> for String {
    fn from(name: EntryName) -> Self {
        name.0
    }
}

impl fmt::Display for SubvolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InsidePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

impl fmt::Display for OldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

#[cfg(test)]
mod tests;
