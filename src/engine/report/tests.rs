use serde_json::{Value, json};

use super::form::Report;
use super::{report, start_time, table};
use crate::documents::{self, Plan};
use crate::engine::State;
use crate::journal::{Entry, Record, record};

/// A plan of three phases: at arm, in the initramfs with two steps, after the boot.
fn plan(monitoring: &Value) -> Plan {
    let checks = json!([{ "name": "c", "check": { "root-flags": {} }, "required": true }]);
    let step = |id: &str| {
        let action = json!({ "snapshot": { "from": "/", "to": ".rootshift/new/@" } });
        json!({ "id": id, "do": action, "retries": 0 })
    };
    let script = |name: &str, steps: Value, requires: &[&str]| {
        json!({ "name": name, "risk_level": "low", "steps": steps, "requires": requires,
                "checks": checks })
    };
    let phase = |name: &str, stage: &str, scripts: Value| {
        json!({ "name": name, "stage": stage, "required": true, "critical": true,
                "checkpoint_after": true, "at_once": 1, "viScripts": scripts })
    };
    let mut plan = json!({
        "plan_version": 1, "batch_id": "b_20231218_143022",
        "failure_handling": "stop_on_critical", "rollback_enabled": true,
        "after": "reboot", "trial_boots": 3, "attempts": 5,
        "filesystem": { "uuid": "u", "aliases": [] },
        "layout": serde_json::to_value(documents::Layout::default()).unwrap(),
        "old_system": { "entries": [], "nested": [] }, "fingerprints": [],
        "phases": [
            phase("before", "arm", json!([script("v1_viScript.json", json!([]), &[])])),
            phase("core", "initramfs", json!([
                script("v2_viScript.json", json!([step("v2/a"), step("v2/b")]), &[]),
                script("v3_viScript.json", json!([]), &["v2_viScript.json"]),
            ])),
            phase("after", "after-boot", json!([script("v4_viScript.json", json!([]), &[])])),
        ],
    });
    if !monitoring.is_null() {
        plan["monitoring"] = monitoring.clone();
    }
    Plan::parse("plan.json", &serde_json::to_vec(&plan).unwrap()).unwrap()
}

fn usage(number: u64) -> Option<record::Usage> {
    Some(record::Usage {
        cpu_microseconds: number * 1000,
        peak_memory_bytes: number << 20,
        bytes_read: number << 10,
        bytes_written: number << 11,
    })
}

fn checked(script: &str, passed: u32, failed: u32, cost: u64) -> Record {
    Record::Checked {
        script: script.into(),
        passed,
        failed,
        skipped: 1,
        milliseconds: cost,
        usage: usage(cost),
    }
}

fn done(step: &str, cost: u64) -> Record {
    Record::Done {
        step: step.into(),
        milliseconds: cost,
        found_done: false,
        usage: usage(cost),
        left: None,
    }
}

/// Armed, cut off once, migrated, validated.
fn whole_run() -> Vec<Record> {
    vec![
        checked("v1_viScript.json", 4, 0, 100),
        Record::Attempt { number: 1 },
        done("v2/a", 1_000),
        Record::Attempt { number: 2 },
        done("v2/b", 2_000),
        checked("v2_viScript.json", 3, 0, 10),
        checked("v3_viScript.json", 1, 0, 5),
        Record::Committed,
        Record::Trial { number: 1 },
        checked("v4_viScript.json", 2, 0, 40),
        Record::Validated {
            passed: 2,
            failed: 0,
            at: Some(1_702_910_000),
            loader_named_root: None,
        },
    ]
}

fn made_of(records: Vec<Record>, monitoring: &Value) -> Report {
    let started = Record::Started {
        batch_id: "b_20231218_143022".into(),
        plan: "p".into(),
        program: "0".into(),
    };
    let records: Vec<Record> = std::iter::once(started).chain(records).collect();
    let state = State::after(&records).unwrap();
    let entry = |(record, sequence)| Entry {
        sequence,
        tag: 0,
        record,
    };
    let entries: Vec<Entry> = records.into_iter().zip(1..).map(entry).collect();
    report(&plan(monitoring), &state, &entries)
}

fn as_json(report: &Report) -> Value {
    serde_json::to_value(report).unwrap()
}

fn monitoring(performance: bool, errors: bool) -> Value {
    json!({ "log_level": "normal", "progress_tracking": true,
            "performance_monitoring": performance, "error_reporting": errors })
}

#[test]
fn the_start_is_read_from_the_batch_id() {
    assert_eq!(
        start_time("ubuntu_24_btrfs_20231218_143022"),
        "2023-12-18T14:30:22Z"
    );
}

#[test]
fn the_seeds_form_is_kept_to_the_letter() {
    let report = as_json(&made_of(whole_run(), &Value::Null));
    let log = &report["execution_log"];
    assert_eq!(log["batch_id"], "b_20231218_143022");
    assert_eq!(log["start_time"], "2023-12-18T14:30:22Z");
    let phase = &log["phases"][0];
    assert_eq!(
        (&phase["name"], &phase["status"], &phase["duration"]),
        (&json!("before"), &json!("completed"), &json!("0s"))
    );
    let script = &phase["viScripts"][0];
    assert_eq!(
        (&script["name"], &script["status"]),
        (&json!("v1_viScript.json"), &json!("success"))
    );
    assert_eq!(
        (&script["checks_passed"], &script["checks_failed"]),
        (&json!(4), &json!(0))
    );
}

#[test]
fn costs_add_up_from_viscript_to_phase_to_run() {
    let report = as_json(&made_of(whole_run(), &monitoring(true, true)));
    let core = &report["execution_log"]["phases"][1];
    let cost = |milliseconds: u64, peak: u64| {
        json!({ "milliseconds": milliseconds, "cpu_milliseconds": milliseconds,
                "peak_memory_bytes": peak << 20, "bytes_read": milliseconds << 10,
                "bytes_written": milliseconds << 11 })
    };
    assert_eq!(core["viScripts"][0]["performance"], cost(3_010, 2_000));
    assert_eq!(core["viScripts"][1]["performance"], cost(5, 5));
    assert_eq!(core["performance"], cost(3_015, 2_000));
    assert_eq!(core["duration"], "3s");
    let totals = &report["totals"];
    assert_eq!(totals["performance"], cost(3_155, 2_000));
    assert_eq!(totals["pre_boot_milliseconds"], 3_015);
    assert_eq!(
        (&totals["attempts"], &totals["trials"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(totals["success_rate"], 100);
    assert_eq!(
        (&totals["checks_passed"], &totals["checks_skipped"]),
        (&json!(10), &json!(4))
    );
    let log = &report["execution_log"];
    assert_eq!(
        (&log["duration"], &log["ended"]),
        (&json!("3s"), &json!(true))
    );
    assert_eq!(log["end_time"], "2023-12-18T14:33:20Z");
}

#[test]
fn performance_and_errors_are_left_out_when_the_batch_says_so() {
    let keys = |report: &Value, name: &str| report.to_string().matches(name).count();
    let loud = as_json(&made_of(whole_run(), &Value::Null));
    // Three phases, four viScripts, the totals.
    assert_eq!(keys(&loud, "\"performance\""), 8);
    assert!(loud.get("errors").is_some());
    let no_performance = as_json(&made_of(whole_run(), &monitoring(false, true)));
    for name in ["performance", "milliseconds", "bytes"] {
        assert_eq!(keys(&no_performance, name), 0, "{name}");
    }
    assert_eq!(
        no_performance["execution_log"]["phases"][1]["duration"],
        "3s"
    );
    assert!(no_performance.get("errors").is_some());
    let no_errors = as_json(&made_of(whole_run(), &monitoring(true, false)));
    assert_eq!(no_errors.get("errors"), None);
    assert_eq!(keys(&no_errors, "\"performance\""), 8);
}

#[test]
fn what_went_wrong_is_listed_with_its_place_in_the_journal() {
    let records = vec![
        Record::Attempt { number: 1 },
        done("v2/a", 1),
        Record::Failed {
            step: "v2/b".into(),
            error: "no room".into(),
        },
        Record::Refused {
            reason: "stale".into(),
        },
        Record::NotValidated {
            problems: vec!["one".into(), "two".into()],
        },
    ];
    let report = as_json(&made_of(records, &Value::Null));
    let error = |sequence: u64, step: &str, message: &str| json!({ "sequence": sequence, "step": step, "message": message });
    assert_eq!(
        report["errors"],
        json!([
            error(4, "v2/b", "no room"),
            error(5, "boot", "stale"),
            error(6, "validation", "one"),
            error(6, "validation", "two"),
        ])
    );
    let core = &report["execution_log"]["phases"][1];
    assert_eq!(
        (&core["status"], &core["success_rate"]),
        (&json!("failed"), &json!(0))
    );
    let script = &core["viScripts"][0];
    assert_eq!(
        (&script["status"], &script["success_rate"]),
        (&json!("failed"), &json!(50))
    );
    assert_eq!(report["execution_log"].get("end_time"), None);
    assert_eq!(report["execution_log"]["ended"], true);
}

#[test]
fn nothing_done_is_nothing_succeeded() {
    let report = as_json(&made_of(vec![], &Value::Null));
    for phase in report["execution_log"]["phases"].as_array().unwrap() {
        assert_eq!(
            (&phase["status"], &phase["success_rate"]),
            (&json!("pending"), &json!(0))
        );
        for script in phase["viScripts"].as_array().unwrap() {
            assert_eq!(script["success_rate"], 0);
        }
    }
    assert_eq!(report["totals"]["success_rate"], 0);
    assert_eq!(report["execution_log"]["ended"], false);
}

#[test]
fn what_was_not_looked_at_is_skipped_and_neither_good_nor_bad() {
    let mut records = whole_run();
    records.retain(|record| !matches!(record, Record::Checked { script, .. } if script.starts_with("v3") || script.starts_with("v4")));
    records.push(checked("v3_viScript.json", 0, 0, 1));
    records.push(checked("v4_viScript.json", 0, 0, 1));
    let report = as_json(&made_of(records, &Value::Null));
    let phases = &report["execution_log"]["phases"];
    assert_eq!(phases[1]["viScripts"][1]["status"], "skipped");
    assert_eq!(
        (&phases[1]["status"], &phases[1]["success_rate"]),
        (&json!("completed"), &json!(100))
    );
    assert_eq!(phases[2]["status"], "skipped");
    assert_eq!(report["totals"]["success_rate"], 100);
}

#[test]
fn a_viscript_that_the_run_did_without_has_failed_and_is_named() {
    let records = vec![
        Record::Attempt { number: 1 },
        Record::Tolerated {
            step: "v2/a".into(),
            error: "no room".into(),
        },
    ];
    let report = as_json(&made_of(records, &Value::Null));
    let core = &report["execution_log"]["phases"][1];
    assert_eq!(core["viScripts"][0]["status"], "failed");
    // It requires the one that failed.
    assert_eq!(core["viScripts"][1]["status"], "skipped");
    assert_eq!(report["errors"][0]["step"], "v2/a");
    assert_eq!(report["execution_log"]["ended"], false);
}

#[test]
fn after_a_return_to_a_checkpoint_a_failure_is_history() {
    let failed = Record::Failed {
        step: "v2/b".into(),
        error: "no room".into(),
    };
    let back = Record::ReturnedTo {
        phase: "before".into(),
    };
    let mut records = vec![Record::Attempt { number: 1 }, failed, back];
    records.extend(whole_run());
    let report = as_json(&made_of(records, &Value::Null));
    let core = &report["execution_log"]["phases"][1];
    assert_eq!(core["status"], "completed");
    assert_eq!(report["errors"].as_array().unwrap().len(), 1);
}

#[test]
fn failed_checks_count_against_a_viscript() {
    let records = vec![checked("v1_viScript.json", 3, 1, 1)];
    let report = as_json(&made_of(records, &Value::Null));
    let script = &report["execution_log"]["phases"][0]["viScripts"][0];
    assert_eq!(
        (&script["status"], &script["success_rate"]),
        (&json!("failed"), &json!(75))
    );
}

#[test]
fn the_table_shows_each_line_in_its_columns() {
    let lines = table::lines(&made_of(whole_run(), &Value::Null));
    assert_eq!(
        lines,
        [
            "b_20231218_143022",
            "from 2023-12-18T14:30:22Z to 2023-12-18T14:33:20Z, now validated",
            "",
            "phase and viScript                  result    steps checks       time        cpu",
            "before                              completed     -    4/4    0.100 s    0.100 s",
            "  v1                                success       -    4/4    0.100 s    0.100 s",
            "core                                completed   2/2    4/4      3.0 s      3.0 s",
            "  v2                                success     2/2    3/3      3.0 s      3.0 s",
            "  v3                                success       -    1/1    0.005 s    0.005 s",
            "after                               completed     -    2/2    0.040 s    0.040 s",
            "  v4                                success       -    2/2    0.040 s    0.040 s",
            "",
            "checks: 10 passed, 0 failed, 4 skipped; 100 % of the viScripts succeeded",
            "boots: 2 attempts, 1 trial; 3.0 s of work before root was mounted",
            "cost: 3.1 s of work, 3.1 s of processor time, memory up to 1.9 GiB,",
            "      3.0 MiB read, 6.1 MiB written",
        ]
    );
}

#[test]
fn the_table_is_never_wider_than_eighty_columns() {
    let mut records = whole_run();
    records.push(Record::Failed {
        step: "v2/b".into(),
        error: "a\u{1b}[31m word ".repeat(40),
    });
    let mut report = made_of(records, &Value::Null);
    report.execution_log.phases[0].name = "n".repeat(200);
    let script = &mut report.execution_log.phases[0].viscripts[0];
    script.performance.as_mut().unwrap().milliseconds = 99 * 3_600_000;
    let lines = table::lines(&report);
    for line in &lines {
        assert!(line.chars().count() <= 80, "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    }
    let words: usize = lines.iter().map(|line| line.matches("word").count()).sum();
    assert_eq!(words, 40);
    let error = lines
        .iter()
        .find(|line| line.starts_with("error in record 13, v2/b: a?[31m word"));
    assert!(error.is_some(), "{lines:#?}");
}

#[test]
fn what_has_not_run_has_no_times() {
    let lines = table::lines(&made_of(vec![], &Value::Null));
    assert_eq!(
        lines[4],
        "before                              pending       -      -"
    );
}

#[test]
fn the_stage_is_said_in_words() {
    let mut records = whole_run();
    records.push(Record::RollbackRequested { reason: "r".into() });
    let lines = table::lines(&made_of(records, &Value::Null));
    assert!(lines[1].ends_with(", now rollback requested"), "{lines:#?}");
}

#[test]
fn without_performance_the_table_has_the_seeds_durations() {
    let lines = table::lines(&made_of(whole_run(), &monitoring(false, true)));
    assert_eq!(
        lines[6],
        "core                                completed   2/2    4/4         3s"
    );
    assert_eq!(
        lines[7],
        "  v2                                success     2/2    3/3"
    );
    assert_eq!(lines[13], "boots: 2 attempts, 1 trial; work: 3s");
}
