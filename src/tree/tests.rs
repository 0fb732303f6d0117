use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::compare::{Comparison, Options, compare};
use super::manifest::{self, Manifest};
use crate::sys::{FileKind, Root, Time, attributes};

const THEN: Time = Time {
    seconds: 1_000_000_000,
    nanoseconds: 123_456_789,
};

fn sample() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("home/user")).unwrap();
    fs::create_dir(path("a")).unwrap();
    fs::write(path("a/one"), "1").unwrap();
    fs::hard_link(path("a/one"), path("a/two")).unwrap();
    fs::write(path("home/user/notes"), "text").unwrap();
    symlink("user/notes", path("home/link")).unwrap();
    fs::write(
        folder
            .path()
            .join(std::ffi::OsStr::from_bytes(b"odd\n\xff name")),
        "x",
    )
    .unwrap();
    settle(folder.path());
    folder
}

/// Gives everything the same times, so that two copies are equal.
fn settle(folder: &Path) {
    let root = Root::open(folder).unwrap();
    let manifest = of(folder);
    for entry in manifest.entries().iter().rev() {
        attributes::set_times(&root, &entry.path, THEN, THEN).unwrap();
    }
}

fn set_attribute(folder: &Path, path: &str, name: &str, value: &[u8]) {
    let root = Root::open(folder).unwrap();
    attributes::set_extended_attribute(&root, Path::new(path), name.as_ref(), value).unwrap();
}

fn of(folder: &Path) -> Manifest {
    Manifest::of(&Root::open(folder).unwrap(), manifest::Options::default()).unwrap()
}

fn paths(manifest: &Manifest) -> Vec<PathBuf> {
    manifest
        .entries()
        .iter()
        .map(|entry| entry.path.clone())
        .collect()
}

fn compared(old: &Manifest, new: &Manifest) -> Comparison {
    compare(old, new, &Options::default())
}

/// The one difference there is: path and attributes.
fn only_change(comparison: &Comparison) -> (PathBuf, Vec<&str>) {
    assert!(
        comparison.missing.is_empty() && comparison.extra.is_empty(),
        "{comparison:?}"
    );
    let [(path, differences)] = comparison.changed.as_slice() else {
        panic!("{comparison:?}")
    };
    (
        path.clone(),
        differences
            .iter()
            .map(|one| one.attribute.as_str())
            .collect(),
    )
}

#[test]
fn a_manifest_is_sorted_complete_and_survives_its_text() {
    let folder = sample();
    let manifest = of(folder.path());
    let odd = PathBuf::from(std::ffi::OsStr::from_bytes(b"odd\n\xff name"));
    let expected = [
        "",
        "a",
        "a/one",
        "a/two",
        "home",
        "home/link",
        "home/user",
        "home/user/notes",
    ];
    let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).chain([odd]).collect();
    assert_eq!(paths(&manifest), expected);
    let one = manifest.get(Path::new("a/one")).unwrap();
    let two = manifest.get(Path::new("a/two")).unwrap();
    assert_eq!((one.links, &one.linked_to), (2, &None));
    assert_eq!(two.linked_to.as_deref(), Some(Path::new("a/one")));
    assert_eq!(
        (two.content, two.size),
        (Some(xxhash_rust::xxh3::xxh3_128(b"1")), 1)
    );
    let link = manifest.get(Path::new("home/link")).unwrap();
    assert_eq!((link.kind, link.modified), (FileKind::Symlink, THEN));
    assert_eq!(link.target.as_deref(), Some(Path::new("user/notes")));
    assert_eq!(Manifest::from_text(&manifest.to_text()).unwrap(), manifest);
}

#[test]
fn equal_trees_are_equal() {
    let (old, new) = (of(sample().path()), of(sample().path()));
    let comparison = compared(&old, &new);
    assert!(comparison.is_equal(), "{comparison:?}");
    assert_eq!(comparison.same, 9);
}

#[test]
fn every_kind_of_change_is_found() {
    type Change = fn(&Path);
    let changes: [(Change, &str, &[&str]); 6] = [
        (
            |at| fs::write(at.join("home/user/notes"), "tExt").unwrap(),
            "home/user/notes",
            &["content"],
        ),
        (
            |at| fs::write(at.join("home/user/notes"), "text+").unwrap(),
            "home/user/notes",
            &["size", "content"],
        ),
        (
            |at| fs::set_permissions(at.join("a"), fs::Permissions::from_mode(0o700)).unwrap(),
            "a",
            &["mode"],
        ),
        (
            |at| std::os::unix::fs::lchown(at.join("home/link"), Some(1), Some(2)).unwrap(),
            "home/link",
            &["owner", "group"],
        ),
        (
            |at| {
                fs::remove_file(at.join("home/link")).unwrap();
                symlink("user/other", at.join("home/link")).unwrap();
            },
            "home/link",
            &["target"],
        ),
        (
            |at| {
                set_attribute(at, "a", "user.x", b"1");
            },
            "a",
            &["user.x"],
        ),
    ];
    let old = of(sample().path());
    for (change, path, attributes) in changes {
        let folder = sample();
        change(folder.path());
        // A symlink to elsewhere of another length is another size too.
        settle(folder.path());
        let comparison = compared(&old, &of(folder.path()));
        assert_eq!(
            only_change(&comparison),
            (PathBuf::from(path), attributes.to_vec())
        );
    }
}

#[test]
fn times_count_to_the_nanosecond() {
    let old = of(sample().path());
    let folder = sample();
    let later = Time {
        nanoseconds: THEN.nanoseconds + 1,
        ..THEN
    };
    let root = Root::open(folder.path()).unwrap();
    attributes::set_times(&root, Path::new("home/link"), THEN, later).unwrap();
    let comparison = compared(&old, &of(folder.path()));
    assert_eq!(
        only_change(&comparison),
        ("home/link".into(), vec!["modified"])
    );
}

#[test]
fn a_broken_hard_link_is_a_change() {
    let old = of(sample().path());
    let folder = sample();
    fs::remove_file(folder.path().join("a/two")).unwrap();
    fs::write(folder.path().join("a/two"), "1").unwrap();
    settle(folder.path());
    let comparison = compared(&old, &of(folder.path()));
    let changed: Vec<_> = comparison
        .changed
        .iter()
        .map(|(path, _)| path.clone())
        .collect();
    assert_eq!(changed, [PathBuf::from("a/one"), PathBuf::from("a/two")]);
}

#[test]
fn missing_and_extra_are_told_apart_and_ignored_with_what_is_below() {
    let old = of(sample().path());
    let folder = sample();
    fs::remove_dir_all(folder.path().join("home/user")).unwrap();
    fs::create_dir(folder.path().join("a.b")).unwrap();
    fs::write(folder.path().join("a.b/new"), "").unwrap();
    settle(folder.path());
    let new = of(folder.path());
    let comparison = compared(&old, &new);
    assert_eq!(
        comparison.missing,
        ["home/user", "home/user/notes"].map(PathBuf::from)
    );
    assert_eq!(comparison.extra, ["a.b", "a.b/new"].map(PathBuf::from));
    let ignore = |path: &Path| path == Path::new("home/user") || path == Path::new("a.b");
    let options = Options {
        ignore: &ignore,
        ..Options::default()
    };
    assert!(compare(&old, &new, &options).is_equal());
    let no_root = |path: &Path| path == Path::new("");
    let options = Options {
        ignore: &no_root,
        ..Options::default()
    };
    assert_eq!(compare(&old, &new, &options).missing.len(), 2);
}

#[test]
fn single_differences_can_be_ignored() {
    let old = of(sample().path());
    let folder = sample();
    fs::set_permissions(folder.path().join("a"), fs::Permissions::from_mode(0o700)).unwrap();
    let ignore = |path: &Path, difference: &super::compare::Difference| {
        path == Path::new("a") && difference.attribute == "mode"
    };
    let options = Options {
        ignore_difference: &ignore,
        ..Options::default()
    };
    assert!(compare(&old, &of(folder.path()), &options).is_equal());
}

#[test]
fn a_split_tree_grafted_together_equals_the_flat_one() {
    let flat = of(sample().path());
    let split = sample();
    let home = tempfile::tempdir().unwrap();
    fs::rename(split.path().join("home/user"), home.path().join("user")).unwrap();
    fs::rename(split.path().join("home/link"), home.path().join("link")).unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    settle(split.path());
    settle(home.path());
    let mut union = of(split.path());
    assert!(!compared(&flat, &union).is_equal());
    union.graft(Path::new("/home"), of(home.path())).unwrap();
    let comparison = compared(&flat, &union);
    assert!(comparison.is_equal(), "{comparison:?}");
}

#[test]
fn only_an_empty_directory_takes_a_graft() {
    let folder = sample();
    let mut manifest = of(folder.path());
    for wrong in ["home", "a/one", "nowhere"] {
        assert!(
            manifest
                .graft(Path::new(wrong), Manifest::default())
                .is_err(),
            "{wrong}"
        );
    }
    assert_eq!(manifest, of(folder.path()));
}
