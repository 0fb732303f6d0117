//! `free-space`, `device-statistics`: room for the plan, or for what a document asks for, and the
//! errors that btrfs has counted on its devices.

use super::place::{self, Place};
use super::{CheckContext, Error, Looker, Outcome};
use crate::documents::check::{PlaceParameters, Size, SpaceParameters};
use crate::sys::Root;
use crate::sys::btrfs::{self, DeviceErrors, ERROR_KINDS, Space};

/// Bytes of metadata a migration must find free: snapshots and renames touch a few hundred tree
/// nodes of 16 KiB, twice with DUP; the rest is reserve, because btrfs refuses late and badly.
const METADATA: Size = Size(32 * 1024 * 1024);

pub(super) fn look(looker: &Looker, wanted: &SpaceParameters) -> Result<Outcome, Error> {
    let context = &looker.context;
    let Some(at) = &wanted.at else {
        let top = context.top.unwrap_or(context.system);
        let metadata = wanted.metadata.unwrap_or(METADATA);
        let outcome = enough(top, "/", wanted.minimum, Some(metadata))?;
        return match outcome {
            Outcome::Pass => elsewhere(context, metadata),
            outcome => Ok(outcome),
        };
    };
    match place::open(looker, at, wanted.optional)? {
        Place::There(root) => enough(&root, at, wanted.minimum, wanted.metadata),
        Place::Not(outcome) => Ok(outcome),
    }
}

/// The layout's other file systems get snapshots, too.
fn elsewhere(context: &CheckContext, metadata: Size) -> Result<Outcome, Error> {
    for other in context.others {
        if let Some(problem) = little_metadata(&other.top, &other.mounted_at, metadata)? {
            return Ok(problem);
        }
    }
    Ok(Outcome::Pass)
}

fn enough(
    root: &Root,
    name: &str,
    data: Option<Size>,
    metadata: Option<Size>,
) -> Result<Outcome, Error> {
    if let Some(minimum) = data {
        let free = root.free_space()?.available_bytes;
        if free < minimum.0 {
            let (free, minimum) = (megabytes(free), megabytes(minimum.0));
            return Ok(Outcome::fail(
                format!("{free} MiB of {name} are free, {minimum} MiB are required"),
                "make room, or ask for less in the document (min_disk_space, minimum)",
            ));
        }
    }
    match metadata {
        Some(needed) => Ok(little_metadata(root, name, needed)?.unwrap_or(Outcome::Pass)),
        None => Ok(Outcome::Pass),
    }
}

fn little_metadata(root: &Root, name: &str, needed: Size) -> Result<Option<Outcome>, Error> {
    let free = free_metadata(&btrfs::space(root)?);
    if free >= needed.0 {
        return Ok(None);
    }
    let (free, needed) = (megabytes(free), megabytes(needed.0));
    Ok(Some(Outcome::fail(
        format!("{free} MiB of metadata space are free on {name}, {needed} MiB are needed"),
        format!("run `btrfs balance start -dusage=20 {name}`; if that is not enough, make room"),
    )))
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

pub(super) fn device_statistics(
    looker: &Looker,
    wanted: &PlaceParameters,
) -> Result<Outcome, Error> {
    let at = wanted.at.as_deref().unwrap_or("/");
    let devices = match place::open(looker, at, wanted.optional)? {
        Place::There(root) => btrfs::device_errors(&root)?,
        Place::Not(outcome) => return Ok(outcome),
    };
    let counted: Vec<String> = devices.iter().filter_map(in_words).collect();
    if counted.is_empty() {
        return Ok(Outcome::Pass);
    }
    Ok(Outcome::fail(
        format!("{at} has counted errors: {}", counted.join("; ")),
        format!(
            "look at `btrfs device stats {at}` and `dmesg`, run `btrfs scrub start {at}`; once \
             mended, `btrfs device stats -z {at}` starts anew"
        ),
    ))
}

fn in_words(device: &DeviceErrors) -> Option<String> {
    let counted = ERROR_KINDS.iter().zip(device.counters);
    let errors: Vec<String> = counted
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    (!errors.is_empty()).then(|| format!("device {}: {}", device.id, errors.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::in_words;
    use crate::sys::btrfs::DeviceErrors;

    #[test]
    fn errors_are_told_by_kind() {
        let device = |counters| DeviceErrors { id: 2, counters };
        assert_eq!(in_words(&device([0; 5])), None);
        let text = in_words(&device([1, 0, 0, 7, 0]));
        assert_eq!(text.as_deref(), Some("device 2: 1 write, 7 corruption"));
    }
}
