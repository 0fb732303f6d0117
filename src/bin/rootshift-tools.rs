//! The commands that need not fit into an initramfs; the shipped `rootshift` hands over to it.

use std::process::ExitCode;

fn main() -> ExitCode {
    rootshift::modes::start(rootshift::modes::run_tool)
}
