//! `free-space`: room for the plan, or for what a batch asks for.

use super::{CheckContext, Error, Outcome};
use crate::documents::check::Size;
use crate::sys::Root;
use crate::sys::btrfs::{self, Space};

/// Bytes of metadata a migration must find free: snapshots and renames touch a few hundred tree
/// nodes of 16 KiB, twice with DUP; the rest is reserve, because btrfs refuses late and badly.
const METADATA: u64 = 32 * 1024 * 1024;

pub(super) fn look(context: &CheckContext, minimum: Option<Size>) -> Result<Outcome, Error> {
    let top = context.top.unwrap_or(context.system);
    if let Some(minimum) = minimum {
        let free = top.free_space()?.available_bytes;
        if free < minimum.0 {
            let (free, minimum) = (megabytes(free), megabytes(minimum.0));
            return Ok(Outcome::fail(
                format!("{free} MiB of the root file system are free, {minimum} MiB are required"),
                "delete something, or ask for less in the batch (min_disk_space)",
            ));
        }
    }
    if let Some(problem) = little_metadata("/", top)? {
        return Ok(problem);
    }
    for other in context.others {
        if let Some(problem) = little_metadata(&other.mounted_at, &other.top)? {
            return Ok(problem);
        }
    }
    Ok(Outcome::Pass)
}

fn little_metadata(place: &str, top: &Root) -> Result<Option<Outcome>, Error> {
    let space = btrfs::space(top)?;
    let (free, needed) = (free_metadata(&space), METADATA);
    Ok((free < needed).then(|| {
        Outcome::fail(
            format!(
                "{} MiB of metadata space are free on {place}, the plan needs {} MiB",
                megabytes(free),
                megabytes(needed)
            ),
            format!("delete something, then run `btrfs balance start -dusage=20 {place}`"),
        )
    }))
}

/// What metadata can still grow into: its own chunks' rest, less what the kernel keeps for
/// itself, and space that no chunk has taken.
fn free_metadata(space: &Space) -> u64 {
    let in_chunks = space.metadata_total.saturating_sub(space.metadata_used);
    let copies = space.metadata_copies.max(1);
    in_chunks.saturating_sub(space.global_reserve) + space.unallocated / copies
}

fn megabytes(bytes: u64) -> u64 {
    bytes >> 20
}
