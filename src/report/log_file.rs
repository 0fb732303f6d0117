//! The log: what `log::info!` and its kin say, as lines for the console, the kernel log and a file.

use std::fs::File;
use std::io::{LineWriter, Write};
use std::path::Path;

use simplelog::{CombinedLogger, ConfigBuilder, LevelFilter, SharedLogger, WriteLogger};

use crate::sys::console::kernel_message;

/// Survives into the running system: /run is moved there (facts boot.md 1.7).
pub const BOOT_LOG: &str = "run/initramfs/rootshift.log";

/// Log lines of a command that a person typed go to standard error.
pub fn to_terminal(verbose: bool) {
    let level = if verbose {
        LevelFilter::Debug
    } else {
        LevelFilter::Warn
    };
    install(vec![writer(level, std::io::stderr())]);
}

/// In the initramfs: to the kernel log (and so to the journal and the console), and to a file.
pub fn to_kernel_log(system: &Path) {
    let mut loggers = vec![writer(LevelFilter::Info, KernelLog)];
    let file = File::options()
        .create(true)
        .append(true)
        .open(system.join(BOOT_LOG));
    if let Ok(file) = file {
        loggers.push(writer(LevelFilter::Debug, file));
    }
    install(loggers);
}

fn install(loggers: Vec<Box<dyn SharedLogger>>) {
    // A second logger is refused; the first one stays, which is all that is wanted.
    let _ = CombinedLogger::init(loggers);
}

/// One `write` a line: simplelog makes several a record, and each would be a kernel message.
fn writer(level: LevelFilter, sink: impl Write + Send + 'static) -> Box<dyn SharedLogger> {
    let config = ConfigBuilder::new()
        .set_time_level(LevelFilter::Off)
        .set_thread_level(LevelFilter::Off)
        .set_target_level(LevelFilter::Off)
        .set_location_level(LevelFilter::Off)
        .set_max_level(LevelFilter::Off)
        .build();
    WriteLogger::new(level, config, LineWriter::new(Prefixed(sink)))
}

struct Prefixed<W>(W);

impl<W: Write> Write for Prefixed<W> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let mut whole = b"rootshift: ".to_vec();
        whole.extend_from_slice(line.trim_ascii());
        whole.push(b'\n');
        self.0.write_all(&whole)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

struct KernelLog;

impl Write for KernelLog {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        const WARNING: u8 = 4;
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        kernel_message(WARNING, text.strip_prefix("rootshift: ").unwrap_or(text));
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
