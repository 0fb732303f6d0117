//! Where progress is shown.

use std::io::{IsTerminal, Write};
use std::path::Path;

use super::note::Noted;
use super::{Moment, Sink, render};
use crate::report::signs::{Sign, give};
use crate::report::{plymouth, print};
use crate::sys::{Root, console};

/// A person looks at every line; a log is filled by them.
const EACH_SECOND: u64 = 1_000;
const EACH_MINUTE: u64 = 60_000;

/// Consoles on a wire: a line that is redrawn would be sent again and again, and is unreadable
/// where they are recorded.
const SERIAL: [&str; 4] = ["/dev/ttyS", "/dev/ttyAMA", "/dev/hvc", "/dev/console"];

/// For a command that a person typed: on standard error, so that standard output stays clean.
#[must_use]
pub fn for_terminal() -> Vec<Box<dyn Sink>> {
    let error = std::io::stderr();
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    if error.is_terminal() && !dumb && !is_serial(&console::name_of_error_output()) {
        return vec![Box::new(Redrawn {
            out: Box::new(error),
            width: console::width,
        })];
    }
    vec![Box::new(Lines::to(Box::new(error), EACH_SECOND))]
}

/// For work that goes on for long, at a terminal or as a service: there it is told to the log. Both
/// ways it is noted where `rootshift status` finds it.
#[must_use]
pub fn for_long_work(system: &Root, as_service: bool) -> Vec<Box<dyn Sink>> {
    let mut sinks: Vec<Box<dyn Sink>> = if as_service {
        vec![Box::new(Lines::to(
            Box::new(std::io::stderr()),
            EACH_MINUTE,
        ))]
    } else {
        for_terminal()
    };
    if let Ok(system) = system.within(Path::new("")) {
        sinks.push(Box::new(Noted { system }));
    }
    sinks
}

/// For the initramfs: who watches over this process, and where progress is wanted the kernel log,
/// and the splash screen when it answers.
#[must_use]
pub fn for_boot(is_wanted: bool) -> Vec<Box<dyn Sink>> {
    let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(SignOfLife {})];
    if !is_wanted {
        return sinks;
    }
    sinks.push(Box::new(Logged {}));
    if let Some(splash) = plymouth::Plymouth::connect(plymouth::SOCKET) {
        sinks.push(Box::new(splash));
    }
    sinks
}

pub(super) fn is_serial(device: &str) -> bool {
    SERIAL.iter().any(|name| device.starts_with(name))
}

/// One line that is drawn anew.
pub(super) struct Redrawn {
    pub(super) out: Box<dyn Write + Send>,
    pub(super) width: fn() -> usize,
}

impl Sink for Redrawn {
    fn interval(&self) -> u64 {
        100
    }

    fn show(&mut self, moment: &Moment) {
        // A character in the last column makes some terminals begin a new line.
        let text = render::line(moment, (self.width)().saturating_sub(1));
        print::set_line_is_open(true);
        let _ = write!(self.out, "\r{text}{}", print::CLEAR_TO_END);
        let _ = self.out.flush();
    }

    fn finish(&mut self) {
        if print::set_line_is_open(false) {
            let _ = write!(self.out, "\r{}", print::CLEAR_TO_END);
            let _ = self.out.flush();
        }
    }
}

/// One line for every change, without a single escape code.
pub(super) struct Lines {
    out: Box<dyn Write + Send>,
    interval: u64,
    last: String,
}

impl Lines {
    pub(super) fn to(out: Box<dyn Write + Send>, interval: u64) -> Self {
        let last = String::new();
        Self {
            out,
            interval,
            last,
        }
    }
}

impl Sink for Lines {
    fn interval(&self) -> u64 {
        self.interval
    }

    fn show(&mut self, moment: &Moment) {
        let text = render::line(moment, usize::MAX);
        if text != self.last {
            let _ = writeln!(self.out, "rootshift: {text}");
            self.last = text;
        }
    }
}

/// Whatever moves is alive.
struct SignOfLife {}

impl Sink for SignOfLife {
    fn interval(&self) -> u64 {
        1_000
    }

    fn show(&mut self, _moment: &Moment) {
        give(Sign::Alive);
    }
}

/// The kernel log, and with it console, journald and the log file.
struct Logged {}

impl Sink for Logged {
    fn interval(&self) -> u64 {
        10_000
    }

    fn show(&mut self, moment: &Moment) {
        match moment.part {
            None => log::info!("{}", render::step(moment)),
            Some(part) => log::info!("{}: {}", render::step(moment), render::amount(part)),
        }
    }
}
