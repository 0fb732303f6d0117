//! A machine whose root is an ext4: a batch is written for it and planned, and never half-done.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs;

use common::ext4::Machine;
use common::{Disk, run};
use serde_json::Value;

const BATCH: &str = "/root.json";

/// Writes a batch by this template, and sees that it is clean.
fn written(machine: &Machine, options: &str) -> Value {
    let ran = machine.run_inside(&format!("new --template {options} --output {BATCH}"));
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut lint = format!("lint {BATCH}");
    for entry in fs::read_dir(common::repository().join("viscripts")).unwrap() {
        let name = entry.unwrap().file_name();
        lint.push_str(&format!(" /run/viscripts/{}", name.to_str().unwrap()));
    }
    let ran = machine.run_inside(&lint);
    assert!(ran.stdout.ends_with(" 0 problems\n"), "{ran:?}");
    let text = machine.mounted(|top| fs::read(top.join("root.json")).unwrap());
    serde_json::from_slice(&text).unwrap()
}

/// The plan, and its only conversion.
fn planned(machine: &Machine) -> (Value, Value) {
    let ran = machine.run_inside(&format!("plan --batch {BATCH} --json"));
    assert_eq!(ran.code, 0, "{ran:?}");
    let plan: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(plan["can_be_armed"], false);
    let conversions = plan["conversions"].as_array().unwrap();
    assert_eq!(conversions.len(), 1);
    let one = conversions[0].clone();
    (plan, one)
}

/// Every kind of step that there is for a root that is btrfs.
const WAY_A: [&str; 10] = [
    "snapshot",
    "promote-directory",
    "vacate-directory",
    "place-subvolume",
    "back-up-file",
    "write-fstab",
    "write-grub-defaults",
    "write-grub-config",
    "switch-boot-path",
    "clear-staging",
];

/// The steps of way a, on the tree as it will be.
fn assert_steps(plan: &Value) {
    let steps = plan["steps"].as_array().unwrap();
    let ids: Vec<&str> = steps
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    for id in [
        "btrfs_subvolume_creation/snapshot[@]",
        "btrfs_subvolume_creation/snapshot[@home]",
        "btrfs_subvolume_creation/snapshot[@var_log]",
        "btrfs_mount_configuration/fstab",
        "btrfs_boot_configuration/boot-path",
    ] {
        assert!(ids.contains(&id), "{id}: {ids:?}");
    }
    for step in steps {
        let kind = step["kind"].as_str().unwrap();
        assert!(WAY_A.contains(&kind), "nothing but way a: {step}");
    }
}

/// `check`, `arm` and `run` refuse it in one line, and nothing has changed.
fn assert_not_begun(machine: &Machine) {
    let before = machine.manifest();
    for command in ["check", "arm --yes", "run"] {
        let ran = machine.run_inside(&format!("{command} --batch {BATCH}"));
        assert_eq!(ran.code, 4, "{command}: {ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
        assert!(ran.stderr.contains("not supported yet"), "{ran:?}");
        assert!(ran.stdout.is_empty(), "{ran:?}");
    }
    let comparison = common::compare(&before, &machine.manifest());
    assert!(comparison.is_equal(), "{comparison:#?}");
    assert!(comparison.same > 300, "{}", comparison.same);
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

/// What `stat -f` says of the mounted root: size, used and free, in bytes.
fn space(machine: &Machine) -> [u64; 3] {
    machine.mounted(|top| {
        let said = run("stat", &["-f", "-c", "%S %b %f", top.to_str().unwrap()]);
        let numbers: Vec<u64> = said.split(' ').map(|word| word.parse().unwrap()).collect();
        let [size, all, free] = numbers[..] else {
            panic!("{said}")
        };
        [size * all, size * (all - free), size * free]
    })
}

#[test]
fn an_ext4_root_is_planned_in_its_place_and_not_half_done() {
    let machine = Machine::new(&[], vec![]);
    let batch = written(&machine, "ext4-in-place");
    let from = &batch["layout"]["filesystems"][0]["from"]["convert"];
    assert_eq!(from["filesystem"], format!("UUID={}", machine.uuid));
    let words = from["$comment"].as_str().unwrap();
    for part in [
        "without errors=remount-ro",
        "Swap on UUID=1234",
        "Don't hibernate",
    ] {
        assert!(words.contains(part), "{words}");
    }
    let (plan, one) = planned(&machine);
    assert_steps(&plan);
    assert_eq!(
        plan["filesystem"]["uuid"], machine.uuid,
        "it keeps its UUID"
    );
    let entries = plan["old_system"]["entries"].as_array().unwrap();
    for name in ["etc", "home", "vmlinuz", "ext2_saved"] {
        assert!(entries.contains(&name.into()), "{entries:?}");
    }
    for (key, value) in [
        ("way", "convert"),
        ("mounted_at", "/"),
        ("filesystem", "ext4"),
        ("device", &machine.device),
        ("uuid", &machine.uuid),
        ("risk_level", "critical"),
        ("stage", "initramfs"),
    ] {
        assert_eq!(one[key], value, "{one}");
    }
    let [size, used, free] = space(&machine);
    assert_eq!(number(&one["size_bytes"]), size);
    assert!(number(&one["used_bytes"]).abs_diff(used) < 1 << 20, "{one}");
    assert!(
        number(&one["space_available_bytes"]).abs_diff(free) < 1 << 20,
        "{one}"
    );
    assert!((300..400).contains(&number(&one["inodes"])), "{one}");
    assert_eq!(one["space_is_there"], true);
    assert_eq!(one["obstacles"], serde_json::json!([]));
    assert!(number(&one["seconds"]) >= 1 && one["basis"].as_str().unwrap().contains("MB/s"));
    assert!(one["not_kept"].as_array().unwrap().len() > 3);
    let shown = machine.run_inside(&format!("plan --batch {BATCH}"));
    assert_eq!(shown.code, 0, "{shown:?}");
    let at = |part: &str| {
        shown
            .stdout
            .find(part)
            .unwrap_or_else(|| panic!("{part}: {shown:?}"))
    };
    assert!(at("conversion of / (in the initramfs") < at("pre_installation_validation"));
    assert!(at("[critical]") < at("btrfs_subvolume_creation/snapshot[@]"));
    at("Not supported yet: this version plans the conversion");
    assert_not_begun(&machine);
}

/// The forecast's room is enough for the real btrfs-convert, on a disk as full as it allows.
#[test]
fn the_room_that_is_forecast_is_enough() {
    let machine = Machine::new(&["-m", "0"], vec![]);
    written(&machine, "ext4-in-place");
    let (_, one) = planned(&machine);
    let (needed, [_, _, free]) = (number(&one["space_needed_bytes"]), space(&machine));
    let file = machine.folder.join("top/filler");
    let length = (free - needed - (4 << 20)).to_string();
    machine.mounted(|_| run("fallocate", &["-l", &length, file.to_str().unwrap()]));
    let (_, one) = planned(&machine);
    assert_eq!(one["space_is_there"], true, "{one}");
    assert!(number(&one["space_available_bytes"]) - number(&one["space_needed_bytes"]) < 5 << 20);
    run("e2fsck", &["-fp", &machine.device]);
    let convert = ["--uuid", "copy", "--no-progress", machine.device.as_str()];
    run("btrfs-convert", &convert);
    run("btrfs", &["check", "--readonly", &machine.device]);
    let uuid = run(
        "blkid",
        &["-p", "-s", "UUID", "-o", "value", &machine.device],
    );
    assert_eq!(uuid, machine.uuid, "it keeps its UUID");
}

#[test]
fn too_little_room_is_said_with_both_numbers() {
    let machine = Machine::new(&["-m", "0"], vec![]);
    written(&machine, "ext4-in-place");
    let file = machine.folder.join("top/filler");
    machine.mounted(|_| run("fallocate", &["-l", "310M", file.to_str().unwrap()]));
    let ran = machine.run_inside("new --template ext4-in-place --output /other.json");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("btrfs-convert may need"), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    assert!(machine.mounted(|top| !top.join("other.json").exists()));
    let ran = machine.run_inside(&format!("plan --batch {BATCH}"));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stdout.contains("not enough") && ran.stdout.contains("FAIL "),
        "{ran:?}"
    );
}

#[test]
fn an_ext4_root_is_planned_onto_the_only_empty_btrfs() {
    let (full, empty) = (Disk::format(200), Disk::format(600));
    full.mounted(|top| fs::write(top.join("mine"), "mine").unwrap());
    let (device, uuid) = (empty.device.clone(), empty.uuid.clone());
    let machine = Machine::new(&["-b", "1024"], vec![full, empty]);
    let batch = written(&machine, "ext4-to-disk");
    let from = &batch["layout"]["filesystems"][0]["from"]["copy"];
    assert_eq!(from["filesystem"], format!("UUID={}", machine.uuid));
    assert_eq!(from["target"], format!("UUID={uuid}"));
    let (plan, one) = planned(&machine);
    assert_steps(&plan);
    assert_eq!(
        plan["filesystem"]["uuid"], uuid,
        "the root will be that one"
    );
    let entries = plan["old_system"]["entries"].as_array().unwrap();
    assert!(!entries.contains(&"ext2_saved".into()), "{entries:?}");
    assert_eq!(one["way"], "copy");
    assert_eq!(one["risk_level"], "high");
    assert_eq!(one["target"]["device"], device);
    assert_eq!(number(&one["target"]["size_bytes"]), 600 << 20);
    assert!(number(&one["space_needed_bytes"]) > number(&one["used_bytes"]));
    assert_eq!(one["space_is_there"], true);
    assert_not_begun(&machine);
    let names = |disk: &Disk| disk.mounted(|top| fs::read_dir(top).unwrap().count());
    assert_eq!(names(&machine.others[1]), 0, "the target stays empty");
    machine.others[1].check();
}

/// One line, the exit status, and nothing written.
fn assert_refused(machine: &Machine, options: &str, code: i32, part: &str) {
    let ran = machine.run_inside(&format!("new --template {options} --output {BATCH}"));
    assert_eq!(ran.code, code, "{options}: {ran:?}");
    assert!(ran.stderr.contains(part), "{options}: {ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    assert!(machine.mounted(|top| !top.join("root.json").exists()));
}

#[test]
fn a_target_that_does_not_do_is_refused() {
    let mut machine = Machine::new(&[], vec![]);
    let (device, uuid) = (machine.device.clone(), machine.uuid.clone());
    let itself = "that is / itself; name another";
    for (options, code, part) in [
        ("ext4-to-disk", 4, "there is no empty btrfs on this machine"),
        (&format!("ext4-to-disk --target {device}"), 2, itself),
        (&format!("ext4-to-disk --target UUID={uuid}"), 2, itself),
        ("ext4-to-disk --target /dev/null", 2, "no such block device"),
        (
            "ext4-to-disk --target /dev/nothing",
            2,
            "no such block device",
        ),
        ("ext4-to-disk --target sdb", 2, "no such block device"),
        (
            "ext4-to-disk --target UUID=00000000-0000-4000-8000-000000000000",
            2,
            "no device holds a btrfs of this UUID",
        ),
        (
            "ext4-in-place --target /dev/null",
            2,
            "only ext4-to-disk takes a --target",
        ),
        (
            "flat-to-subvolumes",
            4,
            "use --template ext4-in-place or ext4-to-disk",
        ),
    ] {
        assert_refused(&machine, options, code, part);
    }
    let small = Disk::format(200);
    machine.others.push(small);
    assert_refused(&machine, "ext4-to-disk", 4, "is too small: ");
    machine.others.push(Disk::format(600));
    machine.others.push(Disk::format(600));
    assert_refused(
        &machine,
        "ext4-to-disk",
        4,
        "are empty btrfs; say which one: --target",
    );
    let full = machine.others.remove(1);
    full.mounted(|top| fs::create_dir(top.join("data")).unwrap());
    let named = format!("ext4-to-disk --target {}", full.device);
    machine.others.push(full);
    assert_refused(&machine, &named, 4, "is not empty; name one that is");
    let second = machine.others[1].device.clone();
    let batch = written(&machine, &format!("ext4-to-disk --target {second}"));
    let target = &batch["layout"]["filesystems"][0]["from"]["copy"]["target"];
    assert_eq!(*target, format!("UUID={}", machine.others[1].uuid));
}

/// Features as mkfs.ext4 makes them; and a batch that was written for another machine.
#[test]
fn what_can_not_be_converted_is_refused_and_another_machines_batch_too() {
    for (options, part) in [
        (["-O", "inline_data"], "the feature inline_data"),
        (["-O", "bigalloc"], "the feature bigalloc"),
        (["-b", "1024"], "blocks of 1024 bytes"),
    ] {
        assert_refused(&Machine::new(&options, vec![]), "ext4-in-place", 4, part);
    }
    let machine = Machine::new(&[], vec![]);
    let text = written(&machine, "ext4-in-place").to_string();
    let plan = |text: &str, code: i32, part: &str| {
        machine.write("root.json", text);
        let ran = machine.run_inside(&format!("plan --batch {BATCH}"));
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.stderr.contains(part), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    };
    let other = "00000000-0000-4000-8000-000000000000";
    plan(
        &text.replace(&machine.uuid, other),
        2,
        "is not for this machine",
    );
    let mut batch: Value = serde_json::from_str(&text).unwrap();
    batch["layout"]["filesystems"][0]
        .as_object_mut()
        .unwrap()
        .remove("from");
    plan(&batch.to_string(), 1, "not btrfs: not supported yet");
}

#[test]
fn a_btrfs_root_has_nothing_to_be_converted() {
    let disk = Disk::with_system();
    let text = fs::read_to_string(common::repository().join("batches/flat-to-subvolumes.json"));
    let mut batch: Value = serde_json::from_str(&text.unwrap()).unwrap();
    let from = serde_json::json!({"convert": {"filesystem": format!("UUID={}", disk.uuid)}});
    batch["layout"]["filesystems"][0]["from"] = from;
    batch["dependencies"]["system_requirements"] = serde_json::json!({
        "min_memory": "128MB",
        "min_disk_space": "1GB",
        "required_commands": ["update-initramfs", "lsinitramfs", "btrfs-convert"],
        "required_filesystems": ["btrfs", "ext4"],
    });
    disk.mounted(|top| fs::write(top.join("root.json"), batch.to_string()).unwrap());
    let ran = disk.run_inside(&format!("plan --batch {BATCH}"));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stderr
            .contains("it is btrfs already; take \"from\" out"),
        "{ran:?}"
    );
    let ran = disk.run_inside(&format!("arm --yes --batch {BATCH}"));
    assert_eq!(ran.code, 4, "{ran:?}");
}
