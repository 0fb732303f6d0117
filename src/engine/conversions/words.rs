//! A planned conversion as people read it.

use super::PlannedConversion;
use crate::report::units::{bytes, rough};

/// Its lines, the first of them a heading.
#[must_use]
pub fn lines(one: &PlannedConversion) -> Vec<String> {
    let place = &one.mounted_at;
    let risk = one.risk_level.name();
    let (device, uuid) = (one.device.display(), &one.uuid);
    let (size, used) = (bytes(one.size_bytes), bytes(one.used_bytes));
    let mut lines = vec![
        format!("conversion of {place} (in the initramfs, before root is mounted) [{risk}]"),
        format!("  from: {device}, ext4, UUID {uuid}, {size}"),
        format!("  used: {used} by {} files and directories", one.inodes),
    ];
    lines.push(match &one.target {
        None => "  way: btrfs-convert, in its place; it keeps its UUID. The ext4 as it was stays \
                 in the subvolume ext2_saved until `rootshift finalize`"
            .to_owned(),
        Some(target) => format!(
            "  way: copied to {}, btrfs, UUID {}, {}. The ext4 stays as it is",
            target.device.display(),
            target.uuid,
            bytes(target.size_bytes)
        ),
    });
    let (needed, there) = space(one);
    let enough = if one.space_is_there { "" } else { "not " };
    lines.push(format!(
        "  space: {needed} needed at most, {there} free: {enough}enough"
    ));
    let (fast, slow) = (rough(one.seconds), rough(one.seconds_on_slow_disk));
    lines.push(format!("  time: about {fast}, {slow} on a slow disk"));
    lines.push(format!("  basis: {}", one.basis));
    lines.push(format!("  not kept: {}", one.not_kept.join("; ")));
    lines
}

/// One line, where there is too little of it.
pub(super) fn little_space(one: &PlannedConversion) -> Option<String> {
    if one.space_is_there {
        return None;
    }
    let (needed, there) = space(one);
    Some(match &one.target {
        None => format!(
            "{there} of {} are free, btrfs-convert may need {needed}; make room",
            one.mounted_at
        ),
        Some(target) => format!(
            "the target {} is too small: {there} of it are free, {needed} are needed for the {} \
             of {}; name a larger one",
            target.device.display(),
            bytes(one.used_bytes),
            one.mounted_at
        ),
    })
}

fn space(one: &PlannedConversion) -> (String, String) {
    let (needed, there) = (one.space_needed_bytes, one.space_available_bytes);
    (bytes(needed), bytes(there))
}
