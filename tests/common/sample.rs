//! The sample system, and how two states of it are compared: shared by the tests on loop devices
//! and by the cut sweep.

#![allow(dead_code, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rootshift::documents::Plan;
use rootshift::documents::library::Bundle;
use rootshift::documents::plan::{After, OtherFilesystem, TRASH};
use rootshift::engine::home::Migration;
use rootshift::engine::kept::{self, Disk};
use rootshift::engine::mount_lines::Mounting;
use rootshift::engine::resolve::{Machine, resolve};
use rootshift::engine::survey::{Survey, boot_images, fingerprints, old_system};
use rootshift::journal::Record;
use rootshift::sys::Root;
use rootshift::tree::compare::{self, Comparison, Difference};
use rootshift::tree::manifest::{Manifest, Options};

pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|cause| {
        panic!(
            "{program} is needed: {cause}; run `apt-get install btrfs-progs e2fsprogs util-linux acl attr`"
        )
    });
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Where the old system's root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// At the top level, as Ubuntu's installer makes it.
    Flat,
    /// In one subvolume, as Debian's installer makes it.
    Rootfs,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Flat, Self::Rootfs];

    /// The subvolume; empty for the top level.
    pub fn root(self) -> &'static str {
        match self {
            Self::Flat => "",
            Self::Rootfs => "@rootfs",
        }
    }

    /// What mounts the old system after a rollback.
    pub fn root_flags(self) -> &'static str {
        match self {
            Self::Flat => "subvol=/",
            Self::Rootfs => "subvol=@rootfs",
        }
    }
}

pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let top = here
        .ancestors()
        .find(|path| path.join("viscripts").is_dir());
    top.unwrap().to_path_buf()
}

pub fn manifest(top: &Path, subvolume: &str) -> Manifest {
    let root = Root::open(&top.join(subvolume)).unwrap();
    let options = Options {
        cross_subvolumes: true,
        contents: true,
        holes: true,
    };
    Manifest::of(&root, options).unwrap()
}

/// Not part of anybody's system: rootshift's own places, and what it makes beside the old system.
pub fn is_ours(path: &Path) -> bool {
    let first = path
        .components()
        .next()
        .map(|part| part.as_os_str().to_string_lossy().into_owned());
    let first = first.unwrap_or_default();
    path.components().any(|part| part.as_os_str() == TRASH)
        || first == ".rootshift"
        || first.starts_with("@")
        || path.to_string_lossy().ends_with(BACKUP)
}

/// Ends the names of the copies that the plan of [`Disk::arm`] lays beside what it rewrites, when
/// its batch has a `rollback_configuration`.
pub const BACKUP: &str = ".backup.20231218_143022";

/// The three files that the plan names, and the times of directories that hold rootshift's own.
pub const WRITTEN: [&str; 3] = ["etc/fstab", "etc/default/grub", "boot/grub/grub.cfg"];

pub fn is_expected(path: &Path, difference: &Difference) -> bool {
    WRITTEN.iter().any(|written| path == Path::new(written))
        || (path == Path::new("") && difference.attribute.contains("modif"))
}

/// Old against new, but for what the plan names.
pub fn compare(old: &Manifest, new: &Manifest) -> Comparison {
    let options = compare::Options {
        ignore: &is_ours,
        ignore_difference: &is_expected,
    };
    compare::compare(old, new, &options)
}

/// The sample system: a bit of everything that a copy could lose.
pub fn populate(top: &Path, kind: Kind, uuid: &str) {
    let write = |path: &str, text: &str| write(top, path, text);
    write(
        "etc/fstab",
        &match kind {
            Kind::Flat => {
                format!("# /etc/fstab\n\nUUID={uuid} /  btrfs defaults,noatime 0 1\n#odd\n")
            }
            Kind::Rootfs => {
                format!("# /etc/fstab\n\nUUID={uuid} /  btrfs defaults,subvol=@rootfs 0 0\n#odd\n")
            }
        },
    );
    write(
        "etc/default/grub",
        "GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX=\"\"\n",
    );
    write("boot/grub/grub.cfg", &grub_cfg(kind, uuid));
    write("boot/grub/i386-pc/normal.mod", "module");
    write("boot/vmlinuz-6.1.0-1-amd64", "kernel");
    write("boot/initrd.img-6.1.0-1-amd64", "initramfs");
    systemd(top);
    symlink("usr/sbin", top.join("sbin")).unwrap();
    symlink("boot/vmlinuz-6.1.0-1-amd64", top.join("vmlinuz")).unwrap();
    write("var/log/syslog", "a line\n");
    write("var/log/journal/id/system.journal", &"x".repeat(9000));
    write("var/lib/dpkg/status", "Package: x\n");
    for number in 0..30 {
        write(
            &format!("home/user/files/{number}"),
            &format!("file {number}\n"),
        );
    }
    tools(top);
    copy_documents(&top.join("usr/share/rootshift"));
    odd_files(top);
    run(
        "btrfs",
        &[
            "-q",
            "subvolume",
            "create",
            top.join("var/lib/portables").to_str().unwrap(),
        ],
    );
    write("var/lib/portables/image", "nested\n");
    run(
        "btrfs",
        &[
            "-q",
            "subvolume",
            "create",
            top.join("home/user/vm").to_str().unwrap(),
        ],
    );
    write("home/user/vm/disk", "nested in home\n");
}

/// What starts the system, and what it is started up to.
fn systemd(top: &Path) {
    let program = top.join("usr/lib/systemd/systemd");
    write(top, "usr/lib/systemd/systemd", "init");
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(top.join("usr/sbin")).unwrap();
    symlink("../lib/systemd/systemd", top.join("usr/sbin/init")).unwrap();
    for target in ["multi-user.target", "boot-complete.target"] {
        write(top, &format!("usr/lib/systemd/system/{target}"), "[Unit]\n");
    }
    let default = top.join("usr/lib/systemd/system/default.target");
    symlink("multi-user.target", default).unwrap();
}

pub fn write(top: &Path, path: &str, text: &str) {
    let path = top.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// What a check looks for and nothing runs.
fn tools(top: &Path) {
    for directory in ["run", "proc", "dev", "sys", "tmp"] {
        fs::create_dir(top.join(directory)).unwrap();
    }
    write(top, "usr/share/initramfs-tools/scripts/local", "fake");
    for program in ["update-initramfs", "lsinitramfs", "systemctl", "rootshift"] {
        write(top, &format!("usr/sbin/{program}"), "fake");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(top.join("usr/sbin").join(program), mode).unwrap();
    }
    write(
        top,
        &format!("usr/lib/systemd/system/{VALIDATE}"),
        "[Unit]\n",
    );
    let wanted = top.join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wanted).unwrap();
    let unit = format!("/usr/lib/systemd/system/{VALIDATE}");
    symlink(unit, wanted.join(VALIDATE)).unwrap();
}

/// The unit that the package enables.
pub const VALIDATE: &str = "rootshift-validate.service";

/// Puts a program of this machine into the system under another name, with its libraries.
pub fn install(top: &Path, program: &str, name: &str) {
    let copy = |from: &str, to: &Path| {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    };
    copy(program, &top.join("usr/sbin").join(name));
    let listed = run("ldd", &[program]);
    for library in listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        copy(library, &top.join(library.trim_start_matches('/')));
    }
}

/// As the package installs them.
pub fn copy_documents(folder: &Path) {
    for kind in ["batches", "viscripts"] {
        for entry in fs::read_dir(repository().join(kind)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            write(folder, &format!("{kind}/{name}"), &text);
            let copy = folder.join(kind).join(name);
            fs::set_permissions(copy, fs::Permissions::from_mode(0o644)).unwrap();
        }
    }
}

/// The boot chain of the new system will not hold: its kernel is an empty file.
pub fn make_the_proof_fail(top: &Path) {
    fs::write(top.join("boot/vmlinuz-6.1.0-1-amd64"), "").unwrap();
}

fn odd_files(top: &Path) {
    let user = top.join("home/user");
    fs::hard_link(user.join("files/1"), user.join("hard")).unwrap();
    symlink("/etc/fstab", user.join("absolute")).unwrap();
    symlink("nowhere", user.join("dangling")).unwrap();
    fs::write(user.join("a name\nwith a newline"), "odd").unwrap();
    fs::write(user.join(std::ffi::OsStr::new("ünï—code")), "odd").unwrap();
    let sparse = fs::File::create(user.join("sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    fs::set_permissions(user.join("files/2"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::set_permissions(&user, fs::Permissions::from_mode(0o750)).unwrap();
    fs::set_permissions(top.join("home"), fs::Permissions::from_mode(0o711)).unwrap();
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    run("chown", &["1000:1000", &text(user.clone())]);
    run(
        "setfattr",
        &["-n", "user.note", "-v", "kept", &text(user.join("files/3"))],
    );
    run(
        "setfattr",
        &[
            "-n",
            "user.note",
            "-v",
            "on the directory",
            &text(top.join("home")),
        ],
    );
    run("setfacl", &["-m", "u:1001:r", &text(user.join("files/4"))]);
    run(
        "setfacl",
        &["-d", "-m", "u:1001:rx", &text(top.join("var/log"))],
    );
    run("chattr", &["+i", &text(user.join("files/5"))]);
    run("mkfifo", &[&text(user.join("fifo"))]);
    run(
        "touch",
        &["-d", "2001-02-03 04:05:06.789", &text(user.join("files/6"))],
    );
    run(
        "touch",
        &["-d", "1999-01-02 03:04:05.678", &text(top.join("home"))],
    );
    run(
        "touch",
        &["-d", "1998-01-02 03:04:05.678", &text(top.join("var/log"))],
    );
    run(
        "touch",
        &["-d", "1997-01-02 03:04:05.678", &text(top.join("var"))],
    );
}

fn grub_cfg(kind: Kind, uuid: &str) -> String {
    let (prefix, flags) = match kind {
        Kind::Flat => ("", ""),
        Kind::Rootfs => ("/@rootfs", "rootflags=subvol=@rootfs"),
    };
    format!(
        "set default=\"0\"\nif loadfont \"/usr/share/grub/unicode.pf2\" ; then\n  true\nfi\n\
         menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-{uuid}' {{\n\
         \tinsmod btrfs\n\tsearch --no-floppy --fs-uuid --set=root {uuid}\n\
         \tlinux\t{prefix}/boot/vmlinuz-6.1.0-1-amd64 root=UUID={uuid} ro {flags} quiet\n\
         \tinitrd\t{prefix}/boot/initrd.img-6.1.0-1-amd64\n}}\n"
    )
}

/// The plan of this batch for the system on the disk that is mounted there.
pub fn plan(
    top: &Root,
    kind: Kind,
    batch: &Path,
    others: Vec<OtherFilesystem>,
    after: After,
) -> Plan {
    let survey = Survey::of(top.path()).unwrap();
    let bundle = Bundle::load(&survey.system, batch.to_str()).unwrap();
    let root = kind.root();
    let identity = survey.identity.clone().unwrap();
    let old = top.within(Path::new(root)).unwrap();
    let disk = Disk {
        place: "/",
        top,
        root,
        identity: &identity,
        device: None,
    };
    let kept = kept::on(&disk, &Mounting::of_files(&old).unwrap())
        .unwrap()
        .kept;
    let machine = Machine {
        other_filesystems: others,
        old_system: old_system(top, root, &kept).unwrap(),
        filesystem: identity,
        kept,
        fingerprints: fingerprints(&old).unwrap(),
        now: 1_702_909_822,
    };
    resolve(&bundle, machine, after).unwrap()
}

/// Arms as `rootshift arm` does, but for the images: the plan goes into the folder `plans`.
pub fn arm(top: &Root, kind: Kind, plan: &Plan, plans: &Path) {
    let mut migration = Migration::begin(top, plan, "test").unwrap();
    let old = top.within(Path::new(kind.root())).unwrap();
    let images = boot_images(&old).unwrap();
    migration.record(Record::Armed { images }).unwrap();
    let _ = fs::remove_dir_all(plans);
    fs::create_dir_all(plans).unwrap();
    let name = format!("plan-{}.json", migration.frozen.digest);
    fs::write(plans.join(name), plan.to_bytes().unwrap()).unwrap();
    top.sync_filesystem().unwrap();
}

/// Everything in the new system, its subvolumes mounted in their places.
pub fn manifest_of_new(top: &Path) -> Manifest {
    let mut all = manifest(top, "@");
    for (at, subvolume) in [("home", "@home"), ("var/log", "@var_log")] {
        all.graft(Path::new(at), manifest(top, subvolume)).unwrap();
    }
    all
}

/// The shipped batch with these prerequisites and this `rollback_configuration`.
pub fn batch(prerequisites: &str, rollback: &str) -> String {
    let path = repository().join("batches/flat-to-subvolumes.json");
    let mut batch: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    batch["dependencies"]["prerequisites"] = serde_json::from_str(prerequisites).unwrap();
    batch["rollback_configuration"] = serde_json::from_str(rollback).unwrap();
    batch.to_string()
}

/// The seed's `rollback_configuration`.
pub const ROLLBACK: &str = r#"{
  "enabled": true,
  "backup_locations": {
    "fstab": "/etc/fstab.backup.*",
    "grub": "/etc/default/grub.backup.*",
    "initramfs": "/etc/initramfs-tools/modules.backup.*"
  },
  "restore_commands": {
    "fstab": "sudo cp {backup} /etc/fstab",
    "grub": "sudo cp {backup} /etc/default/grub && sudo update-grub",
    "initramfs": "sudo cp {backup} /etc/initramfs-tools/modules && sudo update-initramfs -u"
  }
}"#;
