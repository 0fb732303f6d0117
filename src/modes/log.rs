//! `rootshift log`.

use serde_json::{Map, Value, json};

use super::{Error, session};
use crate::cli::{Exit, Log};
use crate::documents::json as documents_json;
use crate::engine::survey::Survey;
use crate::journal::record::BootImage;
use crate::journal::{Entry, Record};
use crate::report::boot_log::{self, BootLog};
use crate::report::print;
use crate::report::time::utc;
use crate::report::units::{bytes, seconds};

pub(super) fn run(options: &Log, verbose: bool) -> Result<Exit, Error> {
    let survey = session::survey()?;
    if options.boot {
        return Ok(print_boots(&survey, options.json));
    }
    let migration = session::look(session::top(&survey)?)?;
    let entries = migration.journal().entries();
    if options.json {
        let mut records = Vec::new();
        for entry in entries {
            records.push(flat(entry.sequence, session::json(&entry.record)?));
        }
        print::json(&Value::Array(records));
        return Ok(Exit::Success);
    }
    for entry in entries {
        print::line(&in_words(entry));
        if let Some(cost) = cost_in_words(&entry.record).filter(|_| verbose) {
            print::line(&cost);
        }
    }
    if let Some(dropped) = migration.journal().dropped() {
        print::line(&format!(
            "({dropped} bytes of a record that a power cut left unfinished)"
        ));
    }
    Ok(Exit::Success)
}

/// What the last boots said, oldest first: from the disk, and this one from /run where the disk
/// has no copy of it. A journal that can't be used is in nobody's way.
fn print_boots(survey: &Survey, as_json: bool) -> Exit {
    let mut boots = survey.top.as_ref().map(boot_log::kept).unwrap_or_default();
    let this = boot_log::of_this_boot(&survey.system, survey.top.as_ref());
    if let Some(this) = this {
        // A boot may have had several runs; the file in /run holds them all.
        boots.retain(|known| known.boot.is_empty() || known.boot != this.boot);
        boots.push(this);
    }
    if as_json {
        print::json(&boots.iter().map(boot_as_json).collect());
        return Exit::Success;
    }
    if boots.is_empty() {
        print::line("No boot has said anything.");
    }
    for (index, boot) in boots.iter().enumerate() {
        if index > 0 {
            print::line("");
        }
        print::line(&head(boot));
        for line in &boot.lines {
            print::line(&format!("  {line}"));
        }
    }
    Exit::Success
}

/// The clock of an initramfs is often wrong: the time is a hint.
fn head(boot: &BootLog) -> String {
    let time = match boot.at {
        0 => "this boot".to_owned(),
        at => utc(at),
    };
    match boot.number {
        Some(number) => format!("boot {number}, {time}:"),
        None => format!("{time}, /{}:", boot_log::BOOT_LOG),
    }
}

fn boot_as_json(boot: &BootLog) -> Value {
    json!({ "number": boot.number, "boot_id": boot.boot, "at": boot.at, "lines": boot.lines })
}

/// `{"done": {"step": "x"}}` becomes `{"sequence": 7, "record": "done", "step": "x"}`.
fn flat(sequence: u64, record: Value) -> Value {
    let (name, mut fields) = match record {
        Value::Object(tagged) => match tagged.into_iter().next() {
            Some((name, Value::Object(fields))) => (name, fields),
            _ => (String::new(), Map::new()),
        },
        Value::String(name) => (name, Map::new()),
        _ => (String::new(), Map::new()),
    };
    fields.insert("sequence".to_owned(), sequence.into());
    fields.insert("record".to_owned(), name.into());
    Value::Object(fields)
}

fn in_words(entry: &Entry) -> String {
    let words = match &entry.record {
        Record::Started {
            batch_id, program, ..
        } => {
            format!("started {batch_id} with rootshift {program}")
        }
        Record::Armed { images } => format!("armed {}", names(images)),
        Record::Renewed { images, .. } => format!("renewed for {}", names(images)),
        Record::Attempt { number } => format!("boot: attempt {number}"),
        Record::Begun { step } => format!("  begun  {step}"),
        Record::Done {
            step,
            milliseconds,
            found_done,
            ..
        } => {
            let found = if *found_done {
                ", found done after a cut"
            } else {
                ""
            };
            format!("  done   {step} ({milliseconds} ms{found})")
        }
        Record::Failed { step, error } => format!("  FAILED {step}: {error}"),
        Record::Undone { step } => format!("  undone {step}"),
        Record::Tolerated { step, error } => format!("  failed {step}, done without: {error}"),
        Record::ReturnedTo { phase } => format!("returned to the checkpoint after {phase}"),
        Record::Discarded { reason } => format!("prepared work thrown away: {reason}"),
        Record::Checked {
            script,
            passed,
            failed,
            skipped,
            milliseconds,
            ..
        } => format!(
            "  checks {script}: {passed} passed, {failed} failed, {skipped} skipped \
             ({milliseconds} ms)"
        ),
        Record::Checkpoint { phase } => format!("checkpoint after {phase}"),
        Record::Inventory { objects, .. } => {
            format!(
                "inventory: {} things are known by what they are",
                objects.len()
            )
        }
        Record::Committed => "COMMITTED: the new system is root".to_owned(),
        later => later_in_words(later),
    };
    format!("{:>4}  {words}", entry.sequence)
}

fn names(images: &[BootImage]) -> String {
    let names: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
    names.join(", ")
}

/// Under the record that it belongs to.
fn cost_in_words(record: &Record) -> Option<String> {
    let (Record::Done { usage, .. } | Record::Checked { usage, .. }) = record else {
        return None;
    };
    let usage = usage.as_ref()?;
    Some(format!(
        "               {} of processor time, {} of memory at most, {} read, {} written",
        seconds(usage.cpu_microseconds / 1000),
        bytes(usage.peak_memory_bytes),
        bytes(usage.bytes_read),
        bytes(usage.bytes_written)
    ))
}

fn later_in_words(record: &Record) -> String {
    match record {
        Record::Trial { number } => format!("boot: trial {number} of the new system"),
        Record::Validated { passed, failed, .. } => {
            format!("VALIDATED: {passed} checks passed, {failed} not required ones failed")
        }
        Record::RehearsalBegun { number, .. } => {
            format!("boot: rehearsal {number}, the boot loader alone names the new system")
        }
        Record::Rehearsed { .. } => "REHEARSED: the boot loader boots the new system".to_owned(),
        Record::RehearsalFailed { reason } => format!("rehearsal failed: {reason}"),
        Record::NotValidated { problems } => format!("not validated: {}", problems.join("; ")),
        Record::RollbackRequested { reason } => format!("rollback requested: {reason}"),
        Record::RollbackBegun { reason } => format!("ROLLING BACK: {reason}"),
        Record::RolledBack { kept } => {
            format!(
                "ROLLED BACK: the old system is root; kept {}",
                kept.join(", ")
            )
        }
        Record::Refused { reason } => format!("boot: left as it was: {reason}"),
        Record::Disarmed => "disarmed".to_owned(),
        Record::FinalizeBegun => "FINALIZE: the old system is being deleted".to_owned(),
        Record::Finalized { entries } => format!("FINALIZED: {entries} entries deleted"),
        other => {
            let text = documents_json::text(other).unwrap_or_default();
            String::from_utf8_lossy(&text).into_owned()
        }
    }
}
