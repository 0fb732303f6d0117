//! What is deleted or renamed is known by what it is, not by its name, and nothing is deleted that
//! changed since the commit: hostile users, living subvolumes, earlier lives.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use common::{Disk, Kind, WOULD_REBOOT, install, is_expected, is_ours, names, run, unmount, write};
use rootshift::documents::plan::{After, JOURNAL};
use rootshift::engine::Stage;
use rootshift::journal::{Journal, Record};
use rootshift::sys::Root;
use rootshift::tree::compare;
use rootshift::tree::manifest::Manifest;

const TRASH: &str = ".rootshift-trash";
const USER: u32 = 1000;

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

/// Moves the system, and leaves it as `validate` does, with ordinary images.
fn move_it(disk: &Disk) {
    disk.arm(After::Reboot);
    disk.boot();
    disk.boot();
    validate_it(disk);
}

fn validate_it(disk: &Disk) {
    disk.record([common::validated()]);
    disk.rehearse();
    disk.record([Record::Disarmed]);
    disk.mounted(|top| {
        fs::create_dir_all(top.join("@/var/lib/rootshift")).unwrap();
        install(&top.join("@"), "/bin/echo", "systemctl");
    });
}

/// A moved system in which everything at /home belongs to a user, /home too.
fn moved_with_hostile_home(kind: Kind) -> Disk {
    let disk = Disk::with_system_of(kind);
    disk.in_old(|old| run("chown", &["1000:1000", &text(old.join("home"))]));
    move_it(&disk);
    disk
}

fn finalize_beside(disk: &Disk, options: &str) -> Output {
    let mut command = disk.command_in_new_system(&format!("finalize --yes {options}"));
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// A mount of the test's, until it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn of(disk: &Disk, name: &str, options: &str) -> Self {
        let target = disk.folder.join(name);
        fs::create_dir_all(&target).unwrap();
        run("mount", &["-o", options, &disk.device, &text(&target)]);
        Self(target)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

/// A program that runs until it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// As the user, in a directory.
fn as_user(directory: &Path, script: &str) {
    let mut perl = Command::new("perl");
    perl.args(["-e", script]).current_dir(directory).uid(USER);
    let output = perl.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_trash_that_was_renamed_is_found_and_what_stands_in_its_place_is_not_touched() {
    // Each puts something else where the trash was.
    let tricks = [
        ("symlink", "symlink('/@', '.rootshift-trash') or die"),
        (
            "directory",
            "mkdir '.rootshift-trash'; mkdir '.rootshift-trash/d'; \
             open(F, '>.rootshift-trash/d/f') or die",
        ),
        ("link", "link('user/mine', '.rootshift-trash') or die"),
    ];
    for (name, trick) in tricks {
        let disk = moved_with_hostile_home(Kind::Flat);
        let old = disk.new_manifest();
        let mounted = Mounted::of(&disk, "seen", "subvol=@home");
        as_user(
            &mounted.0,
            &format!(
                "open(F, '>user/mine') or die; print F 'mine'; close F; \
                 rename('{TRASH}', 'hidden') or die $!; {trick}"
            ),
        );
        drop(mounted);
        disk.settle();
        let output = finalize_beside(&disk, "");
        disk.settle();
        assert_kept(&old, &without_tricks(&disk));
        assert_eq!(output.status.code(), Some(0), "{name}: {}", said(&output));
        assert_eq!(disk.stage(), Stage::Finalized, "{name}");
        disk.mounted(|top| {
            let home = top.join("@home");
            assert!(!home.join("hidden").exists(), "{name}: trash is left");
            let place = home.join(TRASH);
            match name {
                "symlink" => assert_eq!(fs::read_link(&place).unwrap(), Path::new("/@")),
                "directory" => assert!(place.join("d/f").exists()),
                _ => assert_eq!(fs::read_to_string(&place).unwrap(), "mine"),
            }
            assert!(!top.join("@").join(TRASH).exists(), "{name}");
            assert!(!top.join("etc").exists(), "{name}: the old system is left");
        });
        disk.check();
    }
}

/// Every file of the new system is as it was; the times of three directories are those of what the
/// user did in them, and of the mark that `finalize` sets.
fn assert_kept(before: &Manifest, after: &Manifest) {
    let touched = ["home", "home/user", "var/lib/rootshift"].map(Path::new);
    let options = compare::Options {
        ignore: &is_ours,
        ignore_difference: &|path, difference| {
            is_expected(path, difference)
                || (touched.contains(&path) && difference.attribute == "modified")
        },
    };
    let comparison = compare::compare(before, after, &options);
    assert!(comparison.is_equal(), "{comparison:#?}");
    assert!(comparison.same > 90, "only {}", comparison.same);
}

/// The new system, but for what the hostile user made himself.
fn without_tricks(disk: &Disk) -> Manifest {
    disk.mounted(|top| {
        for path in ["@home/user/mine", "@home/hidden"] {
            let path = top.join(path);
            let _ = fs::remove_file(&path);
        }
    });
    disk.new_manifest()
}

/// Renames the trash, and puts something else in its place, as fast as one can. The numbers are
/// those of renameat2(2) and of its flag to exchange.
const ATTACK: &str = "
    mkdir 'decoy'; mkdir 'decoy/in'; mkdir 'empty'; symlink('/@', 'link');
    open(F, '>victim'); print F 'mine'; close F;
    my ($at, $swap) = (-100, 2);
    my @others = ('decoy', 'link', 'empty', 'victim');
    while (1) {
        for my $other (@others) {
            my ($one, $two) = ('.rootshift-trash', $other);
            syscall(316, $at, $one, $at, $two, $swap);
            syscall(316, $at, $one, $at, $two, $swap);
            rename($one, 'elsewhere'); rename('decoy', $one);
            rename($one, 'decoy'); rename('elsewhere', $one);
        }
    }";

#[test]
fn whoever_swaps_names_in_a_loop_meanwhile_loses_nothing_and_gains_nothing() {
    let disk = Disk::with_system();
    disk.in_old(|old| {
        run("chown", &["1000:1000", &text(old.join("home"))]);
        // So that it takes a while.
        for number in 0..3000 {
            write(old, &format!("srv/many/{}/{number}", number % 50), "x");
        }
    });
    move_it(&disk);
    let before = disk.new_manifest();
    let mounted = Mounted::of(&disk, "seen", "subvol=@home");
    let mut perl = Command::new("perl");
    perl.args(["-e", ATTACK]).current_dir(&mounted.0).uid(USER);
    let attacker = Running(perl.spawn().unwrap());
    while !mounted.0.join("victim").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let output = finalize_beside(&disk, "");
    drop(attacker);
    println!("{}", said(&output));
    for name in ["decoy", "elsewhere", TRASH, "empty", "link", "victim"] {
        let path = mounted.0.join(name);
        println!(
            "{name}: {:?}",
            fs::symlink_metadata(path).map(|one| one.file_type())
        );
    }
    // Whatever has which name now: all of the user's own is there.
    let there = names(&mounted.0);
    let mine = there.iter().filter(|name| *name != "user");
    let mine: Vec<PathBuf> = mine.map(|name| mounted.0.join(name)).collect();
    assert!(mine.iter().any(|path| path.join("in").is_dir()), "{mine:?}");
    let texts = mine.iter().filter_map(|path| fs::read_to_string(path).ok());
    assert_eq!(texts.collect::<Vec<_>>(), ["mine"]);
    assert!(mine.iter().any(|path| path.is_symlink()), "{mine:?}");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for path in &mine {
        run("rm", &["-rf", &text(path)]);
    }
    drop(mounted);
    disk.settle();
    assert_kept(&before, &disk.new_manifest());
    assert_eq!(disk.stage(), Stage::Finalized);
    disk.mounted(|top| assert!(!top.join("srv").exists()));
    disk.check();
}

/// A flat system in which `data` is a subvolume of its own at the top level.
fn with_data_subvolume() -> Disk {
    let disk = Disk::with_system();
    disk.mounted(|top| {
        run(
            "btrfs",
            &["-q", "subvolume", "create", &text(top.join("data"))],
        );
        write(top, "data/before", "before");
    });
    move_it(&disk);
    disk
}

#[test]
fn a_subvolume_that_lives_on_is_not_deleted() {
    let disk = with_data_subvolume();
    {
        let mounted = Mounted::of(&disk, "data", "subvol=data");
        write(&mounted.0, "work", "a month of it");
    }
    disk.settle();
    let output = finalize_beside(&disk, "");
    disk.settle();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let words = said(&output);
    assert!(
        words.contains("1 file or directory of the old system was changed"),
        "{words}"
    );
    assert!(words.contains("/data/work"), "{words}");
    disk.mounted(|top| assert!(top.join("etc").exists() && top.join("data/work").exists()));
    // Kept also while it is mounted: it is not in the way.
    let mounted = Mounted::of(&disk, "data", "subvol=data");
    let output = finalize_beside(&disk, "--keep-changed");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).contains("Left where it is: data: it is kept"),
        "{}",
        said(&output)
    );
    let kept = fs::read_to_string(mounted.0.join("work")).unwrap();
    assert_eq!(kept, "a month of it");
    drop(mounted);
    disk.settle();
    disk.mounted(|top| {
        assert!(!top.join("etc").exists());
        assert!(!top.join(".rootshift/decided").exists());
    });
    assert_eq!(disk.stage(), Stage::Finalized);
    disk.check();
}

#[test]
fn what_changed_goes_only_when_it_was_said_how_much_it_is() {
    for kind in Kind::ALL {
        let disk = Disk::with_system_of(kind);
        disk.in_old(|old| {
            let file = text(old.join("home/user/image"));
            run("touch", &[&file]);
            run("chattr", &["+C", &file]);
            fs::write(&file, "x".repeat(20_000)).unwrap();
        });
        move_it(&disk);
        disk.in_old(|old| {
            write(old, "home/user/files/7", "changed");
            write(old, "home/user/new/file", "new");
            // In place, where nothing is copied on write.
            let image = fs::File::options()
                .write(true)
                .open(old.join("home/user/image"));
            std::io::Write::write_all(&mut image.unwrap(), b"in place").unwrap();
        });
        let refused = |options: &str, wanted: &str| {
            let output = finalize_beside(&disk, options);
            disk.settle();
            let words = said(&output);
            assert_eq!(output.status.code(), Some(4), "{words}");
            assert!(words.contains(wanted), "{words}");
        };
        // Two files, a new one, and its directory.
        refused("", "4 files or directories of the old system were changed");
        refused("--also-changed 5", "4 files or directories");
        let output = finalize_beside(&disk, "--also-changed 4 --keep-changed");
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        disk.settle();
        refused("", "run `rootshift finalize --also-changed 4`");
        disk.in_old(|old| {
            let text = fs::read_to_string(old.join("home/user/new/file")).unwrap();
            assert_eq!(text, "new");
        });
        let output = finalize_beside(&disk, "--also-changed 4");
        disk.settle();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert_eq!(disk.stage(), Stage::Finalized);
        disk.check();
    }
}

/// Reads everything, as a backup program does, or somebody who only looks.
fn read_all(top: &Path) -> usize {
    let mut files = 0;
    for entry in fs::read_dir(top).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            files += read_all(&path);
        } else if metadata.is_file() {
            let mut content = Vec::new();
            fs::File::open(&path)
                .unwrap()
                .read_to_end(&mut content)
                .unwrap();
            files += 1;
        } else if metadata.is_symlink() {
            fs::read_link(&path).unwrap();
        }
    }
    files
}

#[test]
fn who_only_read_changed_nothing() {
    for kind in Kind::ALL {
        let disk = Disk::with_system_of(kind);
        move_it(&disk);
        {
            let mounted = Mounted::of(&disk, "seen", "subvolid=5,strictatime");
            assert!(read_all(&mounted.0) > 150);
        }
        disk.settle();
        let output = finalize_beside(&disk, "");
        disk.settle();
        assert_eq!(output.status.code(), Some(0), "{kind:?}: {}", said(&output));
        assert_eq!(disk.stage(), Stage::Finalized);
    }
}

#[test]
fn what_an_earlier_life_kept_is_not_of_this_one() {
    let disk = Disk::with_system();
    for life in 1..=2 {
        disk.arm(After::Reboot);
        assert_eq!(disk.boot(), common::WOULD_REBOOT, "life {life}");
        disk.mounted(|top| write(top, "@home/user/work", &format!("of life {life}")));
        disk.record([common::rollback_requested()]);
        disk.boot();
        assert_eq!(disk.stage(), Stage::RolledBack, "life {life}");
        let kept = ["@", "@home", "@var_log"].map(|name| format!("{name}.rolled-back-{life}"));
        assert_eq!(disk.state().kept, kept, "life {life}");
        disk.record([Record::Disarmed]);
    }
    disk.mounted(|top| {
        for life in 1..=2 {
            let kept = top.join(format!("@home.rolled-back-{life}/user/work"));
            let text = fs::read_to_string(kept).unwrap();
            assert_eq!(text, format!("of life {life}"));
        }
    });
}

#[test]
fn a_subvolume_that_somebody_put_in_the_place_of_a_new_one_is_not_renamed() {
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), common::WOULD_REBOOT);
    disk.mounted(|top| {
        let home = text(top.join("@home"));
        run("mv", &[&home, &text(top.join("@home.mine"))]);
        run("btrfs", &["-q", "subvolume", "create", &home]);
        write(top, "@home/restored", "by hand");
    });
    disk.record([common::rollback_requested()]);
    disk.boot();
    assert_eq!(disk.stage(), Stage::RolledBack);
    assert_eq!(
        disk.state().kept,
        ["@.rolled-back-1", "@var_log.rolled-back-1"]
    );
    disk.mounted(|top| {
        assert!(top.join("@home/restored").exists());
        assert!(top.join("@home.mine/user").exists());
    });
}

#[test]
fn rootshifts_own_place_is_roots_alone_whatever_the_umask() {
    // In a process of its own, for the mask is that of all its threads.
    const MASKED: &str = "ROOTSHIFT_TEST_MASKED";
    if std::env::var_os(MASKED).is_none() {
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args([
            "--exact",
            "rootshifts_own_place_is_roots_alone_whatever_the_umask",
        ]);
        assert!(again.env(MASKED, "1").status().unwrap().success());
        return;
    }
    let disk = Disk::with_two_filesystems(Kind::Flat);
    let armed = disk.mounted(|top| {
        let root = rootshift::sys::Root::open(top).unwrap();
        let plan = disk.plan(&root, After::Reboot);
        rustix::process::umask(rustix::fs::Mode::empty());
        common::arm(&root, Kind::Flat, &plan, &disk.folder.join("plans"));
        modes(top)
    });
    disk.boot();
    disk.boot();
    assert!(!armed.is_empty(), "nothing was looked at");
    let other = disk.other();
    let open: Vec<_> = [armed, disk.mounted(modes), other.mounted(modes)].concat();
    let open: Vec<_> = open.iter().filter(|(_, mode)| mode & 0o077 != 0).collect();
    assert!(open.is_empty(), "{open:?}");
}

/// Of `.rootshift` and all that is in it, but for the prepared systems.
fn modes(top: &Path) -> Vec<(PathBuf, u32)> {
    let home = top.join(".rootshift");
    let mut todo = vec![home];
    let mut found = Vec::new();
    while let Some(path) = todo.pop() {
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        let shown = path.strip_prefix(top).unwrap().to_owned();
        found.push((shown, metadata.permissions().mode() & 0o7777));
        if metadata.is_dir() && !path.ends_with("new") {
            let entries = fs::read_dir(&path).unwrap();
            todo.extend(entries.map(|entry| entry.unwrap().path()));
        }
    }
    found
}

#[test]
fn a_place_of_rootshifts_name_that_is_somebodys_is_refused() {
    // What is in the way, and a word of the reason.
    for (make, why) in [
        ("ln -s home/user .rootshift", "it is a symlink"),
        ("mkdir .rootshift", "it is no subvolume"),
        (
            "btrfs -q subvolume create .rootshift && chown 1000 .rootshift",
            "it belongs to the user 1000",
        ),
        (
            "btrfs -q subvolume create .rootshift && chmod 777 .rootshift",
            "others than root may write",
        ),
    ] {
        let disk = Disk::with_system();
        let refused = disk.mounted(|top| {
            let mut shell = Command::new("sh");
            assert!(
                shell
                    .args(["-c", make])
                    .current_dir(top)
                    .status()
                    .unwrap()
                    .success()
            );
            let top = rootshift::sys::Root::open(top).unwrap();
            let plan = disk.plan(&top, After::Reboot);
            let begun = rootshift::engine::home::Migration::begin(&top, &plan, "test");
            let refused = begun.map(|_| ()).unwrap_err().to_string();
            assert!(!top.exists(Path::new("home/user/journal")).unwrap());
            assert!(
                !top.exists(Path::new(".rootshift/journal")).unwrap(),
                "{make}"
            );
            refused
        });
        assert!(refused.contains(why), "{make}: {refused}");
        assert!(
            refused.contains("rename it") || refused.contains("chmod"),
            "{refused}"
        );
    }
}

#[test]
fn a_journal_without_an_inventory_is_finalized_by_name_with_all_guards() {
    use rootshift::documents::plan::JOURNAL;
    use rootshift::journal::Journal;
    use rootshift::sys::Root;
    let disk = moved_with_hostile_home(Kind::Flat);
    disk.mounted(|top| {
        let top = Root::open(top).unwrap();
        let old = Journal::open(&top, Path::new(JOURNAL)).unwrap();
        let (tag, entries) = (old.tag(), old.entries().to_vec());
        drop(old);
        top.remove_file(Path::new(JOURNAL)).unwrap();
        let mut new = Journal::create(&top, Path::new(JOURNAL), tag).unwrap();
        let before = entries.len();
        let kept = entries.into_iter().map(|entry| entry.record);
        let kept: Vec<Record> = kept
            .filter(|record| !matches!(record, Record::Inventory { .. }))
            .collect();
        assert_eq!(kept.len() + 1, before);
        kept.into_iter()
            .for_each(|record| new.append(record).unwrap());
    });
    let before = disk.new_manifest();
    disk.in_old(|old| write(old, "home/user/files/7", "changed"));
    let mounted = Mounted::of(&disk, "seen", "subvol=@home");
    as_user(
        &mounted.0,
        "rename('.rootshift-trash', 'hidden'); symlink('/@', '.rootshift-trash') or die $!",
    );
    drop(mounted);
    disk.settle();
    let output = finalize_beside(&disk, "");
    disk.settle();
    let words = said(&output);
    assert!(
        words.contains("1 file or directory of the old system was changed"),
        "{words}"
    );
    let output = finalize_beside(&disk, "--also-changed 1");
    disk.settle();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    disk.mounted(|top| {
        // By name nobody can tell where it went: it stays, and nothing else was taken for it.
        run("rm", &["-r", &text(top.join("@home/hidden"))]);
        fs::remove_file(top.join("@home/.rootshift-trash")).unwrap();
        assert!(!top.join("etc").exists() && !top.join("@/.rootshift-trash").exists());
    });
    assert_kept(&before, &disk.new_manifest());
}

/// A flat system whose migration was cut off right before the commit: all is placed, and the old
/// system has run since and was worked in.
fn prepared() -> Disk {
    let mut disk = Disk::with_system();
    disk.mounted(|top| {
        install(top, "/bin/true", "update-initramfs");
        install(top, "/bin/true", "lsinitramfs");
    });
    disk.arm(After::Reboot);
    assert!(disk.cut_at("before-commit"));
    disk.mounted(|top| {
        assert!(top.join("@home").is_dir());
        write(top, "home/user/later", "later");
    });
    disk
}

/// He makes his own of what he finds.
fn replace_home(disk: &Disk) {
    disk.mounted(|top| {
        let home = text(top.join("@home"));
        run(
            "btrfs",
            &[
                "-q",
                "subvolume",
                "delete",
                &text(top.join("@home/user/vm")),
            ],
        );
        run("btrfs", &["-q", "subvolume", "delete", &home]);
        run("btrfs", &["-q", "subvolume", "create", &home]);
        write(top, "@home/mine", "mine");
    });
}

#[test]
fn what_somebody_made_under_a_prepared_name_is_not_deleted() {
    type Way<'a> = (&'a str, &'a dyn Fn(&Disk) -> String);
    let ways: [Way; 3] = [
        ("boot", &|disk| {
            disk.boot();
            disk.boot_log()
        }),
        ("disarm", &|disk| {
            let ran = disk.run_inside("disarm");
            assert_eq!(ran.code, 0, "{ran:?}");
            ran.stderr
        }),
        ("failed", &|disk| {
            disk.record([Record::Failed {
                step: "s".into(),
                error: "e".into(),
            }]);
            disk.boot();
            disk.boot_log()
        }),
    ];
    for (name, way) in ways {
        let disk = prepared();
        replace_home(&disk);
        let said = way(&disk);
        let mine = disk.mounted(|top| fs::read_to_string(top.join("@home/mine")));
        assert_eq!(mine.ok().as_deref(), Some("mine"), "{name}: {said}");
        let words = "@home is not the subvolume that rootshift made: it keeps its name";
        assert!(said.contains(words), "{name}: {said}");
        disk.mounted(|top| {
            let old = fs::read_to_string(top.join("home/user/later")).unwrap();
            assert_eq!(old, "later", "{name}");
            assert!(!top.join(".rootshift/new/@home").exists(), "{name}");
        });
        assert!(!disk.state().stage.new_system_is_root(), "{name}");
        disk.check();
    }
}

#[test]
fn a_snapshot_that_somebody_made_under_a_prepared_name_is_not_deleted() {
    let disk = prepared();
    disk.mounted(|top| {
        let root = text(top.join("@"));
        fs::rename(&root, top.join("@aside")).unwrap();
        // Of the same parent as rootshift's own.
        run("btrfs", &["-q", "subvolume", "snapshot", &text(top), &root]);
        write(top, "@/mine", "mine");
    });
    let ran = disk.run_inside("disarm");
    assert_eq!(ran.code, 0, "{ran:?}");
    disk.mounted(|top| {
        assert_eq!(fs::read_to_string(top.join("@/mine")).unwrap(), "mine");
        assert!(!top.join("@home").exists());
    });
}

/// The journal as a version wrote it that did not record what steps left.
fn without_what_was_left(disk: &Disk) {
    disk.mounted(|top| {
        let top = Root::open(top).unwrap();
        let old = Journal::open(&top, Path::new(JOURNAL)).unwrap();
        let (tag, mut entries) = (old.tag(), old.entries().to_vec());
        drop(old);
        top.remove_file(Path::new(JOURNAL)).unwrap();
        let mut journal = Journal::create(&top, Path::new(JOURNAL), tag).unwrap();
        let mut forgotten = 0;
        for entry in &mut entries {
            if let Record::Done { left, .. } = &mut entry.record {
                forgotten += usize::from(left.take().is_some());
            }
            journal.append(entry.record.clone()).unwrap();
        }
        assert!(forgotten > 5, "{forgotten}");
    });
}

#[test]
fn with_an_older_journal_it_is_known_by_what_it_was_made_of() {
    for is_replaced in [false, true] {
        let disk = prepared();
        without_what_was_left(&disk);
        if is_replaced {
            replace_home(&disk);
        }
        let ran = disk.run_inside("disarm");
        assert_eq!(ran.code, 0, "{ran:?}");
        disk.mounted(|top| {
            let mine = fs::read_to_string(top.join("@home/mine"));
            assert_eq!(mine.is_ok(), is_replaced, "{ran:?}");
            assert_eq!(top.join("@home").exists(), is_replaced);
            assert!(!top.join("@").exists() && !top.join("@var_log").exists());
            let kept = names(top)
                .into_iter()
                .any(|name| name.contains("rolled-back"));
            assert!(!kept, "{ran:?}");
        });
    }
}

#[test]
fn what_was_written_into_prepared_subvolumes_is_kept_aside() {
    for way in ["boot", "disarm"] {
        let disk = prepared();
        disk.mounted(|top| write(top, "@home/user/new", "work"));
        let said = match way {
            "boot" => {
                assert_eq!(disk.boot(), WOULD_REBOOT, "{}", disk.boot_log());
                disk.boot_log()
            }
            _ => {
                let ran = disk.run_inside("disarm");
                assert_eq!(ran.code, 0, "{ran:?}");
                ran.stderr
            }
        };
        disk.mounted(|top| {
            let kept = fs::read_to_string(top.join("@home.rolled-back-1/user/new"));
            assert_eq!(
                kept.ok().as_deref(),
                Some("work"),
                "{way}: {:?}",
                names(top)
            );
            assert!(
                !top.join("@.rolled-back-1").exists(),
                "{way}: nobody wrote there: {said}"
            );
            let later = fs::read_to_string(top.join("@home/user/later"));
            assert_eq!(later.is_ok(), way == "boot", "{way}");
        });
        let words = "it is kept as @home.rolled-back-1";
        assert!(said.contains(words), "{way}: {said}");
        disk.check();
    }
}

fn assert_refused(disk: &Disk, wanted: &[&str]) {
    let output = finalize_beside(disk, "");
    disk.settle();
    let words = said(&output);
    assert_eq!(output.status.code(), Some(4), "{wanted:?}: {words}");
    assert_eq!(words.lines().count(), 1, "{words}");
    for wanted in wanted {
        assert!(words.contains(wanted), "{wanted}: {words}");
    }
    assert_eq!(disk.stage(), Stage::Rehearsed);
    disk.mounted(|top| assert!(top.join("etc").exists()));
}

#[test]
fn a_new_system_that_is_not_the_one_that_was_proved_finalizes_nothing() {
    let disk = Disk::with_system();
    move_it(&disk);
    disk.mounted(|top| {
        let root = top.join("@");
        fs::rename(&root, top.join("@bad")).unwrap();
        let snapshot = [&text(top.join("@bad")), &text(&root)];
        run(
            "btrfs",
            &["-q", "subvolume", "snapshot", snapshot[0], snapshot[1]],
        );
    });
    assert_refused(
        &disk,
        &[
            "the subvolume @ is not the one, which is @bad now",
            "reboot once more",
        ],
    );
    // What the remedy says: the next boot proves it, as after a snapshot was put back.
    disk.rehearse();
    let ran = disk.run_booted_with(&disk.new_command_line(), true, "finalize --yes");
    assert_eq!((ran.code, disk.stage()), (0, Stage::Finalized), "{ran:?}");
}

#[test]
fn what_a_new_line_of_fstab_mounts_is_not_deleted() {
    let line_of = |disk: &Disk, line: &str| {
        disk.mounted(|top| {
            let fstab = top.join("@/etc/fstab");
            let text = fs::read_to_string(&fstab).unwrap();
            let uuid = &disk.uuid;
            let line = line.replace("UUID", &format!("UUID={uuid}"));
            fs::write(&fstab, format!("{text}{line}\n")).unwrap();
            format!("line {}", text.lines().count() + 1)
        })
    };
    let reboot = |disk: &Disk| {
        disk.mounted(|top| fs::create_dir_all(top.join("@/srv/user")).unwrap());
        disk.rehearse();
    };
    for line in [
        "UUID /data btrfs subvol=data,noauto 0 0",
        "UUID /data btrfs subvol=/data 0 0",
        "UUID /home/user/vm btrfs subvol=home/user/vm 0 0",
    ] {
        let disk = with_data_subvolume();
        let number = line_of(&disk, line);
        reboot(&disk);
        assert_refused(&disk, &["/etc/fstab", &number, "of the old system"]);
    }
    // The top level is nobody's; what is bound from below it is.
    let disk = with_data_subvolume();
    line_of(&disk, "UUID /mnt btrfs subvolid=5 0 0");
    let number = line_of(&disk, "/mnt/home/user /srv/user none bind 0 0");
    reboot(&disk);
    assert_refused(&disk, &["/etc/fstab", &number, "/mnt/home/user"]);
}

#[test]
fn a_subvolume_deeper_than_a_path_can_say_is_found_before_anything_is_deleted() {
    let disk = Disk::with_system();
    move_it(&disk);
    disk.in_old(|old| {
        let script = "cd \"$0\" && name=$(printf %0250d 7) && for i in $(seq 20); do \
                      mkdir $name && cd -P ./$name || exit 1; done && \
                      btrfs -q subvolume create deep";
        run("bash", &["-c", script, &text(old.join("home/user"))]);
    });
    let output = finalize_beside(&disk, "--also-changed 20");
    disk.settle();
    assert_eq!(disk.stage(), Stage::Rehearsed, "{}", said(&output));
    let words = said(&output);
    assert_eq!(output.status.code(), Some(4), "{words}");
    assert!(words.contains("deeper than a path can say"), "{words}");
    disk.mounted(|top| assert!(top.join("etc").exists()));
}

/// As Timeshift and snapper put a snapshot back: it has a trash of its own, and all of the old system
/// in it.
#[test]
fn the_trash_of_a_snapshot_that_was_put_back_is_deleted_or_named() {
    for kind in Kind::ALL {
        let disk = Disk::with_system_of(kind);
        disk.arm(After::Reboot);
        disk.boot();
        disk.boot();
        disk.mounted(|top| {
            for name in ["@", "@home"] {
                let before = top.join(format!("{name}.before"));
                fs::rename(top.join(name), &before).unwrap();
                let (from, to) = (text(&before), text(top.join(name)));
                run("btrfs", &["-q", "subvolume", "snapshot", &from, &to]);
            }
        });
        disk.boot();
        validate_it(&disk);
        let output = finalize_beside(&disk, "");
        disk.settle();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let status = disk.run_in_new_system("status");
        let words = said(&output) + &status.stdout;
        disk.mounted(|top| {
            for name in ["@", "@home"] {
                let left = top.join(name).join(TRASH);
                let size = left
                    .exists()
                    .then(|| run("du", &["-sh", "--apparent-size", &text(&left)]));
                assert!(
                    !left.exists() || words.contains(&format!("{name}/{TRASH}")),
                    "{kind:?}: {size:?} is left, and nobody says so: {words}"
                );
            }
        });
    }
}
