//! The command line: argv to exit status, and nothing else.

use std::process::ExitCode;

use argh::FromArgs;
use rootshift::cli::{Exit, Options};
use rootshift::modes;
use rootshift::report::print;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    let exit = match Options::from_args(&["rootshift"], &words) {
        Ok(options) => modes::run(&options).unwrap_or_else(|error| {
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
