//! A fence around documents: whatever a viScript or a layout says, `lint` names it, `arm` refuses it
//! in the same words, and nothing outside the staging place is written before the commit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use common::{Disk, Kind, Ran, assert_same, repository, run};
use rootshift::documents::plan::{After, PlannedStep};
use rootshift::documents::{Action, mount_options};
use rootshift::engine::Stage;
use rootshift::steps::{self, StepContext, Undo};
use rootshift::sys::Root;
use rootshift::tree::compare;
use rootshift::tree::manifest::{Manifest, Options};
use serde_json::{Value, json};

/// Where the documents lie on the disk.
const FOLDER: &str = "root/documents";
const BATCH: &str = include_str!("../batches/flat-to-subvolumes.json");
const FSTAB: &str = "btrfs_mount_configuration_viScript.json";
const MIGRATION: &str = "btrfs_data_migration_viScript.json";
const CREATION: &str = "btrfs_subvolume_creation_viScript.json";
const BOOT: &str = "btrfs_boot_configuration_viScript.json";

/// The shipped documents on the disk, one of them edited.
fn put_documents(disk: &Disk, file: &str, from: &str, to: &str) {
    disk.mounted(|top| {
        let folder = top.join(FOLDER);
        fs::create_dir_all(&folder).unwrap();
        let put = |name: &str, text: &str| {
            let text = match name == file {
                true => {
                    assert!(text.contains(from), "{name} lacks {from}");
                    text.replacen(from, to, 1)
                }
                false => text.to_owned(),
            };
            fs::write(folder.join(name), text).unwrap();
        };
        put("b.json", BATCH);
        for entry in fs::read_dir(repository().join("viscripts")).unwrap() {
            let entry = entry.unwrap();
            let text = fs::read_to_string(entry.path()).unwrap();
            put(entry.file_name().to_str().unwrap(), &text);
        }
        common::run("chmod", &["-R", "go-w", folder.to_str().unwrap()]);
    });
}

fn all_documents(disk: &Disk) -> String {
    disk.mounted(|top| {
        let names = common::names(&top.join(FOLDER));
        let names: Vec<String> = names
            .iter()
            .map(|name| format!("/{FOLDER}/{name}"))
            .collect();
        names.join(" ")
    })
}

/// `lint` names it in the document where it stands, and `check`, `plan`, `arm` and `run` refuse it
/// with the same words before anything is done.
fn assert_fenced(file: &str, from: &str, to: &str, wanted: &str) {
    let disk = Disk::with_system();
    put_documents(&disk, file, from, to);
    let before = disk.old_manifest();
    let linted = disk.run_inside(&format!("lint {}", all_documents(&disk)));
    let said = |ran: &Ran| format!("{}{}", ran.stdout, ran.stderr).contains(wanted);
    assert!(linted.code == 1 && said(&linted), "lint, {to}: {linted:?}");
    assert!(
        linted.stdout.contains(&format!("{file}:")),
        "no place: {linted:?}"
    );
    for command in ["check", "plan", "arm --yes", "run --yes"] {
        let ran = disk.run_inside(&format!("{command} --batch /{FOLDER}/b.json"));
        assert_eq!(ran.code, 2, "{command}, {to}: {ran:?}");
        assert!(ran.stderr.contains(wanted), "{command}, {to}: {ran:?}");
        assert_eq!(ran.stdout, "", "{command}, {to}");
    }
    assert!(disk.mounted(|top| !top.join(".rootshift").exists()));
    assert_same(&before, &disk.old_manifest());
}

#[test]
fn the_shipped_documents_are_not_refused() {
    let disk = Disk::with_system();
    put_documents(&disk, "b.json", "", "");
    let linted = disk.run_inside(&format!("lint {}", all_documents(&disk)));
    assert_eq!(linted.code, 0, "{linted:?}");
    for command in ["check", "plan"] {
        let ran = disk.run_inside(&format!("{command} --batch /{FOLDER}/b.json"));
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

#[test]
fn a_step_that_writes_outside_the_staging_place_is_refused() {
    for (file, from, to) in [
        (FSTAB, "\"{staging}/{main}\"", "\".\""),
        (BOOT, "\"{staging}/{main}\"", "\"/\""),
        (MIGRATION, "\"{staging}/{name}\"", "\"home\""),
        (MIGRATION, "\"{staging}/{holder}\"", "\"/\""),
        (CREATION, "\"{staging}/{name}\"", "\"home/user/{name}\""),
        (
            CREATION,
            "\"{staging}/{name}\"",
            "\"{staging}/../../{name}\"",
        ),
    ] {
        assert_fenced(file, from, to, "is not below the staging place");
    }
}

#[test]
fn two_steps_of_one_name_are_refused() {
    let (from, to) = ("\"name\": \"vacate\"", "\"name\": \"promote\"");
    assert_fenced(MIGRATION, from, to, "a second step is named \"promote\"");
}

#[test]
fn an_unknown_mount_option_is_refused() {
    let from = "\"mount_point\": \"/home\"";
    for (option, wanted) in [
        ("noatme", "did you mean \"noatime\"?"),
        ("compres=zstd", "did you mean \"compress=zstd\"?"),
        ("errors=remount-ro", "only ext2, ext3 and ext4 know"),
    ] {
        let to = format!("{from}, \"options\": [\"{option}\"]");
        assert_fenced("b.json", from, &to, wanted);
    }
}

/// Every kind of step with the places of its paths, as a plan that is read from a disk has it.
const ACTIONS: [&str; 10] = [
    r#"{"snapshot": {"from": "OLD", "to": "STAGED"}}"#,
    r#"{"promote-directory": {"subvolume": "STAGED", "directory": "INSIDE"}}"#,
    r#"{"vacate-directory": {"subvolume": "STAGED", "directory": "INSIDE", "old_path": "OLD",
        "keep_as": "NAME"}}"#,
    r#"{"write-fstab": {"subvolume": "STAGED"}}"#,
    r#"{"write-grub-defaults": {"subvolume": "STAGED"}}"#,
    r#"{"write-grub-config": {"subvolume": "STAGED"}}"#,
    r#"{"back-up-file": {"subvolume": "STAGED", "file": "FILE", "backup": "COPY",
        "old_path": "OLD"}}"#,
    r#"{"place-subvolume": {"from": "STAGED", "to": "NAME"}}"#,
    r#"{"clear-staging": {"path": "STAGED"}}"#,
    r#"{"switch-boot-path": {"path": "BOOT", "target": "STAGED", "keep_as": "NAME"}}"#,
];

/// What stands for a path, and what sense would make there.
const PLACES: [(&str, &[&str]); 7] = [
    (
        "STAGED",
        &[
            ".rootshift/new/@",
            ".rootshift/new/@home",
            ".rootshift/new/@",
            ".rootshift/new/@/relative/user",
            ".rootshift/new/@/absolute/user",
            ".rootshift/new/@/srv/x",
            ".rootshift/new/@/home",
        ],
    ),
    (
        "OLD",
        &[
            "/",
            "/home",
            "/home/user",
            "/etc/fstab",
            "/absolute",
            "/home/user/vm",
        ],
    ),
    (
        "INSIDE",
        &[
            "/home",
            "/home/user",
            "/etc/fstab",
            "/etc/fstab.b",
            "/relative/user",
            "/absolute/user",
            "/evil/fstab",
            "/evil/b",
            "/magic/etc/fstab",
        ],
    ),
    ("FILE", &["/etc/fstab", "/evil/fstab"]),
    ("COPY", &["/etc/fstab.b", "/evil/b"]),
    ("NAME", &["@", "@home", "kept"]),
    ("BOOT", &["/boot", "/home"]),
];

/// A generator of numbers; the same ones in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    /// Mostly what makes sense, as it is or with an enemy's parts behind it; else those alone.
    fn path(&mut self, sense: &[&str]) -> String {
        const PARTS: [&str; 16] = [
            "",
            ".",
            "..",
            "../../..",
            "@",
            "home",
            "etc/fstab",
            "boot",
            ".rootshift",
            ".rootshift-trash",
            "relative",
            "absolute",
            "magic",
            "evil",
            "/",
            "home/user",
        ];
        let mut path = match self.below(8) {
            0 => String::new(),
            _ => self.one_of(sense).to_owned(),
        };
        if path.is_empty() || self.below(6) == 0 {
            for _ in 0..=self.below(3) {
                path.push('/');
                path.push_str(self.one_of(&PARTS));
            }
        }
        path
    }

    fn action(&mut self) -> String {
        let mut text = self.one_of(&ACTIONS).to_owned();
        for (mark, sense) in PLACES {
            while text.contains(mark) {
                text = text.replacen(mark, &self.path(sense), 1);
            }
        }
        text
    }
}

/// Everything on the disk but what is rootshift's own.
fn outside(top: &Path) -> Manifest {
    let options = Options {
        cross_subvolumes: true,
        contents: true,
        holes: false,
    };
    Manifest::of(&Root::open(top).unwrap(), options).unwrap()
}

/// The same, but for the time of the top level's own directory.
fn differences(before: &Manifest, after: &Manifest) -> String {
    let options = compare::Options {
        ignore: &|path| path.starts_with(".rootshift"),
        ignore_difference: &|path, difference| {
            path == Path::new("") && difference.attribute == "modified"
        },
    };
    let compared = compare::compare(before, after, &options);
    assert!(compared.same > 20, "{compared:?}");
    match compared.is_equal() {
        true => String::new(),
        false => format!("{compared:#?}"),
    }
}

/// Two prepared subvolumes with ways out of them for who follows symlinks.
fn prepare(top: &Path, root: &str) {
    let own = top.join(".rootshift");
    if !own.exists() {
        run(
            "btrfs",
            &["-q", "subvolume", "create", own.to_str().unwrap()],
        );
    }
    fs::create_dir_all(own.join("new")).unwrap();
    for name in ["@", "@home"] {
        let staged = own.join("new").join(name);
        if staged.exists() {
            continue;
        }
        let old = top.join(root);
        let (old, new) = (old.to_str().unwrap(), staged.to_str().unwrap());
        run("btrfs", &["-q", "subvolume", "snapshot", old, new]);
        symlink("../../../home", staged.join("relative")).unwrap();
        symlink("/home", staged.join("absolute")).unwrap();
        symlink("/proc/self/cwd", staged.join("magic")).unwrap();
        symlink(top.join(root).join("etc"), staged.join("evil")).unwrap();
    }
}

/// Takes a step in every way, whatever comes of it; whether it did something.
fn take(action: &Action, context: &StepContext, outside_is_whole: &dyn Fn()) -> bool {
    let step = steps::of(action);
    let _ = step.probe(context);
    let did = step.apply(context).is_ok();
    let _ = step.verify(context);
    // What these do at the top level is taken back first; nothing else does anything there.
    if matches!(
        action,
        Action::PlaceSubvolume(_) | Action::SwitchBootPath(_)
    ) {
        let _ = step.undo(context, Undo::Discard);
    }
    outside_is_whole();
    did
}

fn no_step_writes_outside(kind: Kind) {
    let rounds = if common::is_thorough() { 5_000 } else { 500 };
    let disk = Disk::with_system_of(kind);
    let plan = disk.mounted(|top| disk.plan(&Root::open(top).unwrap(), After::Reboot));
    disk.mounted(|top| {
        prepare(top, kind.root());
        let before = outside(top);
        let root = Root::open(top).unwrap();
        let context = StepContext::new(&root, &plan, "/");
        let layout = plan.layout.root().unwrap();
        let mut numbers = Numbers(0x5eed_0006);
        let mut took = std::collections::BTreeMap::new();
        for round in 0..rounds {
            let text = numbers.action();
            // What the types and the plan let pass is done; all else never gets as far.
            let Ok(action) = serde_json::from_str::<Action>(&text) else {
                continue;
            };
            if action.breach(layout, &plan.old_system).is_some() {
                continue;
            }
            prepare(top, kind.root());
            let did = take(&action, &context, &|| {
                let said = differences(&before, &outside(top));
                assert_eq!(said, "", "{kind:?}, round {round}: {text}");
            });
            *took.entry(action.kind()).or_insert(0) += usize::from(did);
        }
        println!("{kind:?}: {took:?}");
        // Each kind was let pass and did its work, or nothing was tried.
        let unknown = serde_json::from_str::<Action>(r#"{"?": 0}"#).unwrap_err();
        for name in unknown.to_string().split('`').skip(3).step_by(2) {
            let switch = name == "switch-boot-path"; // three values that no number comes to
            assert!(
                switch || took.get(name).is_some_and(|count| *count > 0),
                "{name}: {took:?}"
            );
        }
    });
}

#[test]
fn no_step_writes_outside_the_staging_place_of_a_flat_root() {
    no_step_writes_outside(Kind::Flat);
}

#[test]
fn no_step_writes_outside_the_staging_place_of_a_root_in_a_subvolume() {
    no_step_writes_outside(Kind::Rootfs);
}

/// A symlink of the old system is in the snapshot too; it leads inside the new system, or nowhere.
#[test]
fn a_symlink_in_a_prepared_subvolume_leads_nowhere_else() {
    for target in ["/home/user/etc", "../../../home/user/etc", "home/user/etc"] {
        let disk = Disk::with_system();
        disk.mounted(|top| {
            fs::rename(top.join("etc"), top.join("home/user/etc")).unwrap();
            symlink(target, top.join("etc")).unwrap();
        });
        let plan = disk.mounted(|top| disk.plan(&Root::open(top).unwrap(), After::Reboot));
        disk.mounted(|top| {
            prepare(top, "");
            let before = outside(top);
            let root = Root::open(top).unwrap();
            let context = StepContext::new(&root, &plan, "/");
            let text = r#"{"write-fstab": {"subvolume": ".rootshift/new/@"}}"#;
            let action: Action = serde_json::from_str(text).unwrap();
            steps::of(&action).apply(&context).unwrap();
            let fstab = top.join(".rootshift/new/@/home/user/etc/fstab");
            assert!(
                fs::read_to_string(fstab).unwrap().contains("subvol=@"),
                "{target}"
            );
            assert_eq!(differences(&before, &outside(top)), "", "{target}");
        });
    }
}

/// Not even root's own symlink on the way to the staging place is followed.
#[test]
fn a_staging_place_that_is_a_symlink_is_not_entered() {
    let disk = Disk::with_system();
    let plan = disk.mounted(|top| disk.plan(&Root::open(top).unwrap(), After::Reboot));
    disk.mounted(|top| {
        prepare(top, "");
        let new = top.join(".rootshift/new");
        fs::rename(&new, top.join(".rootshift/elsewhere")).unwrap();
        symlink("elsewhere", &new).unwrap();
        let before = outside(top);
        let root = Root::open(top).unwrap();
        let context = StepContext::new(&root, &plan, "/");
        let text = r#"{"write-fstab": {"subvolume": ".rootshift/new/@"}}"#;
        let action: Action = serde_json::from_str(text).unwrap();
        let refused = steps::of(&action).apply(&context).unwrap_err();
        assert!(refused.to_string().contains("symbolic links"), "{refused}");
        assert_eq!(differences(&before, &outside(top)), "");
    });
}

/// The shipped batch with this option at /home, which `lint` lets pass: whether a kernel takes it
/// depends on the file system.
fn with_option(option: &str) -> Disk {
    let mut disk = Disk::with_system();
    let home = "\"mount_point\": \"/home\"";
    disk.use_batch(&BATCH.replacen(home, &format!("{home}, \"options\": [\"{option}\"]"), 1));
    disk
}

/// A file system with a free space tree (the default since btrfs-progs 5.15) is mounted with none of
/// the older caches.
#[test]
fn a_line_that_can_not_be_mounted_stops_before_the_commit() {
    let disk = with_option("space_cache=v1");
    let before = disk.old_manifest();
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), 0, "{}", disk.boot_log());
    let state = disk.state();
    assert_eq!(state.stage, Stage::Failed, "{}", disk.boot_log());
    assert_eq!(disk.root_flags(), None);
    let log = disk.boot_log();
    assert!(
        log.contains("line 4 of the new fstab (/home) can't be mounted"),
        "{log}"
    );
    assert!(log.contains("space_cache=v1"), "{log}");
    assert_same(&before, &disk.old_manifest());
    disk.mounted(|top| {
        assert!(!top.join("@").exists() && !top.join("@home").exists());
        assert!(!top.join("boot").is_symlink());
    });
}

#[test]
fn lines_that_can_be_mounted_are_and_the_commit_follows() {
    let disk = with_option("compress=zstd:1,x-systemd.device-timeout=9s,nofail");
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), common::WOULD_REBOOT, "{}", disk.boot_log());
    assert_eq!(disk.state().stage, Stage::Committed);
    let log = disk.boot_log();
    for line in [3, 4, 5] {
        assert!(
            log.contains(&format!("line {line} of the new fstab")),
            "{log}"
        );
    }
}

/// What the old system boots without is no reason to stay there.
#[test]
fn a_line_that_failed_before_and_may_is_no_reason_to_stop() {
    for (options, stage) in [
        ("nofail,subvol=gone", Stage::Committed),
        ("subvol=gone", Stage::Failed),
    ] {
        let mut disk = Disk::with_system();
        disk.mounted(|top| {
            let line = format!("UUID={} /mnt btrfs {options} 0 0\n", disk.uuid);
            let fstab = fs::read_to_string(top.join("etc/fstab")).unwrap() + &line;
            fs::write(top.join("etc/fstab"), fstab).unwrap();
        });
        disk.use_batch(BATCH);
        disk.arm(After::Reboot);
        disk.boot();
        assert_eq!(disk.state().stage, stage, "{options}: {}", disk.boot_log());
        assert!(
            disk.boot_log().contains("(/mnt) can't be mounted"),
            "{}",
            disk.boot_log()
        );
    }
}

/// `check` stops for what the trial mount stops for, and for nothing else.
#[test]
fn check_knows_which_lines_may_fail() {
    for (options, code) in [
        ("nofail,subvol=data,bogus", 0),
        ("noauto,subvol=data,bogus", 0),
        ("subvol=data,bogus", 1),
    ] {
        let disk = Disk::with_system();
        disk.mounted(|top| {
            let data = top.join("data");
            run(
                "btrfs",
                &["-q", "subvolume", "create", data.to_str().unwrap()],
            );
            let line = format!("UUID={} /mnt btrfs {options} 0 0\n", disk.uuid);
            let fstab = fs::read_to_string(top.join("etc/fstab")).unwrap() + &line;
            fs::write(top.join("etc/fstab"), fstab).unwrap();
            fs::create_dir(top.join("mnt")).unwrap();
        });
        let ran = disk.run_inside("check");
        assert_eq!(ran.code, code, "{options}: {ran:?}");
        let refuses = ran
            .stdout
            .contains("the running kernel's btrfs refuses bogus");
        assert_eq!(refuses, code == 1, "{options}: {ran:?}");
        disk.arm(After::Reboot);
        disk.boot();
        let commits = disk.stage() == Stage::Committed;
        assert_eq!(commits, code == 0, "{options}: {}", disk.boot_log());
    }
}

/// The table of mount options against the kernel that runs here, each on a mount of its own.
#[test]
fn the_table_of_mount_options_says_what_this_kernel_does() {
    let taken = "acl noacl commit=30 compress compress=zstd compress=zstd:3 compress=lzo \
                 compress=zlib:9 compress=no compress=none compress-force=zstd flushoncommit \
                 noflushoncommit max_inline=2k barrier nobarrier datacow nodatacow datasum \
                 nodatasum discard discard=sync discard=async nodiscard space_cache=v2 \
                 thread_pool=4 treelog notreelog user_subvol_rm_allowed skip_balance ssd nossd \
                 ssd_spread nossd_spread autodefrag noautodefrag metadata_ratio=4 enospc_debug \
                 noenospc_debug fatal_errors=panic";
    let refused = "compress=gzip ssd=1 commit=x commit=-1 noatme errors=remount-ro data=ordered \
                   usrquota inode_cache alloc_start=0 recovery check_int subvolrootid=5 nocompress";
    let disk = Disk::format(300);
    let at = disk.folder.join("trial");
    fs::create_dir(&at).unwrap();
    let kernel_takes = |option: &str| {
        let tried = rootshift::sys::mount::try_btrfs(Path::new(&disk.device), &at, option);
        disk.settle();
        tried.is_ok()
    };
    for (options, good) in [(taken, true), (refused, false)] {
        for option in options.split_whitespace() {
            assert_eq!(kernel_takes(option), good, "{option}");
            let problem = mount_options::problem(option);
            assert_eq!(problem.is_none(), good, "{option}: {problem:?}");
        }
    }
}

/// A viScript that may fail carries over what is nested, and fails: what it had made is taken back.
#[test]
fn what_a_failure_that_may_be_left_behind_is_no_new_system() {
    let mut disk = Disk::with_system();
    disk.use_batch(BATCH);
    let beside = disk.folder.join("viscripts");
    let read = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(beside.join(name)).unwrap()).unwrap()
    };
    let (mut migration, mut batch) = (
        read(MIGRATION),
        serde_json::from_str::<Value>(BATCH).unwrap(),
    );
    let carry_over = migration["steps"].as_array_mut().unwrap().pop().unwrap();
    let own = json!({
        "viScript_name": "nested", "version": "1.0", "description": "d", "type": "core",
        "risk_level": "medium",
        "steps": [carry_over, { "name": "fails",
            "do": { "snapshot": { "from": "/nowhere", "to": "{staging}/@x" } } }]
    });
    fs::write(beside.join(MIGRATION), migration.to_string()).unwrap();
    fs::write(beside.join("nested_viScript.json"), own.to_string()).unwrap();
    batch["failure_handling"] = "continue".into();
    let phases = batch["phases"].as_array_mut().unwrap();
    let core = phases
        .iter()
        .position(|one| one["name"] == "core_installation");
    let core = core.unwrap();
    let mut rest = phases[core].clone();
    rest["name"] = "core_rest".into();
    rest["viScripts"] = json!([FSTAB, BOOT]);
    phases[core]["viScripts"] = json!([CREATION, MIGRATION]);
    let mut extra = rest.clone();
    extra["name"] = "nested".into();
    extra["viScripts"] = json!(["nested_viScript.json"]);
    extra["required"] = false.into();
    extra["critical"] = false.into();
    phases.splice(core + 1..=core, [extra, rest]);
    fs::write(disk.batch.as_ref().unwrap(), batch.to_string()).unwrap();
    let before = disk.old_manifest();
    disk.arm(After::Reboot);
    disk.boot();
    let state = disk.state();
    assert_eq!(state.tolerated, ["nested/fails"], "{}", disk.boot_log());
    assert_eq!(state.stage, Stage::Failed, "{}", disk.boot_log());
    let reason = state.reason.unwrap();
    assert!(
        reason.contains("home/user/vm was not carried over to @home/user/vm"),
        "{reason}"
    );
    assert_same(&before, &disk.old_manifest());
}

/// A plan that an earlier version froze, of documents that `lint` would not let pass today: the
/// disk is asked, not the plan.
fn assert_not_committed(kind: Kind, change: &dyn Fn(&mut Vec<PlannedStep>), wanted: &str) {
    let disk = Disk::with_system_of(kind);
    let mut plan = disk.mounted(|top| disk.plan(&Root::open(top).unwrap(), After::Reboot));
    let scripts = plan.phases.iter_mut();
    let scripts = scripts.flat_map(|phase| &mut phase.viscripts);
    scripts.for_each(|script| change(&mut script.steps));
    disk.mounted(|top| {
        let top = Root::open(top).unwrap();
        common::arm(&top, kind, &plan, &disk.folder.join("plans"));
    });
    let before = disk.old_manifest();
    disk.boot();
    let state = disk.state();
    assert_eq!(state.stage, Stage::Failed, "{wanted}: {}", disk.boot_log());
    let reason = state.reason.unwrap();
    assert!(reason.contains(wanted), "{wanted}: {reason}");
    assert_same(&before, &disk.old_manifest());
}

#[test]
fn a_plan_that_leaves_files_behind_is_not_committed() {
    for kind in Kind::ALL {
        let change = |steps: &mut Vec<PlannedStep>| {
            steps.retain(|step| !step.id.contains("/carry-over["));
        };
        let wanted = "home/user/vm was not carried over to @home/user/vm";
        assert_not_committed(kind, &change, wanted);
    }
    // A snapshot of something else, which lies in the old root.
    let other = |steps: &mut Vec<PlannedStep>| {
        let text = r#"{"snapshot": {"from": "/home/user/vm", "to": ".rootshift/new/@home"}}"#;
        let mut own = steps
            .iter_mut()
            .filter(|step| step.id.ends_with("/snapshot[@home]"));
        if let Some(own) = own.next() {
            own.action = serde_json::from_str(text).unwrap();
        }
        let has_no_place = ["/promote[@home]", "/carry-over[home/user/vm]"];
        steps.retain(|step| !has_no_place.iter().any(|end| step.id.ends_with(end)));
    };
    let wanted = "the old system was not carried over to @home";
    assert_not_committed(Kind::Flat, &other, wanted);
}
