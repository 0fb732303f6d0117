//! What `check` and a plan know of a machine: names of devices, and every subvolume of its disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::too_many_lines
)]

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use common::{Disk, Kind, assert_same, install, names, run, validated, write};
use rootshift::documents::plan::After;
use rootshift::engine::Stage;
use rootshift::journal::Record;

/// What systemd 257 makes of /dev/disk (Debian 13), and things that are there for a moment only.
const DEBIAN_13: &str = r#"
    mkdir -p /dev/disk
    mount -t tmpfs -o mode=755 disk /dev/disk
    part=/dev/disk/by-path/pci-0000:00:05.0-part
    mkdir -p $part/by-uuid $part/by-partnum /dev/disk/by-id /dev/disk/by-label
    ln -s ../../../../loop0 $part/by-partnum/1
    ln -s ../../gone /dev/disk/by-id/dangling
    ln -s circle /dev/disk/by-id/circle
    ln -s "../../$(printf 'loop\\377')" "/dev/disk/by-label/$(printf 'odd\\377')"
"#;

#[test]
fn commands_live_with_the_directories_of_debian_13() {
    let disk = Disk::with_system();
    for (command, code) in [("check", 0), ("plan", 0), ("status", 0)] {
        let ran = disk.run_after(DEBIAN_13, command);
        assert_eq!(ran.code, code, "{command}: {ran:?}");
        assert!(!ran.stderr.contains("cannot read"), "{command}: {ran:?}");
    }
}

fn create(top: &Path, name: &str) {
    let path = top.join(name);
    run(
        "btrfs",
        &["-q", "subvolume", "create", path.to_str().unwrap()],
    );
}

fn is_subvolume(path: &Path) -> bool {
    path.exists() && fs::metadata(path).unwrap().ino() == 256
}

fn add_to_fstab(top: &Path, line: &str) {
    let path = top.join("etc/fstab");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text + line + "\n").unwrap();
}

/// A flat system in which fstab mounts a subvolume by its name, at another place than its own.
fn with_data() -> Disk {
    let disk = Disk::with_system();
    disk.mounted(|top| {
        create(top, "data");
        write(top, "data/file", "before\n");
        run("chown", &["1000:1000", top.join("data").to_str().unwrap()]);
        fs::set_permissions(top.join("data"), fs::Permissions::from_mode(0o2750)).unwrap();
        create(top, "data/inner");
        fs::create_dir_all(top.join("srv/data")).unwrap();
        let line = format!("UUID={} /srv/data btrfs subvol=data,noatime 0 0", disk.uuid);
        add_to_fstab(top, &line);
    });
    disk
}

#[test]
fn a_subvolume_that_fstab_mounts_by_name_stays_where_it_is() {
    let disk = with_data();
    let ran = disk.run_inside("check");
    assert_eq!(ran.code, 0, "{ran:?}");
    let plan = disk.arm(After::Reboot);
    assert!(
        !plan
            .old_system
            .nested
            .iter()
            .any(|path| path.starts_with("data"))
    );
    assert!(!plan.old_system.entries.contains(&"data".to_owned()));
    let id = |top: &Path| {
        run(
            "btrfs",
            &[
                "inspect-internal",
                "rootid",
                top.join("data").to_str().unwrap(),
            ],
        )
    };
    let before = disk.mounted(id);
    disk.boot_to_the_end("fstab mounts data");
    assert_eq!(disk.mounted(id), before);
    disk.mounted(|top| {
        // Its place in the new system is a directory like any other, and fstab mounts it there.
        let place = fs::metadata(top.join("@/data")).unwrap();
        assert!(place.ino() > 256, "inode {}", place.ino());
        assert_eq!((place.mode() & 0o7777, place.uid()), (0o2750, 1000));
        assert_eq!(fs::read_dir(top.join("@/data")).unwrap().count(), 0);
        let fstab = fs::read_to_string(top.join("@/etc/fstab")).unwrap();
        let lines = |place: &str| {
            let lines = fstab
                .lines()
                .filter(|line| line.split_whitespace().nth(1) == Some(place));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let theirs = format!("UUID={} /srv/data btrfs subvol=data,noatime 0 0", disk.uuid);
        assert_eq!(lines("/srv/data"), [theirs]);
        assert!(lines("/data")[0].contains("subvol=data"), "{fstab}");
        assert_eq!(lines("/data").len(), 1, "{fstab}");
        assert!(is_subvolume(&top.join("data/inner")));
    });
    disk.check();
}

/// `check` says exactly this is in the way, and has changed nothing.
#[track_caller]
fn assert_refused(disk: &Disk, setup: &str, wanted: &[&str]) {
    let before = disk.old_manifest();
    let ran = disk.run_after(setup, "check");
    assert_eq!(ran.code, 1, "{ran:?}");
    let failed = ran.stdout.lines().filter(|line| line.starts_with("FAIL"));
    let failed: Vec<&str> = failed.collect();
    let says = |line: &&&str| wanted.iter().all(|part| line.contains(part));
    assert!(failed.iter().any(|line| says(&line)), "{failed:#?}");
    assert_same(&before, &disk.old_manifest());
}

#[track_caller]
fn assert_ready(disk: &Disk) {
    let ran = disk.run_inside("check");
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_home_that_fstab_mounts_by_name_is_left_out_of_the_batch_that_new_writes() {
    let mut disk = Disk::with_system();
    disk.mounted(|top| {
        fs::rename(top.join("home"), top.join("home.old")).unwrap();
        create(top, "home");
        write(top, "home/user/file", "a month of work\n");
        let line = format!("UUID={} /home btrfs subvol=home 0 0", disk.uuid);
        add_to_fstab(top, &line);
    });
    let wanted = [
        "/home",
        "subvolume home already",
        "/etc/fstab, line 5",
        "rootshift new",
    ];
    assert_refused(&disk, "", &wanted);
    // What the remedy says, literally.
    let new = disk.run_inside("new --template flat-to-subvolumes");
    assert_eq!(new.code, 0, "{new:?}");
    assert!(!new.stdout.contains("@home"), "{}", new.stdout);
    disk.use_batch(&new.stdout);
    let ran = disk.run_inside("check --batch /run/batch.json");
    assert_eq!(ran.code, 0, "{ran:?}");
    disk.arm(After::Reboot);
    disk.boot_to_the_end("a home by name");
    disk.mounted(|top| {
        assert!(is_subvolume(&top.join("home")));
        assert!(!is_subvolume(&top.join("@/home")));
        let fstab = fs::read_to_string(top.join("@/etc/fstab")).unwrap();
        let lines: Vec<&str> = fstab
            .lines()
            .filter(|line| line.contains("/home"))
            .collect();
        assert_eq!(
            lines,
            [format!("UUID={} /home btrfs subvol=home 0 0", disk.uuid)]
        );
    });
}

/// Runs what stands between the first backquotes of a line, as root of a machine with this /mnt.
fn follow(disk: &Disk, line: &str) {
    let commands = line.split('`').nth(1).unwrap();
    let mnt = disk.folder.join("mnt");
    fs::create_dir_all(&mnt).unwrap();
    let commands = commands.replace("/mnt", mnt.to_str().unwrap());
    let commands = commands.replace(&format!("UUID={}", disk.uuid), &disk.device);
    run("sh", &["-ec", &commands]);
    disk.settle();
}

#[test]
fn a_subvolume_inside_the_old_tree_that_fstab_names_is_moved_by_hand_first() {
    for (kind, path) in [(Kind::Flat, "srv/data"), (Kind::Rootfs, "@rootfs/srv/data")] {
        let disk = Disk::with_system_of(kind);
        disk.mounted(|top| {
            let root = top.join(kind.root());
            fs::create_dir_all(root.join("srv")).unwrap();
            create(top, path);
            write(top, &format!("{path}/file"), "kept\n");
            let line = format!("UUID={} /mnt btrfs subvol={path} 0 0", disk.uuid);
            add_to_fstab(&root, &line);
        });
        let ran = disk.run_inside("check");
        let line = ran.only_failure();
        assert!(line.contains(path) && line.contains("mv -T"), "{line}");
        follow(&disk, line);
        let name = line
            .split("subvol=")
            .last()
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap();
        disk.in_old(|root| {
            let fstab = root.join("etc/fstab");
            let text = fs::read_to_string(&fstab).unwrap();
            fs::write(
                &fstab,
                text.replace(&format!("subvol={path}"), &format!("subvol={name}")),
            )
            .unwrap();
        });
        assert_ready(&disk);
        assert!(disk.mounted(|top| top.join(name).join("file").exists()));
    }
}

#[test]
fn who_mounts_by_name_is_found_wherever_it_is_written() {
    let disk = Disk::with_system();
    let uuid = disk.uuid.clone();
    let unit = format!(
        "[Mount]\nWhat=/dev/disk/by-uuid/{uuid}\nWhere=/srv/data\nType=btrfs\nOptions=subvol=data\n"
    );
    let map = format!("data -fstype=btrfs,subvol=data :/dev/disk/by-uuid/{uuid}\n");
    disk.mounted(|top| create(top, "data"));
    let sources = [
        ("etc/systemd/system/srv-data.mount", unit.as_str()),
        ("usr/lib/systemd/system/srv-data.mount", &unit),
        ("etc/auto.data", &map),
    ];
    for (file, text) in sources {
        disk.mounted(|top| write(top, file, text));
        let plan = disk.run_inside("plan");
        let line = plan
            .stdout
            .lines()
            .find(|line| line.contains("Stays as it is: data"));
        assert!(
            line.is_some_and(|line| line.contains(file)),
            "{file}: {plan:?}"
        );
        disk.mounted(|top| fs::remove_file(top.join(file)).unwrap());
    }
    // Mounted by nobody who is known: it can't be told what that is.
    // (The loop goes on as long as the command, which takes the place of this shell.)
    let setup = format!(
        "mkdir -p /run/x && mount -o subvol=data {} /run/x
         while kill -0 $$ 2>/dev/null; do sleep 0.1; done >/dev/null 2>&1 &",
        disk.device
    );
    assert_refused(&disk, &setup, &["data is mounted at", "unmount it"]);
    // Somebody names it after the plan was made.
    disk.arm(After::Reboot);
    disk.mounted(|top| write(top, sources[0].0, sources[0].1));
    disk.boot();
    assert_eq!(disk.stage(), Stage::Armed);
    assert!(
        disk.boot_log()
            .contains("mounts the subvolume data by its name now")
    );
}

#[test]
fn what_tools_keep_beside_a_system_is_no_part_of_it() {
    let disk = Disk::with_system();
    disk.mounted(|top| {
        for name in [
            "@.rolled-back-1",
            "@apt-snapshot-x",
            ".snapshots",
            ".snapshots/1",
        ] {
            create(top, name);
        }
        let snapshot = top.join(".snapshots/1/snapshot");
        let source = top.join("home/user/vm");
        run(
            "btrfs",
            &[
                "-q",
                "subvolume",
                "snapshot",
                "-r",
                source.to_str().unwrap(),
                snapshot.to_str().unwrap(),
            ],
        );
    });
    assert_ready(&disk);
    let plan = disk.arm(After::Reboot);
    assert!(
        plan.old_system
            .nested
            .iter()
            .all(|path| !path.starts_with(['.', '@'])),
        "{plan:#?}"
    );
    assert!(
        plan.old_system
            .entries
            .iter()
            .all(|path| !path.starts_with(['.', '@']))
    );
    disk.boot_to_the_end("other tools");
    disk.mounted(|top| {
        assert!(!top.join("@/@.rolled-back-1").exists());
        assert!(is_subvolume(&top.join("@.rolled-back-1")));
        assert!(is_subvolume(&top.join(".snapshots/1/snapshot")));
        let fstab = fs::read_to_string(top.join("@/etc/fstab")).unwrap();
        assert!(
            fstab.contains(" /.snapshots ") && fstab.contains("subvol=.snapshots"),
            "{fstab}"
        );
    });
}

#[test]
fn a_read_only_snapshot_is_carried_over_as_one() {
    for kind in Kind::ALL {
        let disk = Disk::with_system_of(kind);
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let property = |path: &Path| {
            let shown = run("btrfs", &["subvolume", "show", &text(path)]);
            let lines = shown.lines().map(str::trim);
            let lines = lines
                .filter(|line| line.starts_with("Received UUID:") || line.starts_with("Flags:"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let before = disk.in_old(|root| {
            fs::create_dir_all(root.join("srv/backup")).unwrap();
            let source = root.join("srv/source");
            run(
                "btrfs",
                &[
                    "-q",
                    "subvolume",
                    "snapshot",
                    "-r",
                    &text(&root.join("home/user/vm")),
                    &text(&source),
                ],
            );
            let send = format!(
                "btrfs -q send {} | btrfs -q receive {}",
                text(&source),
                text(&root.join("srv/backup"))
            );
            run("sh", &["-c", &send]);
            property(&root.join("srv/backup/source"))
        });
        assert!(before.len() == 2 && !before[0].ends_with('-'), "{before:?}");
        assert_ready(&disk);
        disk.arm(After::Reboot);
        disk.boot_to_the_end("read-only");
        disk.mounted(|top| {
            assert_eq!(property(&top.join("@/srv/backup/source")), before);
            assert!(top.join("@/srv/source/disk").exists());
        });
    }
}

#[test]
fn what_the_initramfs_would_fail_at_is_said_before() {
    type Spoil<'a> = &'a dyn Fn(&Path, &str);
    let nested_boot: Spoil = &|top, _| {
        fs::rename(top.join("boot"), top.join("boot.old")).unwrap();
        create(top, "boot");
        run(
            "cp",
            &[
                "-a",
                &format!("{}/.", top.join("boot.old").display()),
                top.join("boot").to_str().unwrap(),
            ],
        );
    };
    let nested_var: Spoil = &|top, _| {
        fs::rename(top.join("var"), top.join("var.old")).unwrap();
        create(top, "var");
        run(
            "cp",
            &[
                "-a",
                top.join("var.old/log").to_str().unwrap(),
                top.join("var").to_str().unwrap(),
            ],
        );
        run(
            "cp",
            &[
                "-a",
                top.join("var.old/lib").to_str().unwrap(),
                top.join("var").to_str().unwrap(),
            ],
        );
    };
    let cases: [(&str, Spoil, &[&str]); 8] = [
        (
            "two lines for /",
            &|top, uuid| add_to_fstab(top, &format!("UUID={uuid} / btrfs noatime 0 0")),
            &["lines 3 and 5 both mount /"],
        ),
        (
            "/home of a disk that is away",
            &|top, _| add_to_fstab(top, "UUID=0-1 /home ext4 nofail 0 2"),
            &[
                "/home is already mounted from UUID=0-1",
                "leave /home out of the layout",
            ],
        ),
        (
            "fstab is a symlink",
            &|top, _| {
                fs::rename(top.join("etc/fstab"), top.join("etc/fstab.real")).unwrap();
                std::os::unix::fs::symlink("fstab.real", top.join("etc/fstab")).unwrap();
            },
            &["/etc/fstab", "no regular file"],
        ),
        (
            "/boot is a subvolume",
            nested_boot,
            &["/boot is a subvolume of its own"],
        ),
        (
            "/var is a subvolume",
            nested_var,
            &["/var is a subvolume already", "rootshift new"],
        ),
        (
            "a name that is no text",
            &|top, _| {
                create(top, "home/user/sub");
                let odd = top.join("home/user").join(OsStr::from_bytes(b"\xff\xfe"));
                fs::rename(top.join("home/user/sub"), odd).unwrap();
            },
            &["is no UTF-8", "rename it"],
        ),
        (
            "too deep",
            &|top, _| {
                create(top, "home/user/sub");
                let mut deep = top.join("home/user");
                for _ in 0..15 {
                    deep.push("d".repeat(250));
                }
                fs::create_dir_all(&deep).unwrap();
                fs::rename(top.join("home/user/sub"), deep.join("sub")).unwrap();
            },
            &["lies too deep"],
        ),
        (
            "/var/log leads elsewhere",
            &|top, _| {
                fs::rename(top.join("var/log"), top.join("var/lib/log")).unwrap();
                std::os::unix::fs::symlink("lib/log", top.join("var/log")).unwrap();
            },
            &["/var/log is no directory"],
        ),
    ];
    for (name, spoil, wanted) in cases {
        println!("{name}");
        let disk = Disk::with_system();
        disk.mounted(|top| spoil(top, &disk.uuid));
        let ran = disk.run_inside("check");
        assert_eq!(ran.code, 1, "{name}: {ran:?}");
        let failed = ran.stdout.lines().filter(|line| line.starts_with("FAIL"));
        let failed: Vec<&str> = failed.collect();
        let says = |line: &&str| wanted.iter().all(|part| line.contains(part));
        assert!(failed.iter().any(says), "{name}: {failed:#?}");
    }
}

#[test]
fn a_hard_link_made_after_arming_is_not_cut() {
    type Make<'a> = &'a dyn Fn(&Path);
    let link: Make = &|top| {
        fs::hard_link(top.join("home/user/files/7"), top.join("srv/link")).unwrap();
    };
    // Neither file was touched: a directory was moved that holds one of two names.
    let moved: Make = &|top| fs::rename(top.join("home/user/twin"), top.join("srv/twin")).unwrap();
    let harmless: Make = &|top| {
        fs::hard_link(top.join("home/user/files/7"), top.join("home/user/link")).unwrap();
        write(top, "srv/new", "x");
    };
    for (make, is_cut) in [(link, true), (moved, true), (harmless, false)] {
        let disk = Disk::with_system();
        disk.mounted(|top| {
            fs::create_dir_all(top.join("srv")).unwrap();
            fs::create_dir_all(top.join("home/user/twin/deep")).unwrap();
            fs::hard_link(
                top.join("home/user/files/8"),
                top.join("home/user/twin/deep/8"),
            )
            .unwrap();
        });
        assert_ready(&disk);
        disk.arm(After::Reboot);
        disk.mounted(make);
        disk.boot();
        if is_cut {
            assert_eq!(disk.stage(), Stage::Armed);
            let log = disk.boot_log();
            assert!(
                log.contains("are one file") && log.contains("/srv/"),
                "{log}"
            );
        } else {
            assert_eq!(disk.stage(), Stage::Committed);
        }
    }
}

#[test]
fn a_month_of_work_in_a_subvolume_that_is_mounted_by_name_outlives_finalize() {
    let disk = with_data();
    disk.arm(After::Reboot);
    disk.boot_to_the_end("a whole life");
    disk.record([validated()]);
    disk.rehearse();
    disk.record([Record::Disarmed]);
    disk.mounted(|top| {
        fs::create_dir_all(top.join("@/var/lib/rootshift")).unwrap();
        install(&top.join("@"), "/bin/echo", "systemctl");
        // As the new system's fstab mounts it.
        write(top, "data/inner/work", "a month of it\n");
    });
    let ran = disk.run_in_new_system("finalize --yes");
    assert_eq!(ran.code, 0, "{ran:?}");
    disk.mounted(|top| {
        let left = [".rootshift", "@", "@home", "@var_log", "boot", "data"];
        assert_eq!(names(top), left);
        assert_eq!(
            fs::read_to_string(top.join("data/file")).unwrap(),
            "before\n"
        );
        let work = fs::read_to_string(top.join("data/inner/work")).unwrap();
        assert_eq!(work, "a month of it\n");
    });
    disk.check();
}

#[test]
fn a_home_beside_the_root_subvolume_is_left_alone_as_well() {
    let mut disk = Disk::with_system_of(Kind::Rootfs);
    disk.mounted(|top| {
        create(top, "@home");
        write(top, "@home/user/file", "a month of work\n");
        let line = format!("UUID={} /home btrfs subvol=@home 0 0", disk.uuid);
        add_to_fstab(&top.join("@rootfs"), &line);
    });
    let wanted = [
        "/home",
        "subvolume @home already",
        "--template debian-rootfs",
    ];
    assert_refused(&disk, "", &wanted);
    let new = disk.run_inside("new --template debian-rootfs");
    disk.use_batch(&new.stdout);
    let ran = disk.run_inside("check --batch /run/batch.json");
    assert_eq!(ran.code, 0, "{ran:?}");
    disk.arm(After::Reboot);
    disk.boot_to_the_end("a home beside the root");
    disk.mounted(|top| {
        assert!(top.join("@home/user/file").exists());
        let fstab = fs::read_to_string(top.join("@/etc/fstab")).unwrap();
        let lines: Vec<&str> = fstab
            .lines()
            .filter(|line| line.contains("/home"))
            .collect();
        assert_eq!(
            lines,
            [format!("UUID={} /home btrfs subvol=@home 0 0", disk.uuid)]
        );
    });
}

/// Numbers that look like chance and are the same each time (Knuth's MMIX).
struct Chance(u64);

impl Chance {
    fn one_of<'t>(&mut self, words: &[&'t str]) -> &'t str {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        words[usize::try_from(self.0 >> 33).unwrap() % words.len()]
    }
}

#[test]
fn what_check_calls_ready_commits_whatever_fstab_says() {
    let seeds = if common::is_thorough() { 200 } else { 12 };
    let (mut ready, mut refused) = (0, 0);
    for seed in 0..seeds {
        let mut chance = Chance(seed);
        let disk = Disk::with_system();
        let mut lines = Vec::new();
        for _ in 0..3 {
            let own = format!("UUID={}", disk.uuid);
            let source = chance.one_of(&[&own, &own, "UUID=0-1", "LABEL=other", "/srv/a", "tmpfs"]);
            let place = chance.one_of(&[
                "/srv/x",
                "/data",
                "/mnt",
                "/home/user/vm",
                "/opt//",
                "/home",
                "/",
            ]);
            let kind = chance.one_of(&[
                "btrfs subvol=data 0 0",
                "btrfs subvol=/data,noauto",
                "btrfs subvolid=5,nofail",
                "none bind",
                "ext4 nofail,noauto 0 2",
                "btrfs",
                "btrfs x-systemd.automount,subvol=home/user/vm 0 0",
            ]);
            lines.push(format!("{source} {place} {kind}"));
        }
        let text = lines.join("\n");
        disk.mounted(|top| {
            create(top, "data");
            write(top, "data/file", "x");
            lines.iter().for_each(|line| add_to_fstab(top, line));
        });
        let before = disk.old_manifest();
        let ran = disk.run_inside("check");
        if ran.code == 0 {
            ready += 1;
            disk.arm(After::Reboot);
            disk.boot_to_the_end(&format!("seed {seed}\n{text}\n{}", ran.stdout));
            disk.mounted(|top| {
                assert!(top.join("data/file").exists() || top.join("@/data/file").exists())
            });
        } else {
            refused += 1;
            assert!(ran.stdout.contains("FAIL"), "seed {seed}\n{text}\n{ran:?}");
            assert_same(&before, &disk.old_manifest());
        }
    }
    println!("{ready} ready, {refused} refused");
    assert!(ready > 1 && refused > 1, "{ready} ready, {refused} refused");
}

#[test]
fn what_is_bound_out_of_a_second_mount_of_the_old_tree_is_a_doubt() {
    for kind in Kind::ALL {
        let disk = Disk::with_system_of(kind);
        let (root, uuid) = (kind.root(), disk.uuid.clone());
        let source = Path::new("/mnt/pool").join(root).join("srv/www");
        let source = source.to_str().unwrap();
        disk.in_old(|old| {
            write(old, "srv/www/index", "hello\n");
            add_to_fstab(old, &format!("UUID={uuid} /mnt/pool btrfs subvolid=5 0 0"));
            add_to_fstab(old, &format!("{source} /var/www none bind 0 0"));
        });
        let wanted = [
            "/etc/fstab, line",
            source,
            "at /var/www",
            "write /srv/www as",
        ];
        assert_refused(&disk, "", &wanted);
        // What the remedy says.
        disk.in_old(|old| {
            let fstab = old.join("etc/fstab");
            let text = fs::read_to_string(&fstab).unwrap();
            fs::write(&fstab, text.replace(source, "/srv/www")).unwrap();
        });
        assert_ready(&disk);
    }
}

#[test]
fn another_system_in_a_subvolume_beside_a_flat_root_is_not_taken_for_a_part_of_it() {
    let with_arch = || {
        let disk = Disk::with_system();
        disk.mounted(|top| {
            create(top, "@arch");
            write(top, "@arch/etc/os-release", "ID=arch\n");
            write(top, "@arch/usr/lib/systemd/systemd", "elf");
        });
        disk
    };
    let disk = with_arch();
    let ran = disk.run_inside("check");
    let line = ran.only_failure();
    assert!(line.contains("@arch holds a system of its own"), "{line}");
    // It is to stay: the line that is said.
    let fstab_line = line.split('`').nth(1).unwrap().to_owned();
    disk.mounted(|top| add_to_fstab(top, &fstab_line));
    assert_ready(&disk);
    disk.arm(After::Reboot);
    disk.boot_to_the_end("beside another system");
    disk.mounted(|top| {
        assert!(is_subvolume(&top.join("@arch")));
        assert!(!is_subvolume(&top.join("@/@arch")));
    });
    // It is a part of this one: the commands that are said.
    let disk = with_arch();
    let ran = disk.run_inside("check");
    let commands = ran.only_failure().split('`').nth(3).unwrap().to_owned();
    disk.mounted(|top| {
        run(
            "sh",
            &[
                "-ec",
                &commands
                    .replace("/srv", &format!("{}/srv", top.display()))
                    .replace(" /@", &format!(" {}/@", top.display())),
            ],
        )
    });
    assert_ready(&disk);
    assert!(disk.mounted(|top| is_subvolume(&top.join("srv/systems/@arch"))));
}

#[test]
fn a_snapshot_of_this_system_is_no_other_one() {
    for options in [&["-r"][..], &[]] {
        let disk = Disk::with_system();
        disk.mounted(|top| {
            write(top, "etc/os-release", "ID=debian\n");
            write(top, "usr/lib/systemd/systemd", "elf");
            let (from, to) = (top.to_str().unwrap(), top.join("before"));
            let words = [
                &["-q", "subvolume", "snapshot"],
                options,
                &[from, to.to_str().unwrap()],
            ];
            run("btrfs", &words.concat());
        });
        assert_ready(&disk);
    }
}

/// The plan of so many is longer than a document may be; any user can make them.
#[test]
fn check_knows_that_a_plan_gets_too_long() {
    let disk = Disk::with_images(common::Kind::Flat);
    disk.mounted(|top| {
        for number in 0..600 {
            let name = "\u{1}".repeat(40) + &"n".repeat(200);
            create(top, &format!("home/user/{name}{number}"));
        }
    });
    let ran = disk.run_inside("check");
    if ran.code != 0 {
        return;
    }
    let armed = disk.run_inside("arm --yes");
    let left = disk.mounted(|top| top.join(".rootshift").exists());
    assert_eq!(
        armed.code, 0,
        "{}; .rootshift is left: {left}",
        armed.stderr
    );
}

/// `arm` writes there.
#[test]
fn check_knows_that_its_own_directory_can_not_be_made() {
    let disk = Disk::with_images(common::Kind::Flat);
    let library = |top: &Path| top.join("var/lib").to_str().unwrap().to_owned();
    disk.mounted(|top| common::run("chattr", &["+i", &library(top)]));
    let ran = disk.run_inside("check");
    let armed = disk.run_inside("arm --yes");
    let left = disk.mounted(|top| {
        common::run("chattr", &["-i", &library(top)]);
        top.join(".rootshift").exists()
    });
    assert!(
        ran.code != 0 || armed.code == 0,
        "{} {}; .rootshift is left: {left}",
        ran.stdout.lines().last().unwrap_or_default(),
        armed.stderr
    );
}
