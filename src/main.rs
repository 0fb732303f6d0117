//! The command line: argv to exit status, and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    if cfg!(feature = "tools") {
        rootshift::modes::start(rootshift::modes::run)
    } else {
        rootshift::modes::start_early()
    }
}
