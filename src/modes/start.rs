//! From the command line to the exit status.

use std::process::ExitCode;

use argh::FromArgs;

use super::{Error, run_early};
use crate::cli::Exit;
use crate::report::print;
use crate::sys::process::become_program;

/// Where the package puts the program with the commands that need not fit into an initramfs.
const TOOLS: &str = "/usr/lib/rootshift/rootshift-tools";

/// Reads the command line, runs it, and says in one line what went wrong. What the program in the
/// initramfs does not do itself another one does, which is then this process.
pub fn start_early() -> ExitCode {
    let words = words();
    let mut commands = words.iter().filter(|word| !word.starts_with('-'));
    let command = commands.next().map_or("", String::as_str);
    if command == "boot" {
        return start(run_early);
    }
    let error = Error::from(become_program(TOOLS));
    // In an initramfs, or where the rest of the package is missing.
    if command == "status" {
        return start(run_early);
    }
    print::error(&error.to_string());
    ExitCode::from(error.exit().code())
}

fn words() -> Vec<String> {
    std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// Reads the command line, runs it, and says in one line what went wrong.
pub fn start<O: FromArgs>(run: fn(&O) -> Result<Exit, Error>) -> ExitCode {
    let words = words();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let exit = match O::from_args(&["rootshift"], &words) {
        Ok(options) => run(&options).unwrap_or_else(|error| {
            print::error(&error.to_string());
            error.exit()
        }),
        Err(early) if early.status.is_ok() => {
            print::line(early.output.trim_end());
            Exit::Success
        }
        Err(early) => {
            let words: Vec<&str> = early.output.split_whitespace().collect();
            print::error(&format!("{}; see `rootshift --help`", words.join(" ")));
            Exit::Usage
        }
    };
    ExitCode::from(exit.code())
}
