//! Two manifests side by side.

use std::path::{Path, PathBuf};

use super::Manifest;

/// What to leave out.
#[allow(missing_debug_implementations)]
pub struct Options<'a> {
    /// Paths (relative to the tree's root) to leave out, with everything below them.
    pub ignore: &'a dyn Fn(&Path) -> bool,
}

/// One attribute that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which attribute: "mode", "content".
    pub attribute: &'static str,
    /// Its old value, for people.
    pub old: String,
    /// Its new value, for people.
    pub new: String,
}

/// What two trees have in common and what not. All paths are sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Entries that are equal in everything.
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

/// skeleton
#[must_use]
pub fn compare(_old: &Manifest, _new: &Manifest, _options: &Options<'_>) -> Comparison {
    Comparison::default()
}
