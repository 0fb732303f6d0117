//! From the command line to the exit status.

use std::process::ExitCode;

use argh::FromArgs;

use super::Error;
use crate::cli::{Exit, Options};
use crate::report::print;

/// Reads the command line, runs it, and says in one line what went wrong.
pub fn start(run: fn(&Options) -> Result<Exit, Error>) -> ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    let exit = match Options::from_args(&["rootshift"], &words) {
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
