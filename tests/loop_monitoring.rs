//! What a batch says about monitoring, and what is told then: at the boot, by `report`, by
//! `finalize`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use common::{Disk, Kind, Ran, WOULD_REBOOT};
use rootshift::documents::plan::After;
use rootshift::engine::finalize;
use rootshift::engine::home::Migration;
use rootshift::journal::Record;
use rootshift::report::progress::{Moment, Part, Progress, Sink};
use rootshift::sys::Root;
use serde_json::{Value, json};

/// Stands in for /run and /dev/kmsg, runs a command, and keeps what it said there.
const LISTEN: &str = r#"
    set -e
    mount -t tmpfs run /run
    mkdir /run/initramfs
    mkfifo /run/kmsg
    exec 3<>/run/kmsg
    cat <&3 >"$FOLDER/kernel.log" &
    mount --bind /run/kmsg /dev/kmsg
    code=0
    "$@" || code=$?
    echo '<4>all is said' >&3
    until grep -q 'all is said' "$FOLDER/kernel.log"; do sleep 0.02; done
    kill $!
    cp /run/initramfs/rootshift.log "$FOLDER/file.log"
    exit $code
"#;

/// A pass through the initramfs, and what it said.
struct Boot {
    code: i32,
    kernel: Vec<String>,
    file: Vec<String>,
}

fn boot(disk: &Disk) -> Boot {
    let command = disk.boot_command(env!("CARGO_BIN_EXE_rootshift"));
    // Where a boot keeps its log when nobody says so is part of the test.
    let mut arguments: Vec<_> = command.get_args().collect();
    let log = arguments.iter().position(|argument| *argument == "--log");
    arguments.drain(log.unwrap()..log.unwrap() + 2);
    let output = Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            LISTEN,
            "sh",
        ])
        .arg(command.get_program())
        .args(arguments)
        .env("ROOTFLAGS", "")
        .env("FOLDER", &disk.folder)
        .output()
        .unwrap();
    let lines = |name: &str, separator: &str| {
        let text = fs::read_to_string(disk.folder.join(name)).unwrap();
        let lines = text.split(separator).map(str::trim);
        // The file marks what went wrong.
        let lines = lines.map(|line| line.replace("rootshift! ", "rootshift: "));
        let lines = lines.filter(|line| !line.is_empty() && line != "all is said");
        lines.collect::<Vec<_>>()
    };
    Boot {
        code: output.status.code().unwrap(),
        kernel: lines("kernel.log", "<4>"),
        file: lines("file.log", "\n"),
    }
}

/// A sample system, armed with the shipped batch and these additions to its monitoring.
fn armed(monitoring: &Value) -> Disk {
    armed_of(Kind::Flat, monitoring)
}

fn armed_of(kind: Kind, monitoring: &Value) -> Disk {
    let mut disk = Disk::with_system_of(kind);
    let shipped = common::repository().join("batches/flat-to-subvolumes.json");
    let mut batch: Value = serde_json::from_str(&fs::read_to_string(shipped).unwrap()).unwrap();
    let mut all = json!({ "log_level": "normal", "progress_tracking": true,
                          "performance_monitoring": true, "error_reporting": true });
    for (key, value) in monitoring.as_object().unwrap() {
        all[key] = value.clone();
    }
    batch["monitoring"] = all;
    let file = disk.documents().join("batches/monitored.json");
    fs::write(&file, batch.to_string()).unwrap();
    disk.batch = Some(file);
    disk.arm(After::Reboot);
    disk
}

fn is_step(line: &str) -> bool {
    let number = line.strip_prefix("rootshift: [");
    number.is_some_and(|rest| rest.trim_start().starts_with(|c: char| c.is_ascii_digit()))
}

fn steps(lines: &[String]) -> usize {
    lines.iter().filter(|line| is_step(line)).count()
}

fn debug(lines: &[String]) -> usize {
    let is_debug = |line: &&String| line.contains("journal: ") || line.contains(": check ");
    lines.iter().filter(is_debug).count()
}

fn report(disk: &Disk) -> Value {
    let ran = disk.run_inside("report --json");
    assert_eq!(ran.code, 0, "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn a_normal_boot_tells_its_steps_and_a_verbose_one_its_journal_and_checks_as_well() {
    let disk = armed(&json!({}));
    let normal = boot(&disk);
    assert_eq!(normal.code, WOULD_REBOOT, "{:#?}", normal.kernel);
    let done = disk.state().done.len();
    assert!(done > 10, "{done}");
    assert_eq!(steps(&normal.kernel), done, "{:#?}", normal.kernel);
    assert_eq!(debug(&normal.kernel), 0, "{:#?}", normal.kernel);
    assert_eq!(normal.kernel, normal.file);
    assert!(normal.kernel[0].starts_with(&format!("rootshift: [ 1/{done}] ")));

    let verbose = boot(&armed(&json!({ "log_level": "verbose" })));
    assert_eq!(steps(&verbose.kernel), done, "{:#?}", verbose.kernel);
    // Begun and done of each step at the least, and the three checks of the proof.
    assert!(
        debug(&verbose.kernel) > 2 * done + 3,
        "{:#?}",
        verbose.kernel
    );
    assert_eq!(verbose.kernel, verbose.file);
}

#[test]
fn a_quiet_boot_says_nothing_but_errors() {
    let quiet = boot(&armed(&json!({ "log_level": "quiet" })));
    assert_eq!(quiet.code, WOULD_REBOOT);
    assert!(quiet.kernel.is_empty(), "{:#?}", quiet.kernel);
    assert!(quiet.file.is_empty(), "{:#?}", quiet.file);

    let disk = armed(&json!({ "log_level": "quiet" }));
    disk.mounted(common::make_the_proof_fail);
    let failed = boot(&disk);
    assert_eq!(failed.code, 0);
    assert_eq!(steps(&failed.kernel), 0, "{:#?}", failed.kernel);
    let is_named = |line: &String| line.contains("vmlinuz-6.1.0-1-amd64");
    assert!(failed.kernel.iter().any(is_named), "{:#?}", failed.kernel);
    assert_eq!(failed.kernel, failed.file);
}

#[test]
fn without_progress_tracking_there_are_no_lines_for_steps_but_errors() {
    let without = boot(&armed(&json!({ "progress_tracking": false })));
    assert_eq!(without.code, WOULD_REBOOT);
    assert_eq!(steps(&without.kernel), 0, "{:#?}", without.kernel);
    let took = |line: &String| line.contains("pre-boot work took");
    assert!(without.kernel.iter().any(took), "{:#?}", without.kernel);

    let disk = armed(&json!({ "progress_tracking": false }));
    disk.mounted(common::make_the_proof_fail);
    let failed = boot(&disk);
    assert_eq!(steps(&failed.kernel), 0, "{:#?}", failed.kernel);
    let is_named = |line: &String| line.contains("vmlinuz-6.1.0-1-amd64");
    assert!(failed.kernel.iter().any(is_named), "{:#?}", failed.kernel);
}

#[test]
fn performance_monitoring_decides_whether_the_report_says_what_it_cost() {
    let disk = armed(&json!({}));
    assert_eq!(boot(&disk).code, WOULD_REBOOT);
    let with = report(&disk);
    let core = &with["execution_log"]["phases"][1];
    let cost = &core["performance"];
    assert!(cost["milliseconds"].as_u64().unwrap() > 0, "{cost}");
    assert!(cost["cpu_milliseconds"].as_u64().unwrap() > 0, "{cost}");
    assert!(
        cost["peak_memory_bytes"].as_u64().unwrap() > 1 << 18,
        "{cost}"
    );
    assert_eq!(with["totals"]["attempts"], 1);
    let table = disk.run_inside("report");
    assert!(table.stdout.contains(" of processor time"), "{table:?}");
    assert_narrow(&table);

    let disk = armed(&json!({ "performance_monitoring": false }));
    assert_eq!(boot(&disk).code, WOULD_REBOOT);
    let without = report(&disk);
    assert!(!without.to_string().contains("performance"), "{without}");
    assert_eq!(without["execution_log"]["phases"][1]["status"], "completed");
    let table = disk.run_inside("report");
    assert!(!table.stdout.contains("processor"), "{table:?}");
    assert_narrow(&table);
}

fn assert_narrow(ran: &Ran) {
    assert!(ran.stdout.lines().count() > 10, "{ran:?}");
    for line in ran.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn error_reporting_decides_whether_the_report_lists_errors() {
    for wanted in [true, false] {
        let disk = armed(&json!({ "error_reporting": wanted }));
        disk.mounted(common::make_the_proof_fail);
        boot(&disk);
        let report = report(&disk);
        assert_eq!(report["state"]["stage"], "failed", "{report}");
        let table = disk.run_inside("report").stdout;
        assert_eq!(table.contains("error in record"), wanted, "{table}");
        if !wanted {
            assert_eq!(report.get("errors"), None);
            continue;
        }
        let errors = report["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{errors:?}");
        let message = errors[0]["message"].as_str().unwrap();
        assert!(message.contains("vmlinuz-6.1.0-1-amd64"), "{message}");
        let sequence = errors[0]["sequence"].as_u64().unwrap();
        let log = disk.run_inside("log --json");
        let log: Value = serde_json::from_str(&log.stdout).unwrap();
        let named = log
            .as_array()
            .unwrap()
            .iter()
            .find(|record| record["sequence"] == sequence);
        assert_eq!(named.unwrap()["record"], "failed");
    }
}

#[test]
fn the_log_shows_what_each_step_cost_when_asked() {
    let disk = armed(&json!({}));
    boot(&disk);
    let done = disk.state().done.len();
    let costs = |arguments: &str| {
        let ran = disk.run_inside(arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stdout.matches("of processor time").count()
    };
    assert_eq!(costs("log"), 0);
    assert!(costs("--verbose log") > done);
    let log: Value = serde_json::from_str(&disk.run_inside("log --json").stdout).unwrap();
    let records = log.as_array().unwrap().iter();
    let with_usage = records.filter(|record| record["usage"]["cpu_microseconds"].is_u64());
    assert!(with_usage.count() > done);
}

/// Keeps what it is shown.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Shown>>>);

/// A step, and how much of it was done.
type Shown = (String, Option<Part>);

impl Sink for Kept {
    fn interval(&self) -> u64 {
        0
    }

    fn show(&mut self, moment: &Moment) {
        let shown = (moment.step.to_owned(), moment.part);
        self.0.lock().unwrap().push(shown);
    }
}

#[test]
fn finalize_knows_beforehand_how_much_it_deletes() {
    for kind in [Kind::Flat, Kind::Rootfs] {
        let disk = armed_of(kind, &json!({}));
        boot(&disk);
        let kept = Kept::default();
        let sinks: Vec<Box<dyn Sink>> = vec![Box::new(kept.clone())];
        disk.record([common::validated()]);
        disk.rehearse();
        disk.record([Record::Disarmed]);
        let entries = disk.mounted(|top| {
            let top = Root::open(top).unwrap();
            let mut migration = Migration::open(&top).unwrap().unwrap();
            let mut progress = Progress::new(finalize::weights(), sinks);
            let new = top.within(Path::new("@")).unwrap();
            finalize::finalize(&new, &top, &mut migration, &mut progress).unwrap()
        });
        assert!(entries > 20, "{kind:?}: {entries}");
        let shown = kept.0.lock().unwrap();
        assert_eq!(shown.first().unwrap().0, "counting the old system's files");
        let (step, part) = shown.last().unwrap();
        assert_eq!(step, "deleting the old system");
        let part = part.unwrap();
        assert_eq!((part.done, part.of), (entries, Some(entries)), "{kind:?}");
    }
}
