//! The command line: argv to exit status, and nothing else.

use std::process::ExitCode;

use rootshift::cli::Options;
use rootshift::modes;
use rootshift::report::print;

fn main() -> ExitCode {
    let options: Options = argh::from_env();
    let exit = modes::run(&options).unwrap_or_else(|error| {
        print::error(&error.to_string());
        error.exit()
    });
    ExitCode::from(exit.code())
}
