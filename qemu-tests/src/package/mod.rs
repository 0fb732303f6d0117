//! The shipped binary and the Debian package that carries it.

mod debian;
mod elf;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::run::{show, tool};
use crate::setup::MUSL_TARGET;
use crate::workspace::Workspace;

/// The binary has to fit into every initramfs.
const SIZE_LIMIT: u64 = 800 * 1024;

/// Builds the shipped binary: static, stripped, for any Linux of its architecture.
pub fn binary(workspace: &Workspace) -> Result<PathBuf> {
    build(workspace, "rootshift", "rootshift", "release", &[])
}

/// Builds the program with the commands that need not fit into an initramfs.
pub fn tools(workspace: &Workspace) -> Result<PathBuf> {
    let tools = ["--features", "tools"];
    build(workspace, "rootshift", "rootshift-tools", "release", &tools)
}

/// Builds the program with its fault points, for tests alone: not optimized, static as well.
pub fn fault_binary(workspace: &Workspace) -> Result<PathBuf> {
    for_tests(workspace, "fault", "fault")
}

/// Builds the program with one bug on purpose and with its fault points, for generated machines.
pub fn mutant_with_fault_points(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let feature = format!("fault,mutate-{}", name.trim_start_matches("mutate-"));
    for_tests(workspace, &feature, "mutants")
}

/// Builds the program with one bug on purpose, for the tests of the cut sweep.
pub fn mutant(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let feature = format!("mutate-{}", name.trim_start_matches("mutate-"));
    for_tests(workspace, &feature, "mutants")
}

fn for_tests(workspace: &Workspace, feature: &str, folder: &str) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = tool(cargo);
    command
        .current_dir(workspace.root())
        .args(["build", "--quiet", "--locked"])
        .args(["--package", "rootshift", "--bin", "rootshift"])
        .args(["--features", feature, "--target", MUSL_TARGET]);
    let folder = workspace.target().join(folder);
    show(command.arg("--target-dir").arg(&folder))?;
    Ok(folder.join(MUSL_TARGET).join("debug/rootshift"))
}

/// Builds the program that compares trees inside a guest.
pub fn guest_probe(workspace: &Workspace) -> Result<PathBuf> {
    build(workspace, "qemu-tests", "guest-probe", "probe", &[])
}

/// Builds the programs and the package around them; returns the package.
pub fn deb(workspace: &Workspace) -> Result<PathBuf> {
    let programs = [binary(workspace)?, tools(workspace)?];
    // Where `debian/rules` builds them itself.
    let place = format!("target/{MUSL_TARGET}/release");
    let staging = workspace.target().join("package");
    let root = workspace.root();
    debian::build(root, &programs, &place, &staging, workspace.target())
        .context("build the package")
}

/// Builds the binary and holds it against its limits; returns its size in bytes.
pub fn check_size(workspace: &Workspace) -> Result<u64> {
    let path = binary(workspace)?;
    let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    elf::ensure_static_pie(&bytes).with_context(|| format!("{}", path.display()))?;
    let size = u64::try_from(bytes.len())?;
    ensure!(
        size <= SIZE_LIMIT,
        "{} has {size} bytes, more than {SIZE_LIMIT}",
        path.display()
    );
    Ok(size)
}

fn build(
    workspace: &Workspace,
    package: &str,
    binary: &str,
    profile: &str,
    features: &[&str],
) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = tool(cargo);
    command.current_dir(workspace.root()).args([
        "build",
        "--quiet",
        "--locked",
        "--profile",
        profile,
    ]);
    // No program has a use for schemas and their validator; `rootshift` hands its tools over.
    command.args([
        "--no-default-features",
        "--target",
        MUSL_TARGET,
        "--package",
        package,
        "--bin",
        binary,
    ]);
    command.args(features);
    // The directory this harness looks in, whatever a configuration file says.
    show(command.arg("--target-dir").arg(workspace.target()))?;
    let path = workspace
        .target()
        .join(MUSL_TARGET)
        .join(profile)
        .join(binary);
    ensure!(
        Path::new(&path).exists(),
        "cargo built no {}",
        path.display()
    );
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::output;

    /// cargo-deny looks at the whole workspace's features, so it can't say this.
    #[test]
    fn what_is_for_tests_alone_is_not_shipped() {
        let workspace = Workspace::find().unwrap();
        let mut tree = tool(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        tree.current_dir(workspace.root())
            .args(["tree", "--locked", "--offline", "--prefix", "none"])
            .args(["--edges", "normal", "--no-default-features"])
            .args(["--package", "rootshift", "--target", MUSL_TARGET]);
        let shipped = output(&mut tree).unwrap();
        assert!(shipped.contains("serde_json v"), "{shipped}");
        for name in ["schemars", "jsonschema", "regex"] {
            assert!(!shipped.contains(name), "{name}: {shipped}");
        }
    }
}
