//! The command line: argv to exit status, and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    rootshift::modes::start(rootshift::modes::run)
}
