//! Every file, before and after.

use std::path::Path;

use rootshift::tree::compare::{self, Difference};
use rootshift::tree::manifest::Manifest;

use super::{Disk, compare, is_expected, is_ours, manifest, manifest_of_new};

impl Disk {
    /// Everything in the old system.
    pub fn old_manifest(&self) -> Manifest {
        self.mounted(|top| manifest(top, self.old_name(top)))
    }

    /// Everything in the new system, its subvolumes mounted in their places.
    pub fn new_manifest(&self) -> Manifest {
        self.mounted(manifest_of_new)
    }
}

/// The same for /ml, where the layout asks for other properties of two directories.
pub fn assert_same_but_for_properties(old: &Manifest, new: &Manifest) {
    let asked_for = |path: &Path, difference: &Difference| {
        let marks = ["flags", "btrfs.compression"].contains(&difference.attribute.as_str());
        let places = [Path::new("models"), Path::new("datasets")];
        is_expected(path, difference) || (marks && places.contains(&path))
    };
    let options = compare::Options {
        ignore: &is_ours,
        ignore_difference: &asked_for,
    };
    let comparison = compare::compare(old, new, &options);
    assert!(comparison.is_equal(), "{comparison:#?}");
    assert!(comparison.same > 60, "only {} entries", comparison.same);
}

pub fn assert_same(old: &Manifest, new: &Manifest) {
    let comparison = compare(old, new);
    assert!(comparison.is_equal(), "{comparison:#?}");
    assert!(
        comparison.same > 40,
        "only {} entries compared",
        comparison.same
    );
}
