//! The rooms `sys` and `tree` on a real btrfs behind a loop device. Needs root and btrfs-progs.
// Clippy takes only #[test] functions for tests, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rootshift::sys::error::Failure;
use rootshift::sys::{FileKind, InodeFlags, Root, Time, attributes, block, btrfs, mount};
use rootshift::tree::manifest::{self, Manifest};
use rootshift::tree::{self, compare, remove::remove_tree};
use tempfile::TempDir;

const IMMUTABLE: u32 = 0x10;
const APPEND_ONLY: u32 = 0x20;
const NO_COPY_ON_WRITE: u32 = 0x0080_0000;

/// Runs a program that must succeed; what it printed.
fn tool(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| {
            panic!("{program}: {error}. Install it: apt-get install btrfs-progs mount libcap2-bin")
        });
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {failed}");
    String::from_utf8(output.stdout).unwrap()
}

/// A fresh 256 MiB btrfs, its top level mounted; gone with the value.
struct Disk {
    folder: TempDir,
    device: String,
}

impl Disk {
    fn new() -> Self {
        Self::with_options(&[])
    }

    fn with_options(options: &[&str]) -> Self {
        let user = rootshift::sys::process::effective_user_is_root();
        assert!(
            user,
            "loop tests mount file systems: run them as root (sudo -E cargo test)"
        );
        let folder = tempfile::Builder::new()
            .prefix("rootshift-loop-")
            .tempdir()
            .unwrap();
        let image = folder.path().join("image");
        fs::File::create(&image)
            .unwrap()
            .set_len(256 << 20)
            .unwrap();
        fs::create_dir(folder.path().join("top")).unwrap();
        let image = image.to_str().unwrap();
        tool("mkfs.btrfs", &[&["-q"], options, &[image]].concat());
        let device = tool("losetup", &["--find", "--show", image])
            .trim()
            .to_owned();
        let disk = Self { folder, device };
        mount::mount_top_level(disk.device(), &disk.top()).unwrap();
        disk
    }

    fn device(&self) -> &Path {
        Path::new(&self.device)
    }

    fn top(&self) -> PathBuf {
        self.folder.path().join("top")
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.top().join(inside)
    }

    fn root(&self) -> Root {
        Root::open(&self.top()).unwrap()
    }

    fn write(&self, inside: &str, content: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Immutable files do not keep a file system from being unmounted; mounts below it do.
        Command::new("umount")
            .args(["-q", "-R", "-l"])
            .arg(self.top())
            .status()
            .ok();
        Command::new("losetup")
            .args(["-d", &self.device])
            .status()
            .ok();
    }
}

fn look(root: &Root) -> rootshift::sys::ReadOnly {
    root.read_only(Path::new(".")).unwrap()
}

fn path(text: &str) -> &Path {
    Path::new(text)
}

fn names(root: &Root, directory: &str) -> Vec<String> {
    let names = root.list(path(directory)).unwrap();
    names
        .into_iter()
        .map(|name| name.into_string().unwrap())
        .collect()
}

#[test]
fn a_snapshot_is_exchanged_with_what_it_came_from() {
    let disk = Disk::new();
    let root = disk.root();
    btrfs::create_subvolume(&root, path("@")).unwrap();
    disk.write("@/etc/fstab", "old");
    root.sync_filesystem().unwrap();
    btrfs::snapshot(&look(&root), path("@"), &root, path("@new")).unwrap();
    root.replace_file(path("@new/etc/fstab"), b"new").unwrap();
    root.exchange(path("@"), path("@new")).unwrap();
    root.sync_filesystem().unwrap();
    assert_eq!(root.read(path("@/etc/fstab")).unwrap(), b"new");
    assert_eq!(root.read(path("@new/etc/fstab")).unwrap(), b"old");
    let (new, old) = (path("@"), path("@new"));
    let new = btrfs::subvolume_info(&root, new).unwrap();
    let old = btrfs::subvolume_info(&root, old).unwrap();
    assert_eq!(
        (new.parent_uuid, new.parent_id, new.directory_id),
        (old.uuid, 5, 256)
    );
    assert_eq!((old.parent_uuid, old.read_only), ([0; 16], false));
    assert!(old.created_generation < new.created_generation);
    let taken = btrfs::snapshot(&look(&root), path("@"), &root, path("@new")).unwrap_err();
    assert!(taken.is_already_there(), "{taken}");
    assert!(btrfs::snapshot(&look(&root), path("@/etc"), &root, path("x")).is_err());
}

#[test]
fn a_snapshot_of_the_top_level_has_stubs_for_nested_subvolumes() {
    let disk = Disk::new();
    let root = disk.root();
    disk.write("var/lib/file", "x");
    btrfs::create_subvolume(&root, path("var/lib/machines")).unwrap();
    disk.write("var/lib/machines/inner", "x");
    btrfs::snapshot(&look(&root), path("/"), &root, path("@")).unwrap();
    let stub = root.status(path("@/var/lib/machines")).unwrap().unwrap();
    assert_eq!((stub.kind, stub.inode), (FileKind::Directory, 2));
    assert!(!btrfs::is_subvolume(&root, path("@/var/lib/machines")).unwrap());
    for (inside, expected) in [
        ("", true),
        ("@", true),
        ("var/lib/machines", true),
        ("var", false),
        ("none", false),
    ] {
        assert_eq!(
            btrfs::is_subvolume(&root, path(inside)).unwrap(),
            expected,
            "{inside:?}"
        );
    }
    // The stub gives way to a snapshot of the nested subvolume.
    root.remove_directory(path("@/var/lib/machines")).unwrap();
    let machines = path("var/lib/machines");
    btrfs::snapshot(&look(&root), machines, &root, path("@/var/lib/machines")).unwrap();
    assert_eq!(root.read(path("@/var/lib/machines/inner")).unwrap(), b"x");
    assert!(
        btrfs::delete_subvolume(&root, path("@"))
            .unwrap_err()
            .is_not_empty()
    );
}

#[test]
fn deletion_takes_immutable_files_and_read_only_subvolumes() {
    let disk = Disk::new();
    let root = disk.root();
    btrfs::create_subvolume(&root, path("@")).unwrap();
    disk.write("@/locked", "x");
    root.set_flags(path("@/locked"), IMMUTABLE).unwrap();
    assert!(root.flags(path("@/locked")).unwrap().immutable);
    assert!(
        root.remove_file(path("@/locked"))
            .unwrap_err()
            .is_not_permitted()
    );
    root.set_flags(path("@"), IMMUTABLE).unwrap();
    btrfs::set_read_only(&root, path("@"), true).unwrap();
    assert!(btrfs::subvolume_info(&root, path("@")).unwrap().read_only);
    btrfs::delete_subvolume(&root, path("@")).unwrap();
    assert!(!root.exists(path("@")).unwrap());
    disk.write("plain/file", "x");
    let error = btrfs::delete_subvolume(&root, path("plain")).unwrap_err();
    assert!(
        matches!(error.failure(), Failure::Malformed { .. }),
        "{error}"
    );
    assert!(
        btrfs::delete_subvolume(&root, path("@"))
            .unwrap_err()
            .is_not_found()
    );
}

#[test]
fn all_subvolumes_are_listed_with_their_paths() {
    let disk = Disk::new();
    let root = disk.root();
    assert!(btrfs::list_subvolumes(&root).unwrap().is_empty());
    fs::create_dir_all(disk.path("var/lib")).unwrap();
    for inside in ["@", "@/home", "@/home/deep", "var/lib/machines"] {
        let parent = path(inside).parent().unwrap();
        root.create_directories(parent, 0o755).unwrap();
        btrfs::create_subvolume(&root, path(inside)).unwrap();
    }
    root.create_directory(path("@/dir"), 0o755).unwrap();
    btrfs::create_subvolume(&root, path("@/dir/with space")).unwrap();
    root.sync_filesystem().unwrap();
    let listed = btrfs::list_subvolumes(&root).unwrap();
    let paths: Vec<_> = listed
        .iter()
        .map(|one| one.path.to_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "@",
            "@/dir/with space",
            "@/home",
            "@/home/deep",
            "var/lib/machines"
        ]
    );
    for one in &listed {
        let info = btrfs::subvolume_info(&root, &one.path).unwrap();
        assert_eq!(
            (info.id, info.parent_id),
            (one.id, one.parent_id),
            "{:?}",
            one.path
        );
    }
    // The same from inside a subvolume, and no more after a deletion.
    let within = root.within(path("@/dir")).unwrap();
    assert_eq!(btrfs::list_subvolumes(&within).unwrap(), listed);
    btrfs::delete_subvolume(&root, path("@/home/deep")).unwrap();
    assert_eq!(btrfs::list_subvolumes(&root).unwrap().len(), 4);
}

#[test]
fn a_change_is_seen_and_a_rewritten_leaf_is_none() {
    let disk = Disk::new();
    let root = disk.root();
    for number in 0..3000 {
        disk.write(&format!("some/deep/place/{number}"), "x");
    }
    root.sync_filesystem().unwrap();
    let before = btrfs::subvolume_info(&root, path("")).unwrap().generation;
    assert_eq!(btrfs::first_change_since(&root, before).unwrap(), None);
    assert!(
        btrfs::first_change_since(&root, before - 1)
            .unwrap()
            .is_some()
    );

    // A snapshot only adds a name to inode 256, a balance only moves the leaves.
    btrfs::snapshot(&look(&root), path(""), &root, path("@")).unwrap();
    tool(
        "btrfs",
        &[
            "-q",
            "balance",
            "start",
            "-f",
            "-m",
            disk.top().to_str().unwrap(),
        ],
    );
    assert_eq!(btrfs::first_change_since(&root, before).unwrap(), None);

    disk.write("some/deep/place/2999", "y");
    let changed = fs::metadata(disk.path("some/deep/place/2999"))
        .unwrap()
        .ino();
    assert_eq!(
        btrfs::first_change_since(&root, before).unwrap(),
        Some(changed)
    );
    let ours = |inode| inode == changed;
    let others = btrfs::first_change_since_except(&root, before, &ours).unwrap();
    assert_eq!(others, None);
    // The snapshot has the state from before.
    let snapshot = root.within(path("@")).unwrap();
    assert_eq!(btrfs::first_change_since(&snapshot, before).unwrap(), None);
}

#[test]
fn a_removal_below_the_root_is_a_change() {
    let disk = Disk::new();
    let root = disk.root();
    disk.write("etc/file", "x");
    root.sync_filesystem().unwrap();
    let before = btrfs::subvolume_info(&root, path("")).unwrap().generation;
    fs::remove_file(disk.path("etc/file")).unwrap();
    let etc = fs::metadata(disk.path("etc")).unwrap().ino();
    assert_eq!(btrfs::first_change_since(&root, before).unwrap(), Some(etc));
}

#[test]
fn the_file_system_tells_its_size_and_name() {
    let uuid = "01234567-89ab-4cde-8f01-23456789abcd";
    let disk = Disk::with_options(&["-m", "dup", "-U", uuid]);
    let root = disk.root();
    let about = btrfs::filesystem(&root).unwrap();
    assert_eq!(
        (about.uuid.as_str(), about.devices, about.sector_size),
        (uuid, 1, 4096)
    );
    assert_eq!(about.node_size, 16384);
    assert_eq!(
        block::btrfs_uuid(disk.device()).unwrap().as_deref(),
        Some(uuid)
    );
    let space = btrfs::space(&root).unwrap();
    assert_eq!((space.device_size, space.metadata_copies), (256 << 20, 2));
    fs::write(disk.path("data"), vec![1; 8 << 20]).unwrap();
    root.sync_filesystem().unwrap();
    let fuller = btrfs::space(&root).unwrap();
    assert!(
        fuller.data_used >= space.data_used + (8 << 20),
        "{space:?} {fuller:?}"
    );
    // Raw numbers of btrfs-progs, which asks the same kernel in another way.
    let usage = tool(
        "btrfs",
        &["filesystem", "usage", "-b", disk.top().to_str().unwrap()],
    );
    let field = |name: &str| -> u64 {
        let line = usage
            .lines()
            .find(|line| line.trim_start().starts_with(name))
            .unwrap();
        line.split_whitespace()
            .nth(name.split(' ').count())
            .unwrap()
            .parse()
            .unwrap()
    };
    assert_eq!(fuller.unallocated, field("Device unallocated:"));
    assert_eq!(fuller.global_reserve, field("Global reserve:"));
    let single = Disk::with_options(&["-m", "single"]);
    assert_eq!(btrfs::space(&single.root()).unwrap().metadata_copies, 1);
    let other = Root::open(path("/proc")).unwrap();
    assert!(btrfs::filesystem(&other).is_err() && btrfs::space(&other).is_err());
}

#[test]
fn quotas_are_seen() {
    let disk = Disk::new();
    assert!(!btrfs::quotas_enabled(&disk.root()).unwrap());
    tool("btrfs", &["quota", "enable", disk.top().to_str().unwrap()]);
    assert!(btrfs::quotas_enabled(&disk.root()).unwrap());
}

/// A version 2 ACL: user::rwx, user:1000:rwx, group::r-x, mask::rwx, other::--- (linux/posix_acl_xattr.h).
fn acl() -> Vec<u8> {
    let everyone = u32::MAX;
    let entries = [
        (1, 7, everyone),
        (2, 7, 1000),
        (4, 5, everyone),
        (16, 7, everyone),
        (32, 0, everyone),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend_from_slice(&u16::to_le_bytes(tag));
        bytes.extend_from_slice(&u16::to_le_bytes(permissions));
        bytes.extend_from_slice(&u32::to_le_bytes(id));
    }
    bytes
}

#[test]
fn a_directory_takes_over_every_attribute() {
    let disk = Disk::new();
    let root = disk.root();
    for (name, flags) in [
        ("compressed", 0),
        ("no-cow", NO_COPY_ON_WRITE),
        ("locked", IMMUTABLE),
    ] {
        let (from, to) = (PathBuf::from(name), PathBuf::from(format!("@{name}")));
        root.create_directory(&from, 0o2770).unwrap();
        fs::set_permissions(disk.path(name), fs::Permissions::from_mode(0o2770)).unwrap();
        std::os::unix::fs::chown(disk.path(name), Some(12), Some(34)).unwrap();
        let set = |name: &str, value: &[u8]| {
            attributes::set_extended_attribute(&root, &from, name.as_ref(), value).unwrap();
        };
        set("system.posix_acl_access", &acl());
        set("system.posix_acl_default", &acl());
        set("security.selinux", b"system_u:object_r:home_root_t:s0\0");
        set("trusted.overlay.opaque", b"y");
        if name == "compressed" {
            set("btrfs.compression", b"zstd");
        }
        let accessed = Time {
            seconds: -5,
            nanoseconds: 1,
        };
        let modified = Time {
            seconds: 1_700_000_000,
            nanoseconds: 987_654_321,
        };
        attributes::set_times(&root, &from, accessed, modified).unwrap();
        if flags != 0 {
            root.set_flags(&from, flags).unwrap();
        }
        btrfs::create_subvolume(&root, &to).unwrap();
        attributes::set_extended_attribute(&root, &to, "user.stale".as_ref(), b"1").unwrap();
        attributes::copy_directory_attributes(&look(&root), &from, &root, &to).unwrap();

        let (old, new) = (
            root.status(&from).unwrap().unwrap(),
            root.status(&to).unwrap().unwrap(),
        );
        assert_eq!((new.mode, new.uid, new.gid), (0o2770, 12, 34), "{name}");
        assert_eq!((new.accessed, new.modified), (accessed, modified), "{name}");
        assert_eq!((old.accessed, old.modified), (accessed, modified), "{name}");
        let expected = attributes::extended_attributes(&root, &from).unwrap();
        assert_eq!(expected.len(), if name == "compressed" { 5 } else { 4 });
        assert_eq!(
            attributes::extended_attributes(&root, &to).unwrap(),
            expected,
            "{name}"
        );
        let (old, new) = (root.flags(&from).unwrap(), root.flags(&to).unwrap());
        assert_eq!(old, new, "{name}");
        assert_eq!(new.bits & flags, flags, "{name}");
        // Once more: what is there already does not disturb, not even a lock.
        attributes::copy_directory_attributes(&look(&root), &from, &root, &to).unwrap();
        assert_eq!(root.flags(&to).unwrap(), new, "{name}");
    }
}

/// A tree with everything that a copy can lose.
fn fill_with_oddities(disk: &Disk, below: &str) {
    let root = disk.root();
    let inside = |name: &str| format!("{below}/{name}");
    disk.write(&inside("bin/ping"), "program");
    tool(
        "setcap",
        &[
            "cap_net_raw+ep",
            disk.path(&inside("bin/ping")).to_str().unwrap(),
        ],
    );
    disk.write(&inside("data/first"), "linked");
    fs::hard_link(
        disk.path(&inside("data/first")),
        disk.path(&inside("data/second")),
    )
    .unwrap();
    let sparse = fs::File::create(disk.path(&inside("data/sparse"))).unwrap();
    sparse.set_len(3 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 1 << 20).unwrap();
    symlink("/etc/passwd", disk.path(&inside("data/link"))).unwrap();
    let link = PathBuf::from(inside("data/link"));
    attributes::set_extended_attribute(&root, &link, "trusted.link".as_ref(), b"1").unwrap();
    tool(
        "mknod",
        &[
            disk.path(&inside("data/null")).to_str().unwrap(),
            "c",
            "1",
            "3",
        ],
    );
    tool(
        "mkfifo",
        &[disk.path(&inside("data/fifo")).to_str().unwrap()],
    );
    let acl_file = PathBuf::from(inside("data/first"));
    attributes::set_extended_attribute(
        &root,
        &acl_file,
        "system.posix_acl_access".as_ref(),
        &acl(),
    )
    .unwrap();
    disk.write(&inside("data/locked"), "x");
    root.set_flags(&PathBuf::from(inside("data/locked")), IMMUTABLE)
        .unwrap();
}

#[test]
fn a_manifest_holds_what_a_copy_can_lose_and_a_snapshot_keeps() {
    let disk = Disk::new();
    let root = disk.root();
    btrfs::create_subvolume(&root, path("@")).unwrap();
    fill_with_oddities(&disk, "@");
    root.sync_filesystem().unwrap();
    btrfs::snapshot(&look(&root), path("@"), &root, path("copy")).unwrap();
    let options = manifest::Options {
        holes: true,
        ..manifest::Options::default()
    };
    let of = |inside: &str| Manifest::of(&root.within(path(inside)).unwrap(), options).unwrap();
    let (old, new) = (of("@"), of("copy"));
    let comparison = compare::compare(&old, &new, &compare::Options::default());
    assert!(comparison.is_equal(), "{comparison:?}");
    let entry = |inside: &str| old.get(path(inside)).unwrap();
    let has = |inside: &str, name: &str| entry(inside).attributes.contains_key(OsStr::new(name));
    assert!(has("bin/ping", "security.capability"));
    assert!(has("data/link", "trusted.link"));
    assert!(has("data/second", "system.posix_acl_access"));
    assert_eq!(entry("data/null").special_device, Some(0x103));
    assert_eq!(entry("data/fifo").kind, FileKind::Fifo);
    assert_eq!(entry("data/locked").flags & IMMUTABLE, IMMUTABLE);
    assert!(entry("data/sparse").holes.is_some());
    assert_eq!(entry("bin/ping").holes, None);
    assert_eq!(Manifest::from_text(&old.to_text()).unwrap(), old);

    // Equal content, other holes; a lost capability (any write takes it away).
    fs::write(
        disk.path("copy/data/sparse"),
        fs::read(disk.path("@/data/sparse")).unwrap(),
    )
    .unwrap();
    fs::write(disk.path("copy/bin/ping"), "program").unwrap();
    for inside in ["data/sparse", "bin/ping"] {
        let modified = entry(inside).modified;
        let changed = Path::new("copy").join(inside);
        attributes::set_times(&root, &changed, modified, modified).unwrap();
    }
    root.sync_filesystem().unwrap();
    let changed = compare::compare(&old, &of("copy"), &compare::Options::default()).changed;
    let changed: BTreeMap<&Path, Vec<&str>> = changed
        .iter()
        .map(|(path, all)| {
            (
                path.as_path(),
                all.iter().map(|one| one.attribute.as_str()).collect(),
            )
        })
        .collect();
    let expected = [
        ("bin/ping", vec!["security.capability"]),
        ("data/sparse", vec!["holes"]),
    ];
    assert_eq!(
        changed,
        expected.map(|(inside, all)| (path(inside), all)).into()
    );
}

#[test]
fn a_manifest_enters_subvolumes_on_demand_and_mounts_never() {
    let disk = Disk::new();
    let root = disk.root();
    btrfs::create_subvolume(&root, path("nested")).unwrap();
    disk.write("nested/file", "x");
    fs::create_dir(disk.path("mounted")).unwrap();
    fs::create_dir(disk.path("bound")).unwrap();
    tool(
        "mount",
        &[
            "-t",
            "tmpfs",
            "none",
            disk.path("mounted").to_str().unwrap(),
        ],
    );
    fs::write(disk.path("mounted/file"), "x").unwrap();
    let bound = disk.path("bound");
    tool(
        "mount",
        &[
            "--bind",
            disk.path("nested").to_str().unwrap(),
            bound.to_str().unwrap(),
        ],
    );
    let paths = |cross_subvolumes: bool| -> Vec<String> {
        let options = manifest::Options {
            cross_subvolumes,
            ..manifest::Options::default()
        };
        let manifest = Manifest::of(&root, options).unwrap();
        manifest
            .entries()
            .iter()
            .map(|entry| entry.path.to_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(paths(false), ["", "bound", "mounted", "nested"]);
    assert_eq!(
        paths(true),
        ["", "bound", "mounted", "nested", "nested/file"]
    );
}

#[test]
fn removal_takes_locks_and_stubs_and_stops_at_subvolumes_and_mounts() {
    let disk = Disk::new();
    let root = disk.root();
    fill_with_oddities(&disk, "trash");
    disk.write("trash/locked/inner/file", "x");
    disk.write("trash/locked/log", "x");
    root.set_flags(path("trash/locked/log"), APPEND_ONLY)
        .unwrap();
    root.set_flags(path("trash/locked/inner"), IMMUTABLE)
        .unwrap();
    root.set_flags(path("trash/locked"), APPEND_ONLY).unwrap();
    assert_eq!(
        root.flags(path("trash/locked")).unwrap(),
        InodeFlags::from_bits(APPEND_ONLY)
    );
    btrfs::create_subvolume(&root, path("trash/nested")).unwrap();
    disk.write("trash/nested/precious", "x");

    // In a snapshot the nested subvolume is a stub, which goes with the rest.
    btrfs::snapshot(&look(&root), path("/"), &root, path("@")).unwrap();
    let mut last = 0;
    let removed = remove_tree(&root, path("@/trash"), &mut |count| last = count).unwrap();
    assert_eq!((removed, last), (16, 16));
    assert_eq!(names(&root, "@"), Vec::<String>::new());

    // In the original it is a subvolume, and a mount is a mount.
    let error = remove_tree(&root, path("trash"), &mut |_| {}).unwrap_err();
    assert!(
        matches!(error, tree::Error::NestedSubvolume { .. }),
        "{error}"
    );
    assert_eq!(root.read(path("trash/nested/precious")).unwrap(), b"x");
    btrfs::delete_subvolume(&root, path("trash/nested")).unwrap();
    fs::create_dir(disk.path("trash/mounted")).unwrap();
    tool(
        "mount",
        &[
            "-t",
            "tmpfs",
            "none",
            disk.path("trash/mounted").to_str().unwrap(),
        ],
    );
    let error = remove_tree(&root, path("trash"), &mut |_| {}).unwrap_err();
    assert!(matches!(error, tree::Error::Mount { .. }), "{error}");
    mount::unmount(&disk.path("trash/mounted")).unwrap();
    // Called again, it goes on where it stopped.
    assert!(remove_tree(&root, path("trash"), &mut |_| {}).unwrap() > 0);
    assert!(!root.exists(path("trash")).unwrap());
}

#[test]
fn a_flat_tree_and_its_split_into_subvolumes_are_one() {
    let disk = Disk::new();
    let root = disk.root();
    disk.write("etc/fstab", "x");
    fill_with_oddities(&disk, "home");
    disk.write("usr/share/doc", "x");
    root.sync_filesystem().unwrap();
    let options = manifest::Options {
        holes: true,
        ..manifest::Options::default()
    };
    let old = Manifest::of(&root, options).unwrap();

    // DESIGN 5a in small: both subvolumes are snapshots, in each the rest goes to the trash.
    btrfs::snapshot(&look(&root), path(""), &root, path("@")).unwrap();
    btrfs::snapshot(&look(&root), path(""), &root, path("@home")).unwrap();
    root.create_directory(path("@/trash"), 0o700).unwrap();
    root.rename(path("@/home"), path("@/trash/home")).unwrap();
    root.create_directory(path("@/home"), 0o755).unwrap();
    root.create_directory(path("@home/trash"), 0o700).unwrap();
    for name in names(&root, "@home").iter().filter(|name| *name != "trash") {
        let from = path("@home").join(name);
        if root.status(&from).unwrap().unwrap().inode == 2 {
            // What @ left behind; the kernel refuses to rename a stub.
            let refused = root.rename(&from, path("@home/trash/@")).unwrap_err();
            assert!(refused.is_not_empty(), "{refused}");
            root.remove_directory(&from).unwrap();
        } else {
            root.rename(&from, &path("@home/trash").join(name)).unwrap();
        }
    }
    for name in names(&root, "@home/trash/home") {
        let from = path("@home/trash/home").join(&name);
        root.rename(&from, &path("@home").join(&name)).unwrap();
    }
    remove_tree(&root, path("@/trash"), &mut |_| {}).unwrap();
    remove_tree(&root, path("@home/trash"), &mut |_| {}).unwrap();
    attributes::copy_directory_attributes(&look(&root), path("home"), &root, path("@home"))
        .unwrap();
    root.sync_filesystem().unwrap();

    let of = |inside: &str| Manifest::of(&root.within(path(inside)).unwrap(), options).unwrap();
    let mut union = of("@");
    union.graft(path("home"), of("@home")).unwrap();
    let ignore = |inside: &Path| inside == path("");
    let options = compare::Options {
        ignore: &ignore,
        ..compare::Options::default()
    };
    let comparison = compare::compare(&old, &union, &options);
    assert!(comparison.is_equal(), "{comparison:?}");
    assert_eq!(comparison.same, old.entries().len() - 1);
}

#[test]
fn the_top_level_is_mounted_whatever_the_default_subvolume() {
    let disk = Disk::new();
    let root = disk.root();
    btrfs::create_subvolume(&root, path("@")).unwrap();
    tool(
        "btrfs",
        &["subvolume", "set-default", disk.path("@").to_str().unwrap()],
    );
    let again = disk.folder.path().join("it's again");
    fs::create_dir(&again).unwrap();
    mount::mount_top_level(disk.device(), &again).unwrap();
    assert_eq!(names(&Root::open(&again).unwrap(), ""), ["@"]);
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounts = mount::parse_mountinfo(&table);
    let found = mounts
        .iter()
        .find(|mount| mount.mount_point == again)
        .unwrap();
    assert_eq!(
        (found.root.as_path(), found.fstype.as_str()),
        (path("/"), "btrfs")
    );
    assert_eq!(found.source, disk.device);
    assert!(found.options.contains("noatime"), "{}", found.options);

    let held = fs::File::open(&again).unwrap();
    let waiter = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        drop(held);
    });
    mount::unmount(&again).unwrap();
    waiter.join().unwrap();
    assert!(mount::unmount(&again).is_err());
    drop(root);
    mount::unmount(&disk.top()).unwrap();
    mount::mount_top_level_read_only(disk.device(), &again).unwrap();
    let root = Root::open(&again).unwrap();
    assert!(root.free_space().unwrap().read_only);
    assert!(root.create_directory(path("x"), 0o755).is_err());
    drop(root);
    mount::unmount(&again).unwrap();
}

#[test]
fn a_full_file_system_says_so() {
    let disk = Disk::new();
    let root = disk.root();
    let chunk = vec![7; 16 << 20];
    let full = (0..32).find_map(|number| {
        root.write_new_file(&PathBuf::from(format!("{number}")), &chunk, 0o644)
            .err()
    });
    let error = full.expect("512 MiB fit into 256 MiB");
    assert!(error.is_no_space(), "{error}");
    assert!(
        error.to_string().ends_with("No space left on device"),
        "{error}"
    );
}
