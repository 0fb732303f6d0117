//! The log: what `log::info!` and its kin say, as lines for the console, the kernel log and a file.

use std::path::Path;

use log::{Level, Log, Metadata, Record};
use simplelog::{CombinedLogger, Config, LevelFilter, SharedLogger};

use super::{boot_log, print};
use crate::documents::batch::LogLevel;
use crate::sys::console::kernel_message;

/// Log lines of a command that a person typed go to standard error.
pub fn to_terminal(verbose: bool) {
    let level = if verbose {
        LevelFilter::Debug
    } else {
        LevelFilter::Warn
    };
    install(vec![lines(level, |_, line| print::error(line))]);
}

/// In the initramfs: to the kernel log (and so to the journal and the console), and to the file of
/// this boot. Without a word from the batch (see [`set_level`]) everything but what developers want.
pub fn to_kernel_log(file: &Path) {
    const WARNING: u8 = 4;
    boot_log::open(file);
    let say = |level, line: &str| {
        kernel_message(WARNING, line);
        boot_log::say(level, line);
    };
    install(vec![lines(LevelFilter::Debug, say)]);
    set_level(LogLevel::Normal);
}

/// How much [`to_kernel_log`] lets through from now on, to the kernel log and to the file alike.
pub fn set_level(level: LogLevel) {
    log::set_max_level(match level {
        LogLevel::Quiet => LevelFilter::Error,
        LogLevel::Normal => LevelFilter::Info,
        LogLevel::Verbose => LevelFilter::Debug,
    });
}

fn install(loggers: Vec<Box<dyn SharedLogger>>) {
    // A second logger is refused; the first one stays, which is all that is wanted.
    let _ = CombinedLogger::init(loggers);
}

fn lines(
    level: LevelFilter,
    say: impl Fn(Level, &str) + Send + Sync + 'static,
) -> Box<dyn SharedLogger> {
    Box::new(LineLogger {
        level,
        say: Box::new(say),
    })
}

type Say = dyn Fn(Level, &str) + Send + Sync;

/// Hands on whole lines: simplelog's own `WriteLogger` writes a record in several pieces, and each
/// would be a message of the kernel's.
struct LineLogger {
    level: LevelFilter,
    say: Box<Say>,
}

impl Log for LineLogger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= self.level
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            for line in record.args().to_string().lines() {
                (self.say)(record.level(), line);
            }
        }
    }

    fn flush(&self) {}
}

impl SharedLogger for LineLogger {
    fn level(&self) -> LevelFilter {
        self.level
    }

    fn config(&self) -> Option<&Config> {
        None
    }

    fn as_log(self: Box<Self>) -> Box<dyn Log> {
        self
    }
}
