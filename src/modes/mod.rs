//! One file a command: each wires rooms together and holds nothing that a test would want.

mod arm;
mod boot;
mod check;
mod conversions;
mod disarm;
mod emergency;
mod error;
mod finalize;
mod guard;
mod image;
mod lint;
mod log;
mod new;
mod package;
mod plan;
mod recover;
mod renew;
mod report;
mod restore;
mod rollback;
mod run;
mod session;
mod site;
mod start;
mod status;
mod validate;

pub use error::Error;
pub use start::{start, start_early};

use crate::cli::{Command, EarlyCommand, EarlyOptions, Exit, Options};
use crate::report::{log_file, print};

/// Runs a command of the program that holds them all.
///
/// # Errors
/// With one line that names the thing and the remedy.
pub fn run(options: &Options) -> Result<Exit, Error> {
    match &options.command {
        Command::Boot(options) => boot::run(options),
        _ => run_tool(options),
    }
}

/// Runs a command of the program that fits into an initramfs.
///
/// # Errors
/// With one line that names the thing and the remedy.
pub fn run_early(options: &EarlyOptions) -> Result<Exit, Error> {
    match &options.command {
        EarlyCommand::Boot(options) => boot::run(options),
        EarlyCommand::Status(shown) => {
            log_file::to_terminal(options.verbose);
            status::run(shown)
        }
    }
}

/// Runs a command that need not fit into an initramfs.
///
/// # Errors
/// With one line that names the thing and the remedy.
pub fn run_tool(options: &Options) -> Result<Exit, Error> {
    let run_verbose = matches!(&options.command, Command::Run(run) if run.verbose);
    log_file::to_terminal(options.verbose || run_verbose);
    match &options.command {
        Command::Validate(options) => validate::run(options),
        Command::Rollback(options) => rollback::run(options),
        Command::Version(_) => {
            print::line(&format!("rootshift {}", env!("CARGO_PKG_VERSION")));
            Ok(Exit::Success)
        }
        Command::Finalize(options) => finalize::run(options),
        Command::Restore(options) => restore::run(options),
        Command::Log(shown) => log::run(shown, options.verbose),
        Command::Recover(options) => recover::run(options),
        Command::Report(options) => report::run(options),
        Command::Run(options) => run::run(options),
        Command::Lint(options) => lint::run(options),
        Command::New(options) => new::run(options),
        Command::Package(options) => package::run(options),
        Command::Check(options) => check::run(options),
        Command::Plan(options) => plan::run(options),
        Command::Arm(options) => arm::run(options),
        Command::Disarm(options) => disarm::run(options),
        Command::Status(shown) => status::run(shown),
        Command::Boot(_) => Err(Error::Usage("`rootshift` runs this command".into())),
    }
}
