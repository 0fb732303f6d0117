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
pub use start::start;

use crate::cli::{Command, Exit, Options};
use crate::report::{log_file, print};

/// Runs a command. The shipped program hands the commands that need not fit into an initramfs over
/// to another one, which is then this process.
///
/// # Errors
/// With one line that names the thing and the remedy.
pub fn run(options: &Options) -> Result<Exit, Error> {
    if !matches!(options.command, Command::Boot(_)) {
        log_file::to_terminal(options.verbose);
    }
    match &options.command {
        Command::Boot(options) => boot::run(options),
        Command::Validate(options) => validate::run(options),
        Command::Status(options) => status::run(options),
        Command::Rollback(options) => rollback::run(options),
        Command::Version(_) => {
            print::line(&format!("rootshift {}", env!("CARGO_PKG_VERSION")));
            Ok(Exit::Success)
        }
        #[cfg(feature = "tools")]
        _ => run_tool(options),
        #[cfg(not(feature = "tools"))]
        _ => Err(crate::sys::process::become_program(TOOLS).into()),
    }
}

/// Where the package puts the program with the other commands.
#[cfg(not(feature = "tools"))]
const TOOLS: &str = "/usr/lib/rootshift/rootshift-tools";

/// Runs a command that need not fit into an initramfs.
///
/// # Errors
/// With one line that names the thing and the remedy.
pub fn run_tool(options: &Options) -> Result<Exit, Error> {
    let run_verbose = matches!(&options.command, Command::Run(run) if run.verbose);
    log_file::to_terminal(options.verbose || run_verbose);
    match &options.command {
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
        _ => Err(Error::Usage("`rootshift` runs this command".into())),
    }
}
