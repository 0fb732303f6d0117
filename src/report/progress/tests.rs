use std::cell::Cell;
use std::io::Write;
use std::sync::{Arc, Mutex};

use super::sink::{Lines, Redrawn, is_serial};
use super::*;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

fn now() -> u64 {
    NOW.get()
}

/// What was written, to be looked at from outside.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }
}

fn progress(weights: &[u32], sink: impl Sink + 'static) -> Progress {
    NOW.set(0);
    let mut progress = Progress::new(weights.to_vec(), vec![Box::new(sink)]);
    progress.clock = now;
    progress
}

fn entries(done: u64, of: u64) -> Part {
    let of = Some(of);
    let unit = Unit::Entries;
    Part { done, of, unit }
}

fn moment<'a>(phase: &'a str, step: &'a str) -> Moment<'a> {
    Moment {
        phase,
        step,
        number: 3,
        steps: Some(15),
        part: None,
        percent: Some(13),
        seconds_left: Some(12),
    }
}

#[test]
fn what_is_noted_is_read_again_until_the_end() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("run/rootshift")).unwrap();
    let system = || crate::sys::Root::open(folder.path()).unwrap();
    assert_eq!(noted(&system()), None);
    let mut progress = progress(&[1, 4], note::Noted { system: system() });
    progress.step("", 1, "counting");
    let amount = |done, of| {
        Some(Part {
            done,
            of,
            unit: Unit::Entries,
        })
    };
    assert_eq!(noted(&system()), amount(0, None));
    for (part, shown) in [((7, None), (7, None)), ((9, Some(20)), (9, Some(20)))] {
        NOW.set(NOW.get() + 1_000);
        let (done, of) = part;
        progress.part(Part {
            done,
            of,
            unit: Unit::Entries,
        });
        assert_eq!(noted(&system()), amount(shown.0, shown.1));
    }
    progress.part(entries(10, 20));
    assert_eq!(
        noted(&system()),
        amount(9, Some(20)),
        "no more than once a second"
    );
    progress.finish();
    assert_eq!(noted(&system()), None);
    std::fs::write(folder.path().join("run/rootshift/progress"), "no number").unwrap();
    assert_eq!(noted(&system()), None);
}

#[test]
fn a_line_says_all_it_can() {
    let mut moment = moment("core_installation", "subvolumes/snapshot[@]");
    assert_eq!(
        render::line(&moment, 200),
        "[ 3/15]  13 %, 12 s left  core_installation: subvolumes/snapshot[@]"
    );
    moment.part = Some(entries(5, 20));
    assert_eq!(
        render::line(&moment, 200),
        "[ 3/15]  13 %, 12 s left  core_installation: subvolumes/snapshot[@], 5 of 20 entries"
    );
    (moment.steps, moment.percent, moment.seconds_left) = (None, None, None);
    moment.part = Some(Part {
        done: 3 << 20,
        of: None,
        unit: Unit::Bytes,
    });
    assert_eq!(
        render::line(&moment, 200),
        "[ 3]  core_installation: subvolumes/snapshot[@], 3.0 MiB"
    );
}

#[test]
fn the_form_of_the_log_does_not_change() {
    assert_eq!(render::step(&moment("core", "a/b[@]")), "[ 3/15] a/b[@]");
}

#[test]
fn a_narrow_terminal_loses_the_phase_first_and_then_the_end() {
    let moment = moment("core_installation", "subvolumes/snapshot[@]");
    let whole = "[ 3/15]  13 %, 12 s left  core_installation: subvolumes/snapshot[@]";
    let without = "[ 3/15]  13 %, 12 s left  subvolumes/snapshot[@]";
    assert_eq!(render::line(&moment, whole.len()), whole);
    assert_eq!(render::line(&moment, whole.len() - 1), without);
    assert_eq!(
        render::line(&moment, without.len() - 1),
        "[ 3/15]  13 %, 12 s left  subvolumes/snapshot[…"
    );
    for width in 0..100 {
        let line = render::line(&moment, width);
        assert!(line.chars().count() <= width, "{width}: {line}");
    }
}

#[test]
fn names_cannot_move_the_cursor() {
    let line = render::line(&moment("a\x1b[2Jb", "c\nd\re"), 200);
    assert!(line.ends_with("a?[2Jb: c?d?e"), "{line}");
}

#[test]
fn a_forecast_needs_two_seconds_and_a_tenth_of_the_work() {
    let total = 100 * PARTS;
    let after = |milliseconds, done| forecast((0, 0), (milliseconds, done * PARTS), total);
    assert_eq!(after(1_999, 50), None);
    assert_eq!(after(2_000, 9), None);
    assert_eq!(after(2_000, 0), None);
    assert_eq!(after(2_000, 10), Some(18));
    assert_eq!(after(2_001, 10), Some(19));
    assert_eq!(after(60_000, 75), Some(20));
    assert_eq!(after(60_000, 100), Some(0));
}

#[test]
fn a_run_that_is_resumed_is_not_taken_for_a_fast_one() {
    let total = 10 * PARTS;
    // Eight were done by an earlier boot; one took this boot 30 s.
    let start = (100_000, 8 * PARTS);
    assert_eq!(forecast(start, (130_000, 9 * PARTS), total), Some(30));
    assert_eq!(forecast(start, (130_000, 8 * PARTS), total), None);
}

#[test]
fn weights_and_parts_make_the_percentage() {
    let paper = Paper::default();
    let mut progress = progress(&[1, 8, 1], Lines::to(Box::new(paper.clone()), 1_000));
    for (number, part) in [(1, None), (2, None), (2, Some(entries(1, 4))), (3, None)] {
        NOW.set(NOW.get() + 1_000);
        match part {
            None => progress.step("p", number, "s"),
            Some(part) => progress.part(part),
        }
    }
    assert_eq!(
        paper.lines(),
        [
            "rootshift: [ 1/3]   0 %  p: s",
            "rootshift: [ 2/3]  10 %  p: s",
            "rootshift: [ 2/3]  30 %, 5 s left  p: s, 1 of 4 entries",
            "rootshift: [ 3/3]  90 %, 1 s left  p: s",
        ]
    );
}

#[test]
fn without_a_terminal_there_is_one_line_for_each_change_and_no_escape_code() {
    let paper = Paper::default();
    let mut progress = progress(&[1, 1], Lines::to(Box::new(paper.clone()), 1_000));
    progress.step("p", 1, "first");
    progress.step("p", 1, "first");
    for done in 0..1_000 {
        NOW.set(NOW.get() + 5);
        progress.part(entries(done, 1_000));
    }
    progress.step("p", 2, "second");
    progress.finish();
    let lines = paper.lines();
    // Five seconds of parts between two steps.
    assert_eq!(lines.len(), 1 + 5 + 1, "{lines:#?}");
    assert!(!paper.text().contains(['\r', '\x1b']), "{lines:#?}");
    let first = lines.iter().filter(|line| line.ends_with("p: first"));
    assert_eq!(first.count(), 1, "{lines:#?}");
}

#[test]
fn a_terminal_has_one_line_that_is_drawn_anew_and_taken_away() {
    let paper = Paper::default();
    let mut progress = progress(
        &[1, 1],
        Redrawn {
            out: Box::new(paper.clone()),
            width: || 21,
        },
    );
    progress.step("phase", 1, "the first step");
    progress.step("phase", 2, "x");
    progress.finish();
    progress.finish();
    // One column stays free.
    assert_eq!(
        paper.text(),
        "\r[ 1/2]   0 %  the f…\x1b[K\r[ 2/2]  50 %  x\x1b[K\r\x1b[K"
    );
}

#[test]
fn a_terminal_is_not_drawn_more_often_than_ten_times_a_second() {
    let paper = Paper::default();
    let mut progress = progress(
        &[1],
        Redrawn {
            out: Box::new(paper.clone()),
            width: || 80,
        },
    );
    progress.step("", 1, "s");
    for done in 1..=1_000 {
        NOW.set(NOW.get() + 1);
        progress.part(entries(done, 2_000));
    }
    assert_eq!(paper.text().matches('\r').count(), 1 + 10);
}

#[test]
fn numbers_that_make_no_sense_do_no_harm() {
    let paper = Paper::default();
    let mut none = progress(&[], Lines::to(Box::new(paper.clone()), 1_000));
    none.step("", 0, "s");
    none.part(entries(3, 0));
    let mut some = progress(&[0, u32::MAX], Lines::to(Box::new(paper.clone()), 1_000));
    some.step("", 99, "t");
    some.step("", 2, "u");
    NOW.set(5_000);
    some.part(entries(u64::MAX, 7));
    assert_eq!(
        paper.lines(),
        [
            "rootshift: [ 0]  s",
            "rootshift: [99/2] 100 %  t",
            "rootshift: [ 2/2]   0 %  u",
            "rootshift: [ 2/2] 100 %  u, 18446744073709551615 of 7 entries",
        ]
    );
}

#[test]
fn what_is_hidden_counts_nothing() {
    assert!(!Progress::hidden().is_shown());
    let lines = Lines::to(Box::new(Paper::default()), 1_000);
    assert!(progress(&[], lines).is_shown());
}

#[test]
fn a_console_on_a_wire_gets_lines() {
    for (device, serial) in [
        ("/dev/ttyS0", true),
        ("/dev/hvc0", true),
        ("/dev/tty1", false),
        ("/dev/pts/3", false),
        ("", false),
    ] {
        assert_eq!(is_serial(device), serial, "{device}");
    }
}
