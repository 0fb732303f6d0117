//! The engine's keys on a real btrfs: failure policy, recovery, checkpoints, phases by hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs;
use std::io::Write;

use common::{Disk, WOULD_REBOOT, assert_same, repository, run};
use rootshift::documents::plan::After;
use rootshift::engine::Stage;
use rootshift::journal::Record;
use serde_json::{Value, json};

/// The shipped batch as a tree.
fn batch() -> Value {
    let text = fs::read_to_string(repository().join("batches/flat-to-subvolumes.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn phase(name: &str, scripts: &[&str]) -> Value {
    json!({ "name": name, "viScripts": scripts, "required": false, "critical": false,
            "parallel_execution": false, "checkpoint_after": false })
}

fn viscript(kind: &str, steps: Value, checks: Value) -> Value {
    json!({ "viScript_name": "x", "version": "1.0", "description": "d", "type": kind,
            "risk_level": if kind == "core" { "high" } else { "low" },
            "steps": steps, "checks": checks })
}

fn snapshot(name: &str, from: &str, to: &str) -> Value {
    json!({ "name": name, "do": { "snapshot": { "from": from, "to": to } } })
}

/// A core viScript whose first step works and whose second one can't.
fn failing() -> Value {
    let steps = json!([
        snapshot("first", "/", "{staging}/@extra"),
        snapshot("second", "/nowhere", "{staging}/@other"),
    ]);
    viscript("core", steps, json!([]))
}

fn failing_check(kind: &str) -> Value {
    let check = json!({ "name": "memory", "check": { "memory": { "minimum": "9000TB" } } });
    viscript(kind, json!([]), json!([check]))
}

/// A disk with the sample system, and this batch with these viScripts beside it.
fn disk_with(batch: &Value, scripts: &[(&str, Value)]) -> Disk {
    let mut disk = Disk::with_system();
    let folder = disk.folder.join("own");
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(repository().join("viscripts")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    for (name, script) in scripts {
        fs::write(folder.join(name), script.to_string()).unwrap();
    }
    let file = folder.join("batch.json");
    fs::write(&file, batch.to_string()).unwrap();
    disk.batch = Some(file);
    disk
}

fn insert_phase(batch: &mut Value, index: usize, phase: Value) {
    batch["phases"].as_array_mut().unwrap().insert(index, phase);
}

fn position(batch: &Value, name: &str) -> usize {
    let phases = batch["phases"].as_array().unwrap();
    phases
        .iter()
        .position(|phase| phase["name"] == name)
        .unwrap()
}

/// How a run ends in which a step of this phase fails.
fn with_failing_step(handling: &str, required: bool, critical: bool) -> Disk {
    let mut batch = batch();
    batch["failure_handling"] = handling.into();
    let mut extra = phase("extra", &["failing.json"]);
    extra["required"] = required.into();
    extra["critical"] = critical.into();
    let index = position(&batch, "pre_reboot_validation");
    insert_phase(&mut batch, index, extra);
    let disk = disk_with(&batch, &[("failing.json", failing())]);
    disk.arm(After::Reboot);
    disk
}

#[test]
fn a_failed_step_that_the_run_can_do_without_is_taken_back_and_noted() {
    for (handling, critical) in [("stop_on_critical", false), ("continue", true)] {
        let disk = with_failing_step(handling, false, critical);
        let old = disk.old_manifest();
        assert_eq!(disk.boot(), WOULD_REBOOT, "{handling}");
        assert_eq!(disk.stage(), Stage::Committed, "{handling}");
        assert_eq!(disk.state().tolerated, ["failing.json/second"]);
        assert!(!disk.state().done.contains(&"failing.json/first".to_owned()));
        disk.mounted(|top| assert!(!top.join(".rootshift/new/@extra").exists()));
        assert_same(&old, &disk.new_manifest());
    }
}

#[test]
fn a_failed_step_elsewhere_ends_the_run_and_takes_it_back() {
    for (handling, required, critical) in [
        ("stop_on_critical", false, true),
        ("stop_on_critical", true, false),
        ("continue", true, false),
        ("rollback", false, false),
    ] {
        let disk = with_failing_step(handling, required, critical);
        let old = disk.old_manifest();
        assert_eq!(disk.boot(), 0, "{handling}");
        assert_eq!(disk.stage(), Stage::Failed, "{handling}");
        let reason = disk.state().reason.unwrap();
        assert!(reason.contains("step failing.json/second"), "{reason}");
        assert!(disk.state().done.is_empty(), "{handling}");
        disk.mounted(|top| assert!(!top.join("@").exists()));
        assert_same(&old, &disk.old_manifest());
    }
}

#[test]
fn what_requires_a_viscript_that_failed_is_left_out() {
    let mut batch = batch();
    batch["failure_handling"] = "stop_on_critical".into();
    let index = position(&batch, "pre_reboot_validation");
    insert_phase(
        &mut batch,
        index,
        phase("extra", &["failing.json", "dependant.json"]),
    );
    let steps = json!([snapshot("third", "/", "{staging}/@third")]);
    let mut dependant = viscript("core", steps, json!([]));
    dependant["prerequisites"] = json!({ "required_viScripts": ["failing.json"] });
    let disk = disk_with(
        &batch,
        &[("failing.json", failing()), ("dependant.json", dependant)],
    );
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    let begun =
        |record: &Record| matches!(record, Record::Begun { step } if step.contains("third"));
    assert!(!disk.records().iter().any(begun));
}

#[test]
fn failed_checks_end_the_run_as_the_batch_says() {
    for (handling, required, critical, ends) in [
        ("stop_on_critical", true, true, true),
        ("stop_on_critical", true, false, false),
        ("continue", true, true, false),
        ("rollback", true, false, true),
        ("rollback", false, true, false),
    ] {
        let mut batch = batch();
        batch["failure_handling"] = handling.into();
        let mut extra = phase("extra", &["checks.json"]);
        extra["required"] = required.into();
        extra["critical"] = critical.into();
        let index = position(&batch, "core_installation") + 1;
        insert_phase(&mut batch, index, extra);
        let disk = disk_with(&batch, &[("checks.json", failing_check("validation"))]);
        disk.arm(After::Reboot);
        let wanted = if ends {
            Stage::Failed
        } else {
            Stage::Committed
        };
        disk.boot();
        assert_eq!(disk.stage(), wanted, "{handling} {required} {critical}");
    }
}

#[test]
fn without_rollback_the_prepared_work_stays() {
    let mut batch = batch();
    batch["rollback_enabled"] = false.into();
    batch["failure_handling"] = "stop_on_critical".into();
    let index = position(&batch, "pre_reboot_validation");
    let mut extra = phase("extra", &["checks.json"]);
    extra["critical"] = true.into();
    insert_phase(&mut batch, index, extra);
    let disk = disk_with(&batch, &[("checks.json", failing_check("validation"))]);
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.stage(), Stage::Failed);
    assert!(!disk.state().done.is_empty());
    disk.mounted(|top| assert!(top.join("@").exists() || top.join(".rootshift/new/@").exists()));
}

#[test]
fn a_recovery_step_clears_what_stands_in_the_way() {
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    disk.mounted(|top| {
        fs::create_dir_all(top.join(".rootshift/new/@")).unwrap();
        fs::write(top.join(".rootshift/new/@/foreign"), "kept").unwrap();
    });
    assert_eq!(disk.boot(), WOULD_REBOOT);
    disk.mounted(|top| {
        let aside = top.join(".rootshift/aside.1/foreign");
        assert_eq!(fs::read_to_string(aside).unwrap(), "kept");
    });
}

#[test]
fn a_failure_of_step_and_recovery_keeps_both_errors() {
    let mut batch = batch();
    let index = position(&batch, "pre_reboot_validation");
    let mut extra = phase("extra", &["failing.json"]);
    extra["required"] = true.into();
    insert_phase(&mut batch, index, extra);
    let mut script = failing();
    script["steps"][1]["on_failure"] = json!([
        { "snapshot": { "from": "/lost", "to": "{staging}/@extra2" } }
    ]);
    let disk = disk_with(&batch, &[("failing.json", script)]);
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), 0);
    let reason = disk.state().reason.unwrap();
    assert!(reason.contains("nowhere"), "{reason}");
    let recovery = reason.split_once("recovery failed: ").unwrap().1;
    assert!(recovery.contains("lost"), "{reason}");
}

/// viScripts side by side migrate as one after the other do, and are told in the batch's order.
#[test]
fn a_parallel_phase_ends_as_a_sequential_one() {
    for key in ["phase", "mode"] {
        let mut batch = batch();
        let core = position(&batch, "core_installation");
        if key == "phase" {
            batch["phases"][core]["parallel_execution"] = true.into();
        } else {
            batch["execution_mode"] = "parallel".into();
        }
        let scripts = batch["phases"][core]["viScripts"].as_array_mut().unwrap();
        scripts.push("checks_a.json".into());
        scripts.push("checks_b.json".into());
        let check = json!({ "name": "m", "check": { "memory": { "minimum": "1MB" } } });
        let checks = viscript("validation", json!([]), json!([check]));
        let beside = [("checks_a.json", checks.clone()), ("checks_b.json", checks)];
        let disk = disk_with(&batch, &beside);
        let old = disk.old_manifest();
        let plan = disk.arm(After::Reboot);
        assert_eq!(plan.phases[core].at_once, 4, "{key}");
        assert_eq!(disk.boot(), WOULD_REBOOT, "{key}");
        assert_same(&old, &disk.new_manifest());
        let checked = disk
            .records()
            .into_iter()
            .filter_map(|record| match record {
                Record::Checked { script, .. } if script.starts_with("checks_") => Some(script),
                _ => None,
            });
        assert_eq!(
            checked.collect::<Vec<_>>(),
            ["checks_a.json", "checks_b.json"],
            "{key}"
        );
    }
}

#[test]
fn a_key_at_an_interactive_checkpoint_stops_and_silence_goes_on() {
    let mut batch = batch();
    batch["interactive_checkpoints"] = true.into();
    batch["checkpoint_seconds"] = 2.into();
    let mut disk = disk_with(&batch, &[]);
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    let console = disk.folder.join("console");
    run("mkfifo", &[console.to_str().unwrap()]);
    disk.console = Some(console.clone());
    let typist = std::thread::spawn(move || {
        // Opening waits for the program to open the console; it asks right after.
        let mut console = fs::File::options().write(true).open(console).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(500));
        console.write_all(b"\n").unwrap();
    });
    assert_eq!(disk.boot(), 0);
    typist.join().unwrap();
    assert_eq!(disk.stage(), Stage::Preparing);
    let reason = disk.state().reason.unwrap();
    assert!(
        reason.contains("stopped at the checkpoint core_installation"),
        "{reason}"
    );
    assert_same(&old, &disk.old_manifest());
    assert_eq!(disk.boot(), WOULD_REBOOT, "nobody is there: it goes on");
    assert_same(&old, &disk.new_manifest());
}

/// A batch whose core is two phases with checkpoints.
fn with_two_checkpoints() -> Value {
    let mut batch = batch();
    batch["rollback_enabled"] = false.into();
    let core = position(&batch, "core_installation");
    let scripts = batch["phases"][core]["viScripts"].as_array_mut().unwrap();
    let first: Vec<Value> = scripts.drain(..1).collect();
    let mut preparation = batch["phases"][core].clone();
    preparation["name"] = "preparation".into();
    preparation["viScripts"] = first.into();
    insert_phase(&mut batch, core, preparation);
    batch
}

#[test]
fn a_rollback_to_a_checkpoint_takes_back_what_came_after_it() {
    let disk = disk_with(&with_two_checkpoints(), &[]);
    disk.arm(After::Reboot);
    disk.mounted(common::make_the_proof_fail);
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.stage(), Stage::Failed);
    assert_eq!(
        disk.state().checkpoints,
        ["preparation", "core_installation"]
    );

    let unknown = disk.run_inside("rollback --to nowhere --yes");
    assert_eq!(unknown.code, 4, "{unknown:?}");
    assert!(
        unknown
            .stderr
            .contains("there are preparation, core_installation"),
        "{unknown:?}"
    );

    let ran = disk.run_inside("rollback --to preparation --yes");
    assert_eq!(ran.code, 0, "{ran:?}");
    let state = disk.state();
    assert_eq!(
        (state.stage, &state.checkpoints[..]),
        (Stage::Armed, &["preparation".to_owned()][..])
    );
    assert!(
        state.done.is_empty(),
        "what is split can't be made whole: {:?}",
        state.done
    );
    disk.mounted(|top| {
        assert!(!top.join(".rootshift/new/@home").exists());
        let kernel = top.join("boot/vmlinuz-6.1.0-1-amd64");
        fs::copy(top.join("boot/initrd.img-6.1.0-1-amd64"), kernel).unwrap();
    });
    assert_eq!(disk.boot(), WOULD_REBOOT, "mended, it goes on from there");
}

/// What was done in a subvolume of its own stays when later work elsewhere is taken back.
#[test]
fn a_rollback_to_a_checkpoint_keeps_what_does_not_depend_on_it() {
    let mut batch = with_two_checkpoints();
    let index = position(&batch, "preparation");
    let mut extra = phase("extra", &["extra.json"]);
    extra["checkpoint_after"] = true.into();
    insert_phase(&mut batch, index, extra);
    let steps = json!([snapshot("aside", "/", "{staging}/@extra")]);
    let disk = disk_with(
        &batch,
        &[("extra.json", viscript("core", steps, json!([])))],
    );
    disk.arm(After::Reboot);
    disk.mounted(common::make_the_proof_fail);
    assert_eq!(disk.boot(), 0);
    let ran = disk.run_inside("rollback --to extra --yes");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(disk.state().done, ["extra.json/aside"]);
    disk.mounted(|top| {
        assert!(top.join(".rootshift/new/@extra/etc/fstab").exists());
        assert!(!top.join(".rootshift/new/@").exists());
    });
}

/// A failed step that worked in another viScript's subvolume can't be taken back alone.
#[test]
fn what_cannot_be_taken_back_alone_is_not_done_without() {
    let mut script = failing();
    script["steps"][0] = json!({ "name": "first", "do": {
        "write-fstab": { "subvolume": "{staging}/@" } } });
    let mut batch = batch();
    batch["failure_handling"] = "continue".into();
    let core = position(&batch, "core_installation");
    let scripts = batch["phases"][core]["viScripts"].as_array_mut().unwrap();
    let rest: Vec<Value> = scripts.drain(2..).collect();
    insert_phase(&mut batch, core + 1, phase("extra", &["failing.json"]));
    let mut after = batch["phases"][core].clone();
    after["name"] = "rest".into();
    after["viScripts"] = rest.into();
    insert_phase(&mut batch, core + 2, after);
    let disk = disk_with(&batch, &[("failing.json", script)]);
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.stage(), Stage::Failed);
    assert_same(&old, &disk.old_manifest());
}

#[test]
fn a_rollback_to_a_checkpoint_before_the_commit_is_the_whole_old_system() {
    let disk = disk_with(&with_two_checkpoints(), &[]);
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    let ran = disk.run_in_new_system("rollback --to preparation --yes");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(disk.stage(), Stage::RollbackRequested);
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.stage(), Stage::RolledBack);
    assert_same(&old, &disk.old_manifest());
}

#[test]
fn phases_run_by_hand_where_they_belong() {
    let disk = disk_with(
        &batch(),
        &[("checks.json", failing_check("post-installation"))],
    );
    for (arguments, code, said) in [
        (
            "run --batch /run/batch.json --phase pre_installation_validation",
            0,
            "All is well.",
        ),
        (
            "run --batch /run/batch.json --phase partition_validation",
            0,
            "btrfs",
        ),
        (
            "run --batch /run/batch.json --phase core_installation",
            4,
            "a reboot carry it out",
        ),
        (
            "run --batch /run/batch.json --phase nowhere",
            2,
            "there are pre_installation_validation",
        ),
        ("run", 2, "give --batch"),
        ("run --viscript /run/checks.json", 1, "FAIL memory"),
        (
            "run --viscript /run/system_validation_viScript.json --json",
            0,
            "\"good\": true",
        ),
    ] {
        let ran = disk.run_inside(arguments);
        assert_eq!(ran.code, code, "{arguments}: {ran:?}");
        let all = format!("{}{}", ran.stdout, ran.stderr);
        assert!(all.contains(said), "{arguments}: {ran:?}");
    }
}
