//! `ext4-in-place` and `ext4-to-disk`: how the root comes to be a btrfs, and what to mind.

use std::path::Path;

use crate::bootcfg::fstab::{Entry, Fstab, is_ext_only_option};
use crate::documents::batch::Batch;
use crate::documents::check::Size;
use crate::documents::{Layout, Origin};
use crate::engine::Error;
use crate::engine::conversions::{self, PlannedConversion, Target, candidates};
use crate::engine::survey::Survey;
use crate::report::units::{bytes, rough};

/// Space that is asked for is rounded up to this.
const MEGABYTE: u64 = 1 << 20;
/// What btrfs-convert takes of memory (facts crash.md 2.7: 450 MB for 200,000 files).
const MEMORY: u64 = 128 << 20;
const MEMORY_OF_A_FILE: u64 = 2048;

/// In its place, or to this target or the only one that there is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way<'a> {
    InPlace,
    ToDisk(Option<&'a str>),
}

/// States in the layout how the root comes to be, and holds the machine against it.
pub(super) fn add(survey: &Survey, way: Way, layout: &mut Layout) -> Result<(), Error> {
    let filesystem = format!("UUID={}", conversions::uuid_of(survey, "/")?);
    let comment = Some(about(survey)?);
    let origin = match way {
        Way::InPlace => Origin::Convert {
            comment,
            filesystem,
        },
        Way::ToDisk(target) => Origin::Copy {
            comment,
            filesystem,
            target: match target {
                Some(name) => name.to_owned(),
                None => only_one(survey)?,
            },
        },
    };
    if let Some(root) = layout.filesystems.first_mut() {
        root.from = Some(origin);
    }
    let planned = conversions::planned(survey, layout)?;
    if let Some(obstacle) = planned.iter().flat_map(|one| &one.obstacles).next() {
        return Err(Error::NotNow(format!("{obstacle}. Nothing was written")));
    }
    if let (Some(root), Some(one)) = (layout.filesystems.first_mut(), planned.first()) {
        tell(root.from.as_mut(), one);
    }
    Ok(())
}

/// Puts the forecast into the remark, and names the target by its UUID.
fn tell(origin: Option<&mut Origin>, one: &PlannedConversion) {
    let (needed, free) = (
        bytes(one.space_needed_bytes),
        bytes(one.space_available_bytes),
    );
    let (fast, slow) = (rough(one.seconds), rough(one.seconds_on_slow_disk));
    let used = format!("{} by {} files", bytes(one.used_bytes), one.inodes);
    let (words, to) = match origin {
        Some(Origin::Convert { comment, .. }) => {
            let way = format!("btrfs-convert builds a btrfs in what is free: {needed} at most");
            (comment, format!("{way}, {free} are"))
        }
        Some(Origin::Copy {
            comment, target, ..
        }) => {
            let Some(Target {
                device,
                uuid,
                size_bytes,
                ..
            }) = &one.target
            else {
                return;
            };
            *target = format!("UUID={uuid}");
            let (device, size) = (device.display(), bytes(*size_bytes));
            let to =
                format!("All is copied to {device} ({size}): {needed} at most, {free} are free");
            (comment, to)
        }
        None => return,
    };
    let minded = words.take().unwrap_or_default();
    *words = Some(format!(
        "Used: {used}. {to}. Takes about {fast}, {slow} on a slow disk. {minded}"
    ));
}

/// The only empty btrfs of the machine that is large enough.
fn only_one(survey: &Survey) -> Result<String, Error> {
    let mut found = candidates(survey)?;
    let used = survey.system.free_space()?;
    let used = used.total_bytes.saturating_sub(used.free_bytes);
    if found.len() > 1 {
        found.retain(|target| target.available_bytes > used);
    }
    match found.as_slice() {
        [only] => Ok(format!("UUID={}", only.uuid)),
        [] => Err(Error::NotNow(
            "ext4-to-disk: there is no empty btrfs on this machine to copy to; make one on a spare \
             partition with `mkfs.btrfs`, then name it: --target /dev/…. Nothing was written"
                .into(),
        )),
        several => {
            let names = several.iter().map(|one| one.device.display().to_string());
            Err(Error::NotNow(format!(
                "ext4-to-disk: {} are empty btrfs; say which one: --target /dev/…. Nothing was \
                 written",
                names.collect::<Vec<_>>().join(", ")
            )))
        }
    }
}

/// What follows from the way for the machine: what has to be there.
pub(super) fn require(batch: &mut Batch, survey: &Survey) -> Result<(), Error> {
    let planned = conversions::planned(survey, &batch.layout)?;
    if planned.is_empty() {
        return Ok(());
    }
    let requirements = &mut batch.dependencies.system_requirements;
    requirements.required_filesystems.push("ext4".into());
    for (_, origin) in batch.layout.to_be_made() {
        let commands = origin.commands().iter().map(|name| (*name).to_owned());
        requirements.required_commands.extend(commands);
    }
    for one in planned.iter().filter(|one| one.target.is_none()) {
        let memory = (MEMORY + one.inodes * MEMORY_OF_A_FILE).next_multiple_of(MEGABYTE);
        requirements.min_memory = Some(Size(memory));
        let needed = one.space_needed_bytes.next_multiple_of(MEGABYTE);
        let asked = requirements.min_disk_space.map_or(0, |asked| asked.0);
        requirements.min_disk_space = Some(Size(needed.max(asked)));
    }
    if let Some(looks) = batch.phases.first_mut() {
        looks.comment = Some(
            "Runs in the system once its root is btrfs, when the plan is armed. It only looks."
                .into(),
        );
    }
    Ok(())
}

/// What to mind of fstab, swap, hibernation and other file systems, as this machine has them.
fn about(survey: &Survey) -> Result<String, Error> {
    let mut words = Vec::new();
    if survey.system.exists(Path::new("etc/fstab"))? {
        let fstab = Fstab::parse(&survey.system.read_text(Path::new("etc/fstab"))?);
        words.extend(fstab.entry_for("/").map(about_root_line));
        for entry in fstab.entries().filter(|entry| entry.fstype == "swap") {
            words.push(about_swap(&entry.source));
        }
    }
    for place in ["/boot", "/usr", "/var"] {
        let mut mounts = survey.mounts.iter();
        if mounts.any(|mount| mount.mount_point == Path::new(place)) {
            words.push(format!(
                "{place} is a file system of its own: rootshift moves a root that holds it, so \
                 move it there first."
            ));
        }
    }
    Ok(words.join(" "))
}

fn about_root_line(entry: &Entry) -> String {
    let ext = entry.options.iter().filter(|name| is_ext_only_option(name));
    let ext = ext.map(String::as_str).collect::<Vec<_>>().join(",");
    let lost = match ext.as_str() {
        "" => String::new(),
        options => format!(", without {options}, which btrfs does not know"),
    };
    format!(
        "Line {} of fstab ({} at /) becomes one of type btrfs{lost}.",
        entry.line, entry.source
    )
}

fn about_swap(source: &str) -> String {
    if source.starts_with('/') && !source.starts_with("/dev/") {
        return format!(
            "The swap file {source} has to go first (`swapoff {source}`, its line in fstab, the \
             file); make it anew afterwards, in a subvolume of its own without copy-on-write."
        );
    }
    format!(
        "Swap on {source} stays as it is. Don't hibernate from arming to the end: the image would \
         be of a system whose root is no more."
    )
}
