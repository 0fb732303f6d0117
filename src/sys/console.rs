//! The kernel's log, which an initramfs shows and journald keeps; and the terminal.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};

/// Whether somebody enters a line at this console within this time. No console, no line.
#[must_use]
pub fn line_within(path: &Path, time: Duration) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(console) = rustix::fs::open(path, flags, Mode::empty()) else {
        return false;
    };
    let mut waiting = [PollFd::new(&console, PollFlags::IN)];
    let limit = Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    // What was typed before the question is not an answer to it: it is read first.
    let mut line = [0; 256];
    while matches!(rustix::io::read(&console, &mut line), Ok(1..)) {}
    matches!(poll(&mut waiting, Some(&limit)), Ok(1..))
        && matches!(rustix::io::read(&console, &mut line), Ok(1..))
}

/// /dev/kmsg refuses records over LOG_LINE_MAX, about 1000 bytes (kernel/printk/printk.c).
const LINE_LIMIT: usize = 900;

/// Writes one line to /dev/kmsg: `level` as in syslog(3), 3 error to 6 information.
///
/// Says nothing when it cannot be written: a message is never worth a failure.
pub fn kernel_message(level: u8, line: &str) {
    let Ok(mut log) = OpenOptions::new().write(true).open("/dev/kmsg") else {
        return;
    };
    // One write(2) is one record; the device never takes a part.
    log.write_all(record(level, line).as_bytes()).ok();
}

/// Columns of the terminal at standard error; 80 when it does not say (a serial line says 0).
#[must_use]
pub fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { 80 } else { columns }
}

/// The device or file at standard error, as `/dev/ttyS0`; empty without /proc.
#[must_use]
pub fn name_of_error_output() -> String {
    let link = std::fs::read_link("/proc/self/fd/2").unwrap_or_default();
    link.to_string_lossy().into_owned()
}

fn record(level: u8, line: &str) -> String {
    let mut text = format!(
        "<{}>rootshift: {}",
        level.min(7),
        line.replace(['\n', '\r'], " ")
    );
    let mut end = LINE_LIMIT.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_with_a_level_and_an_end() {
        assert_eq!(record(6, "step 1\nof 2"), "<6>rootshift: step 1 of 2");
        assert_eq!(record(99, "x"), "<7>rootshift: x");
        let long = record(3, &"é".repeat(1000));
        assert!(long.len() <= 900 && long.len() >= 899, "{}", long.len());
        assert!(long.ends_with('é'));
    }
}
