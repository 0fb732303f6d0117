use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::Root;
use crate::sys::error::Failure;
use crate::sys::{FileKind, InodeFlags, attributes};

/// A folder `outside` with a secret beside the folder `root` that is opened as a root.
fn fixture() -> (TempDir, Root) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("outside")).unwrap();
    fs::write(folder.path().join("outside/secret"), "secret").unwrap();
    fs::create_dir(folder.path().join("root")).unwrap();
    let root = Root::open(&folder.path().join("root")).unwrap();
    (folder, root)
}

fn path(text: &str) -> &Path {
    Path::new(text)
}

#[test]
fn no_path_leads_out() {
    let (folder, root) = fixture();
    let inside = |name: &str| root.path().join(name);
    fs::create_dir(inside("dir")).unwrap();
    symlink("../../outside", inside("dir/up")).unwrap();
    symlink(folder.path().join("outside"), inside("absolute")).unwrap();
    for escape in [
        "../outside/secret",
        "/../outside/secret",
        "dir/up/secret",
        "absolute/secret",
    ] {
        let error = root.read(path(escape)).unwrap_err();
        assert!(error.is_not_found(), "{escape}: {error}");
        assert!(
            root.write_new_file(path(escape), b"x", 0o644).is_err(),
            "{escape}"
        );
        assert!(root.replace_file(path(escape), b"x").is_err(), "{escape}");
        assert!(root.remove_file(path(escape)).is_err(), "{escape}");
        assert!(root.rename(path(escape), path("here")).is_err(), "{escape}");
        assert_eq!(root.status(path(escape)).unwrap(), None, "{escape}");
    }
    assert_eq!(
        fs::read_to_string(folder.path().join("outside/secret")).unwrap(),
        "secret"
    );
}

#[test]
fn dot_dot_and_absolute_links_end_at_the_root() {
    let (_folder, root) = fixture();
    root.create_directories(path("etc/conf.d"), 0o755).unwrap();
    root.write_new_file(path("etc/hosts"), b"inside", 0o644)
        .unwrap();
    root.symlink(path("/etc"), path("link")).unwrap();
    for same in [
        "etc/hosts",
        "/etc/hosts",
        "../../etc/hosts",
        "link/hosts",
        "etc/conf.d/../hosts",
    ] {
        assert_eq!(root.read(path(same)).unwrap(), b"inside", "{same}");
    }
    let etc = root.within(path("/link")).unwrap();
    assert_eq!(etc.read(path("../hosts")).unwrap(), b"inside");
    assert_eq!(root.list(path("/")).unwrap(), ["etc", "link"]);
    let (top, above) = (
        root.status(path("")).unwrap(),
        root.status(path("/..")).unwrap(),
    );
    assert!(top.unwrap().is_same_file(&above.unwrap()));
}

#[test]
fn magic_links_are_not_followed() {
    let root = Root::open(path("/proc/self")).unwrap();
    assert!(root.read_link(path("exe")).is_ok());
    let error = root.read(path("exe")).unwrap_err();
    assert!(!error.is_not_found(), "{error}");
}

#[test]
fn status_tells_links_from_what_they_lead_to() {
    let (_folder, root) = fixture();
    root.write_new_file(path("file"), b"12345", 0o4711).unwrap();
    root.symlink(path("file"), path("link")).unwrap();
    root.symlink(path("nowhere"), path("dangling")).unwrap();
    let file = root.status(path("file")).unwrap().unwrap();
    assert_eq!(
        (file.kind, file.mode, file.size, file.links),
        (FileKind::File, 0o4711, 5, 1)
    );
    assert_eq!(
        root.status(path("link")).unwrap().unwrap().kind,
        FileKind::Symlink
    );
    assert_eq!(root.resolved_status(path("link")).unwrap(), Some(file));
    assert!(root.exists(path("dangling")).unwrap());
    assert_eq!(root.resolved_status(path("dangling")).unwrap(), None);
    assert!(!root.exists(path("file/below")).unwrap());
    assert_eq!(root.read_link(path("dangling")).unwrap(), path("nowhere"));
}

#[test]
fn a_file_is_read_whole_whatever_size_it_names() {
    let (_folder, root) = fixture();
    for length in [0, 1, 1023, 1024, 1025, 100_000] {
        let content = "rootshift ".repeat(length).as_bytes()[..length].to_vec();
        fs::write(root.path().join("file"), &content).unwrap();
        assert!(root.read(path("file")).unwrap() == content, "{length}");
    }
    // Of no size, and several pages long.
    let proc = Root::open(path("/proc")).unwrap();
    let maps = proc.read_text(path("self/smaps")).unwrap();
    assert!(maps.len() > 10_000, "{}", maps.len());
    assert!(maps.ends_with('\n') && maps.contains("[stack]"));
}

#[test]
fn reading_refuses_what_is_no_text_file() {
    let (_folder, root) = fixture();
    root.write_new_file(path("latin1"), b"caf\xe9", 0o644)
        .unwrap();
    let error = root.read_text(path("latin1")).unwrap_err();
    assert!(
        error.to_string().ends_with("not UTF-8 at byte 3"),
        "{error}"
    );
    assert!(matches!(
        root.read(path("")).unwrap_err().failure(),
        Failure::Malformed { .. }
    ));
    let huge = root.open_append(path("huge"), true).unwrap();
    huge.set_len((64 << 20) + 1).unwrap();
    assert!(
        root.read(path("huge"))
            .unwrap_err()
            .to_string()
            .contains("64 MiB")
    );
    huge.set_len(64 << 20).unwrap();
    assert_eq!(root.read(path("huge")).unwrap().len(), 64 << 20);
}

#[test]
fn rename_keeps_replace_overwrites_and_exchange_swaps() {
    let (_folder, root) = fixture();
    root.write_new_file(path("a"), b"a", 0o644).unwrap();
    root.write_new_file(path("b"), b"b", 0o644).unwrap();
    let error = root.rename(path("a"), path("b")).unwrap_err();
    assert!(error.is_already_there(), "{error}");
    root.exchange(path("a"), path("b")).unwrap();
    assert_eq!(root.read(path("a")).unwrap(), b"b");
    root.replace(path("a"), path("b")).unwrap();
    assert_eq!(root.list(path("")).unwrap(), ["b"]);
    assert_eq!(root.read(path("b")).unwrap(), b"b");
    assert!(
        root.exchange(path("b"), path("c"))
            .unwrap_err()
            .is_not_found()
    );
}

#[test]
fn directories_get_their_mode_whatever_the_umask() {
    let (_folder, root) = fixture();
    root.create_directory(path("shared"), 0o1777).unwrap();
    assert_eq!(root.status(path("shared")).unwrap().unwrap().mode, 0o1777);
    assert!(
        root.create_directory(path("shared"), 0o755)
            .unwrap_err()
            .is_already_there()
    );
    root.create_directories(path("/shared/a/b"), 0o750).unwrap();
    root.create_directories(path("shared/a/b"), 0o700).unwrap();
    assert_eq!(root.status(path("shared/a")).unwrap().unwrap().mode, 0o750);
    root.write_new_file(path("file"), b"", 0o644).unwrap();
    assert!(
        root.create_directories(path("file"), 0o755)
            .unwrap_err()
            .is_already_there()
    );
    root.symlink(path("shared"), path("link")).unwrap();
    root.create_directories(path("link/c"), 0o755).unwrap();
    assert!(root.exists(path("shared/c")).unwrap());
    assert!(
        root.remove_directory(path("shared"))
            .unwrap_err()
            .is_not_empty()
    );
}

#[test]
fn a_replaced_file_keeps_mode_and_attributes() {
    let (_folder, root) = fixture();
    root.write_new_file(path("fstab"), b"old", 0o640).unwrap();
    let on_disk: PathBuf = root.path().join("fstab");
    let name = OsStr::new("user.origin");
    attributes::set_extended_attribute(&root, path("fstab"), name, b"kept").unwrap();
    let old_inode = fs::metadata(&on_disk).unwrap().ino();
    // What a power cut in the middle of an earlier run leaves behind.
    fs::write(root.path().join(".fstab.rootshift-new"), "half").unwrap();
    root.replace_file(path("fstab"), b"new").unwrap();
    let metadata = fs::metadata(&on_disk).unwrap();
    assert_eq!(fs::read(&on_disk).unwrap(), b"new");
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o640);
    assert_ne!(metadata.ino(), old_inode);
    let kept = attributes::extended_attributes(&root, path("fstab")).unwrap();
    assert!(kept.contains(&(name.to_owned(), b"kept".to_vec())));
    assert_eq!(root.list(path("")).unwrap(), ["fstab"]);
}

#[test]
fn a_new_file_is_readable_and_links_are_not_replaced() {
    let (_folder, root) = fixture();
    root.replace_file(path("new"), b"x").unwrap();
    assert_eq!(root.status(path("new")).unwrap().unwrap().mode, 0o644);
    root.symlink(path("new"), path("link")).unwrap();
    assert!(root.replace_file(path("link"), b"y").is_err());
    assert!(root.open_append(path("link"), true).is_err());
    assert_eq!(root.read(path("new")).unwrap(), b"x");
    assert!(
        root.write_new_file(path("new"), b"y", 0o644)
            .unwrap_err()
            .is_already_there()
    );
    assert_eq!(root.list(path("")).unwrap(), ["link", "new"]);
}

#[test]
fn flags_of_links_and_of_what_is_missing() {
    let (_folder, root) = fixture();
    root.symlink(path("/etc/passwd"), path("link")).unwrap();
    assert_eq!(root.flags(path("link")).unwrap(), InodeFlags::default());
    assert!(root.flags(path("missing")).unwrap_err().is_not_found());
}

#[test]
fn space_is_told_in_bytes() {
    let (_folder, root) = fixture();
    let space = root.free_space().unwrap();
    assert!(space.total_bytes > 1 << 20 && space.available_bytes <= space.free_bytes);
    root.sync_filesystem().unwrap();
}

#[test]
fn only_the_names_that_replacing_makes_are_unfinished_files() {
    let (_folder, root) = fixture();
    let put = |name: &str| root.write_new_file(path(name), b"x", 0o644).unwrap();
    for name in [
        ".fstab.rootshift-new",
        "fstab",
        ".rootshift-new",
        "a.rootshift-new",
    ] {
        put(name);
    }
    root.create_directory(path(".d.rootshift-new"), 0o755)
        .unwrap();
    let found = root.unfinished_files(path(".")).unwrap();
    let wanted = (
        PathBuf::from("./.fstab.rootshift-new"),
        PathBuf::from("./fstab"),
    );
    assert_eq!(found, [wanted]);
}
