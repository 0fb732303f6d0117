//! A disk without room: filled below rootshift's own place, which belongs to no system.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use rootshift::sys::Root;
use rootshift::sys::room::reserve;

use super::trouble::Full;
use crate::run::{run, tool};

/// A block of a file.
const BLOCK: u64 = 4096;
/// The pieces in which room is taken, the last one a block.
const PIECES: [u64; 5] = [64 << 20, 4 << 20, 256 << 10, 32 << 10, BLOCK];
/// A link's target lies in the metadata, whole.
const TARGET: usize = 3900;
/// Links that make room for a few files' metadata.
const LINKS: usize = 16;

/// Fills the disk, and then makes so much room again.
pub fn fill(top: &Root, full: Full, left: usize) -> Result<()> {
    let folder = ballast(top);
    fs::create_dir_all(&folder)?;
    let spare = |number: usize| folder.join(format!("spare-{number}"));
    let blocks = if full == Full::Data { left } else { 0 };
    for number in 0..blocks {
        take(&spare(number), BLOCK).context("a disk with a little room")?;
    }
    fill_data(top, &folder)?;
    for number in 0..blocks {
        fs::remove_file(spare(number))?;
    }
    if full == Full::Metadata {
        let links = fill_metadata(top, &folder)?;
        let spared = links.len().saturating_sub(left * LINKS);
        for link in &links[spared..] {
            fs::remove_file(link)?;
        }
    }
    // What was freed can be taken again after a commit.
    Ok(top.sync_filesystem()?)
}

/// Takes all of it away.
pub fn empty(top: &Root) -> Result<()> {
    let folder = ballast(top);
    for _ in 0..3 {
        // On a full disk even this may need a commit in between.
        if fs::remove_dir_all(&folder).is_ok() || !folder.exists() {
            break;
        }
        top.sync_filesystem()?;
    }
    ensure!(!folder.exists(), "the full disk can't be emptied");
    top.sync_filesystem()?;
    // Chunks that nothing lies in are given back only at the cleaner's leisure.
    let mut balance = tool("btrfs");
    balance.args(["balance", "start", "-dusage=0", "-musage=0"]);
    run(balance.arg(top.path()))
}

fn ballast(top: &Root) -> PathBuf {
    top.path().join(".rootshift/ballast")
}

/// Room for a file of this size, without its content.
fn take(path: &Path, size: u64) -> Result<()> {
    let file = File::create(path)?;
    Ok(reserve(&file, path, size)?)
}

fn fill_data(top: &Root, folder: &Path) -> Result<()> {
    for round in 0..2 {
        for size in PIECES {
            let mut number = 0;
            while take(&folder.join(format!("{size}-{round}-{number}")), size).is_ok() {
                number += 1;
            }
        }
        top.sync_filesystem()?;
    }
    let probe = folder.join("probe");
    ensure!(take(&probe, BLOCK).is_err(), "the disk is not full");
    _ = fs::remove_file(probe);
    Ok(top.sync_filesystem()?)
}

/// The links that it took.
fn fill_metadata(top: &Root, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut links = Vec::new();
    for length in [TARGET, 200, 1] {
        let target = "x".repeat(length);
        // What is reserved for the worst case is given back by a commit.
        for _ in 0..3 {
            loop {
                let link = folder.join(format!("link-{}", links.len()));
                if symlink(&target, &link).is_err() {
                    break;
                }
                links.push(link);
            }
            top.sync_filesystem()?;
        }
    }
    Ok(links)
}

/// Whether a small file can be written and made durable.
pub fn is_writable(top: &Root) -> bool {
    let probe = top.path().join(".rootshift/probe");
    let written = File::create(&probe).and_then(|file| {
        std::io::Write::write_all(&mut &file, &[7; 512])?;
        file.sync_data()
    });
    let removed = fs::remove_file(probe);
    written.and(removed).is_ok()
}
