//! What a path leads to: what is mounted there, by which spelling of a device, whether fstab wants
//! it.

use std::path::Path;

use super::{CheckContext, Error, Looker, Outcome};
use crate::bootcfg::fstab::Entry;
use crate::sys::Root;
use crate::sys::mount::Mount;
use crate::sys::status::FileKind;

/// A file system to look at, or the outcome that takes its place.
pub(super) enum Place {
    There(Root),
    Not(Outcome),
}

/// The file system at a path; an optional one only where it is mounted.
pub(super) fn open(looker: &Looker, at: &str, optional: bool) -> Result<Place, Error> {
    let context = &looker.context;
    let path = Path::new(at);
    if optional && mounted(context, at).is_none() {
        return Ok(Place::Not(not_mounted(looker, at, optional)?));
    }
    if context.system.resolved_status(path)?.is_none() {
        return Ok(Place::Not(missing(at)));
    }
    Ok(Place::There(context.system.within(path)?))
}

pub(super) fn missing(path: &str) -> Outcome {
    Outcome::fail(
        format!("{path} does not exist"),
        format!("look at `ls -ld {path}`"),
    )
}

/// What is mounted exactly there. autofs only waits for somebody to ask.
pub(super) fn mounted<'a>(context: &CheckContext<'a>, at: &str) -> Option<&'a Mount> {
    context
        .mount_at(at)
        .filter(|mount| mount.fstype != "autofs")
}

/// Nothing is mounted there: is that wrong?
pub(super) fn not_mounted(looker: &Looker, at: &str, optional: bool) -> Result<Outcome, Error> {
    let entry = looker.fstab()?.entry_for(at);
    if optional && entry.is_none_or(on_demand) {
        return Ok(Outcome::Skip(format!("this machine has no {at}")));
    }
    Ok(match entry {
        Some(_) => Outcome::fail(
            format!("{at} is in /etc/fstab and not mounted"),
            format!("run `mount {at}` and look at what it says"),
        ),
        None => Outcome::fail(
            format!("nothing is mounted at {at}, and /etc/fstab does not name it"),
            format!("add a line for {at} to /etc/fstab and run `mount {at}`"),
        ),
    })
}

/// systemd.mount(5).
fn on_demand(entry: &Entry) -> bool {
    let late = |option: &String| option == "noauto" || option == "x-systemd.automount";
    entry.options.iter().any(late)
}

/// The mount through which a path is reached; `None` when it does not exist.
pub(super) fn covering<'a>(
    context: &CheckContext<'a>,
    path: &Path,
) -> Result<Option<&'a Mount>, Error> {
    let Some(status) = context.system.resolved_status(path)? else {
        return Ok(None);
    };
    let by_number = |mount: &&Mount| mount.id == status.mount;
    let mounts = context.mounts.iter();
    // Kernels before 5.8 do not tell the number.
    Ok(mounts.clone().rev().find(by_number).or_else(|| {
        let holds = |mount: &&Mount| path.starts_with(&mount.mount_point);
        mounts
            .filter(holds)
            .max_by_key(|mount| mount.mount_point.components().count())
    }))
}

/// Do both mean the same device?
pub(super) fn same_source(context: &CheckContext, one: &str, other: &str) -> Result<bool, Error> {
    let known = |spelled: &str| {
        context.identity.is_some_and(|identity| {
            spelled.eq_ignore_ascii_case(&format!("UUID={}", identity.uuid))
                || identity.aliases.iter().any(|alias| alias == spelled)
        })
    };
    if one.eq_ignore_ascii_case(other) || (known(one) && known(other)) {
        return Ok(true);
    }
    Ok(device_name(context.system, one)? == device_name(context.system, other)?)
}

/// The kernel's name of a device, through the links that udev makes; other words as they are.
fn device_name(system: &Root, spelled: &str) -> Result<String, Error> {
    let tags = [
        ("UUID=", "by-uuid"),
        ("LABEL=", "by-label"),
        ("PARTUUID=", "by-partuuid"),
        ("PARTLABEL=", "by-partlabel"),
    ];
    let tagged = tags.iter().find_map(|(tag, folder)| {
        let value = spelled.strip_prefix(tag)?.trim_matches('"');
        Some(format!("/dev/disk/{folder}/{value}"))
    });
    let path = tagged.as_deref().unwrap_or(spelled);
    if !path.starts_with("/dev/") {
        return Ok(spelled.to_owned());
    }
    let path = Path::new(path);
    // By number: /dev/mapper/x, /dev/dm-0 and LABEL=x are three names of one device.
    match system.resolved_status(path) {
        Ok(Some(led)) if led.kind == FileKind::BlockDevice => {
            return Ok(format!("device {:#x}", led.special_device));
        }
        Ok(_) | Err(_) => {}
    }
    let name = match system.read_link(path) {
        Ok(target) => target.file_name().map(ToOwned::to_owned),
        Err(error) if error.is_not_found() && tagged.is_some() => return Ok(spelled.to_owned()),
        Err(_) => path.file_name().map(ToOwned::to_owned),
    };
    Ok(name.unwrap_or_default().to_string_lossy().into_owned())
}
