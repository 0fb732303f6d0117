//! What a fresh Debian machine lacks: packages, the musl target of Rust, a QEMU that is known to work.

mod mirror;
mod packages;
mod qemu;

use anyhow::{Context as _, Result, bail};

use crate::run::{exists, run, tool};
use crate::workspace::Workspace;

pub use mirror::debian_mirror;
pub use qemu::Qemu;

/// The target the shipped binary is built for.
pub const MUSL_TARGET: &str = "x86_64-unknown-linux-musl";

/// What every other part of the harness may rely on.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The QEMU to run guests with.
    pub qemu: Qemu,
    /// The package mirror the machine itself uses, for `mmdebstrap`.
    pub mirror: String,
}

/// Installs what is missing, one line of text for each act; under a second when nothing is.
pub fn prepare(workspace: &Workspace) -> Result<Tools> {
    packages::install()?;
    musl_target()?;
    let mirror = debian_mirror();
    let qemu = Qemu::provide(workspace, &mirror)?;
    Ok(Tools { qemu, mirror })
}

/// What generated machines are judged by, and what builds the program.
pub fn prepare_for_machines() -> Result<()> {
    packages::install()?;
    packages::install_these(&["busybox-static", "grub-common", "libcap2-bin", "rsync"])?;
    musl_target()
}

fn musl_target() -> Result<()> {
    let sysroot = crate::run::output(tool("rustc").args(["--print", "sysroot"]))?;
    let installed = std::path::Path::new(&sysroot)
        .join("lib/rustlib")
        .join(MUSL_TARGET);
    if installed.exists() {
        return Ok(());
    }
    if !exists("rustup") {
        bail!("the Rust target {MUSL_TARGET} is missing and there is no rustup to add it with");
    }
    println!("setup: rustup target add {MUSL_TARGET}");
    run(tool("rustup").args(["target", "add", MUSL_TARGET])).context("add the musl target")
}
