//! Stages that cargo runs.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::Tally;
use crate::run::{exists, run, tool};
use crate::workspace::Workspace;

/// About a minute; the whole one is a command of its own.
const SMALL_SWEEP: [&str; 5] = ["cut-sweep", "--points", "120", "--reorder", "1"];

/// One or two of each kind in each phase; the whole of it is a command of its own.
const FEW_FAULTS: [&str; 3] = ["faults", "--points", "40"];

/// Half a minute of generated machines; more of them are a command of its own.
const FEW_MACHINES: [&str; 3] = ["machines", "--points", "30"];

/// Tests of this name need root and loop devices.
const ON_LOOP_DEVICES: &str = "loop_";

/// Format, lints, and tests that need nothing.
pub(super) fn unit(workspace: &Workspace) -> Result<Tally> {
    let mut tally = Tally::default();
    tally.add(stage(workspace, &["fmt", "--all", "--check"])?);
    tally.add(stage(
        workspace,
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ],
    )?);
    tally.add(documents(workspace)?);
    let mut words = vec!["test", "--workspace", "--lib", "--bins"];
    let names = test_names(workspace.root(), false);
    words.extend(names.iter().flat_map(|name| ["--test", name.as_str()]));
    tally.add(tests(workspace, &words, false)?);
    Ok(tally)
}

/// Schemas and reference are what the types say. This program by itself is asked: its library has
/// the generator only where it is built with it.
fn documents(workspace: &Workspace) -> Result<Tally> {
    let own = std::env::current_exe().context("find this program")?;
    let checked = run(tool(own)
        .current_dir(workspace.root())
        .args(["schema", "--check"]));
    match &checked {
        Ok(()) => println!("ok   schemas and reference are what the types say"),
        Err(error) => println!("FAIL schemas and reference: {error:#}"),
    }
    Ok(Tally::from(checked.is_ok()))
}

/// A small cut sweep, in a process of its own: it has mounts of its own.
pub(super) fn cut_sweep(workspace: &Workspace) -> Result<Tally> {
    itself(workspace, &SMALL_SWEEP)
}

/// A few faults of the disk, likewise.
pub(super) fn faults(workspace: &Workspace) -> Result<Tally> {
    itself(workspace, &FEW_FAULTS)
}

/// A few generated machines, likewise.
pub(super) fn machines(workspace: &Workspace) -> Result<Tally> {
    itself(workspace, &FEW_MACHINES)
}

/// Runs one of this program's own commands.
fn itself(workspace: &Workspace, words: &[&str]) -> Result<Tally> {
    let own = std::env::current_exe().context("find this program")?;
    let mut command = tool(own);
    command.current_dir(workspace.root());
    let good = command.args(words).status()?.success();
    let verdict = if good { "ok  " } else { "FAIL" };
    println!("{verdict} {}", words.join(" "));
    Ok(Tally::from(good))
}

/// Integration tests that work on real file systems behind loop devices.
pub(super) fn on_loop_devices(workspace: &Workspace, thorough: bool) -> Result<Tally> {
    let names = test_names(workspace.root(), true);
    if names.is_empty() {
        return Ok(Tally::default());
    }
    let mut words = vec!["test", "--features", "fault"];
    words.extend(names.iter().flat_map(|name| ["--test", name.as_str()]));
    tests(workspace, &words, thorough)
}

/// Bans, licences and sources, as `deny.toml` says. cargo-deny is built when it is missing.
pub(super) fn deny(workspace: &Workspace) -> Result<Tally> {
    let tools = workspace.target().join("tools");
    let program = tools.join("bin/cargo-deny");
    if !exists("cargo-deny") && !program.exists() {
        println!("setup: cargo install cargo-deny (into {})", tools.display());
        let mut install = cargo(workspace, &["install", "cargo-deny", "--quiet", "--debug"]);
        install
            .args(["--locked", "--version", "0.20.2"])
            .arg("--root")
            .arg(&tools);
        run(install
            .arg("--target-dir")
            .arg(workspace.target().join("tools-build")))?;
    }
    let program = if program.exists() {
        program
    } else {
        "cargo-deny".into()
    };
    let mut check = tool(program);
    check
        .current_dir(workspace.root())
        .args(["check", "bans", "licenses", "sources"]);
    let checked = run(&mut check);
    match &checked {
        Ok(()) => println!("ok   cargo deny check bans licenses sources"),
        Err(error) => println!("FAIL cargo deny check: {error:#}"),
    }
    Ok(Tally::from(checked.is_ok()))
}

/// Names of `tests/*.rs`, either those on loop devices or the others.
fn test_names(root: &Path, on_loop_devices: bool) -> Vec<String> {
    let entries = std::fs::read_dir(root.join("tests"))
        .into_iter()
        .flatten()
        .flatten();
    let files = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let names = files.filter_map(|file| file.strip_suffix(".rs").map(str::to_owned));
    let mut names: Vec<_> = names
        .filter(|name| name.starts_with(ON_LOOP_DEVICES) == on_loop_devices)
        .collect();
    names.sort();
    names
}

/// A command that is one test by itself.
fn stage(workspace: &Workspace, words: &[&str]) -> Result<Tally> {
    let good = cargo(workspace, words)
        .status()
        .context("start cargo")?
        .success();
    println!(
        "{} cargo {}",
        if good { "ok  " } else { "FAIL" },
        words.join(" ")
    );
    Ok(Tally::from(good))
}

/// `cargo test`, its lines passed on and its results added up.
fn tests(workspace: &Workspace, words: &[&str], thorough: bool) -> Result<Tally> {
    let mut command = cargo(workspace, words);
    if thorough {
        command.env("ROOTSHIFT_THOROUGH", "1");
    }
    command.arg("--no-fail-fast");
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("start cargo")?;
    let output = child.stdout.take().context("cargo has a standard output")?;
    let mut tally = Tally::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        tally.add(result_line(&line).unwrap_or_default());
    }
    if !child.wait()?.success() && tally.failed == 0 {
        // It did not compile, or a test program ended without a result.
        tally.failed = 1;
    }
    Ok(tally)
}

fn cargo(workspace: &Workspace, words: &[&str]) -> Command {
    let mut command = tool(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace.root()).args(words);
    command
}

/// `test result: ok. 30 passed; 1 failed; …`
fn result_line(line: &str) -> Option<Tally> {
    let rest = line.strip_prefix("test result: ")?;
    let count = |word: &str| {
        let part = rest
            .split([';', '.'])
            .map(str::trim)
            .find(|part| part.ends_with(word))?;
        part.split(' ').next()?.parse().ok()
    };
    Some(Tally {
        passed: count(" passed")?,
        failed: count(" failed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_result_line_is_read() {
        let line =
            "test result: FAILED. 30 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            result_line(line),
            Some(Tally {
                passed: 30,
                failed: 2
            })
        );
        assert_eq!(result_line("test tree::walk ... ok"), None);
    }

    #[test]
    fn tests_on_loop_devices_are_kept_apart() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tests")).unwrap();
        for name in ["loop_migration.rs", "rooms.rs", "data.json"] {
            std::fs::write(folder.path().join("tests").join(name), "").unwrap();
        }
        assert_eq!(test_names(folder.path(), true), ["loop_migration"]);
        assert_eq!(test_names(folder.path(), false), ["rooms"]);
    }
}
