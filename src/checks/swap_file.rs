//! `no-swap-file`: a swap file that is in a snapshot can't be used any more, in either copy (facts
//! boot.md 4.3).

use std::path::Path;

use super::{CheckContext, Error, Outcome};
use crate::bootcfg::fstab::Fstab;
use crate::sys::Root;

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let Some(file) = swap_file(context.system)? else {
        return Ok(Outcome::Pass);
    };
    Ok(Outcome::fail(
        format!("the swap file {file} is on the root file system"),
        format!(
            "not supported yet: run `swapoff {file}` and put a # before its line in /etc/fstab; the \
             file may stay. After the migration make one in a subvolume of its own (`btrfs \
             filesystem mkswapfile`)"
        ),
    ))
}

fn swap_file(system: &Root) -> Result<Option<String>, Error> {
    let fstab = Fstab::parse(&system.read_text(Path::new("etc/fstab"))?);
    let named = fstab
        .entries()
        .filter(|entry| entry.fstype == "swap" && is_file_path(&entry.source))
        .map(|entry| entry.source.clone())
        .next();
    if named.is_some() {
        return Ok(named);
    }
    let active = system.read_text(Path::new("proc/swaps"))?;
    let files = active
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next());
    Ok(files
        .filter(|path| is_file_path(path))
        .map(str::to_owned)
        .next())
}

fn is_file_path(source: &str) -> bool {
    source.starts_with('/') && !source.starts_with("/dev/")
}
