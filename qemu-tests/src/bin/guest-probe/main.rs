//! Runs inside the guest: records the system before a migration, compares it after.
//!
//! `guest-probe record NOTES`, `guest-probe compare flat|subvolumes NOTES`. Prints one line of
//! JSON; ends with 0 only when every file is as it was.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use qemu_tests::proof::{self, View};
use rootshift::sys::mount;

const TOP: &str = "/run/guest-probe";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ended = match words.as_slice() {
        ["record", notes] => record(notes),
        ["compare", view, notes] => compare(view, notes),
        _ => Err(anyhow::anyhow!(
            "usage: guest-probe record NOTES | compare VIEW NOTES"
        )),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest-probe: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn record(notes: &str) -> Result<()> {
    let sections = with_top_level(|top| proof::record(top, View::Flat))?;
    let disk = File::options()
        .write(true)
        .open(notes)
        .with_context(|| format!("open {notes}"))?;
    proof::write(&sections, &disk)?;
    disk.sync_all().context("sync the notes")?;
    let count: usize = sections
        .iter()
        .map(|section| section.manifest.entries().len())
        .sum();
    println!("{{\"recorded\":{count}}}");
    Ok(())
}

fn compare(view: &str, notes: &str) -> Result<()> {
    let before = proof::read(File::open(notes).with_context(|| format!("open {notes}"))?)?;
    let after = with_top_level(|top| proof::record(top, view.parse()?))?;
    let verdict = proof::compare(&before, &after)?;
    println!("{}", serde_json::to_string(&verdict)?);
    if verdict.is_clean() {
        Ok(())
    } else {
        bail!("{} entries differ", verdict.different())
    }
}

/// The device of `/`, mounted a second time: both systems are seen whole, and nothing that is
/// mounted over them.
fn with_top_level<T>(work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    let root = mount::parse_mountinfo(&table)
        .into_iter()
        .rfind(|m| m.mount_point == Path::new("/"));
    let device = root.context("nothing is mounted at /")?.source;
    let top = Path::new(TOP);
    std::fs::create_dir_all(top)?;
    mount::mount_top_level(Path::new(&device), top)?;
    let made = work(top);
    mount::unmount(top)?;
    made
}
