//! Whether the kernel command line by itself leads to a root, as initramfs-tools would mount it.

use std::path::Path;

use super::Error;
use crate::bootcfg::cmdline::CommandLine;
use crate::documents::plan::FilesystemIdentity;
use crate::sys::{Root, block};

/// The kernel's command line.
const COMMAND_LINE: &str = "proc/cmdline";
const BOOT_ID: &str = "proc/sys/kernel/random/boot_id";

/// The command line of the running kernel.
///
/// # Errors
/// When it can't be read.
pub fn command_line(system: &Root) -> Result<CommandLine, Error> {
    Ok(CommandLine::parse(
        system.read_text(Path::new(COMMAND_LINE))?.trim_end(),
    ))
}

/// The kernel's id of this boot; the same in the initramfs and in the system after it.
#[must_use]
pub fn boot_id(system: &Root) -> Option<String> {
    let text = system.read_text(Path::new(BOOT_ID)).ok()?;
    let id = text.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

/// The subvolume that mount options choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice<'a> {
    /// By its name, without slashes around it; empty for the top level.
    pub name: Option<&'a str>,
    /// By its number, as it is written.
    pub number: Option<&'a str>,
}

/// What mount options choose, as the kernel reads them: of several names and numbers the last one
/// counts, and where both are given the name does: the kernel refuses a number that is another
/// subvolume's (fs/btrfs/super.c, `mount_subvol`). Neither means the default subvolume.
#[must_use]
pub fn choice(root_flags: &str) -> Choice<'_> {
    let last = |name| {
        let mut options = root_flags.split(',').map(str::trim).rev();
        options.find_map(|option| option.strip_prefix(name))
    };
    Choice {
        name: last("subvol=").map(|name| name.trim_matches('/')),
        number: last("subvolid="),
    }
}

/// The subvolume that these mount options choose by its name; of a boot that mounted it a number
/// beside the name was the same one's.
#[must_use]
pub fn chosen_subvolume(root_flags: &str) -> Option<&str> {
    choice(root_flags).name
}

/// The same where nothing has been mounted yet: a number beside the name may be another's.
pub(super) fn surely_chosen(root_flags: &str) -> Option<&str> {
    let choice = choice(root_flags);
    choice.name.filter(|_| choice.number.is_none())
}

/// Why the command line does not lead to this subvolume of this file system; none when it does.
///
/// # Errors
/// When the device that it names can't be read.
pub fn why_not_named(
    system: &Root,
    line: &CommandLine,
    identity: &FilesystemIdentity,
    subvolume: &str,
) -> Result<Option<String>, Error> {
    let root = line.value("root").unwrap_or_default();
    if !is_filesystem(system, root, identity)? {
        return Ok(Some(format!("it says root={root}")));
    }
    Ok(why_not_chosen(line, subvolume))
}

/// Why the command line does not choose this subvolume, of whatever file system.
#[must_use]
pub fn why_not_chosen(line: &CommandLine, subvolume: &str) -> Option<String> {
    // initramfs-tools obeys the last one only (facts boot.md D9).
    match line.value("rootflags") {
        None => Some(format!("it has no rootflags=subvol={subvolume}")),
        Some(flags) if chosen_subvolume(flags) != Some(subvolume) => Some(format!(
            "its last rootflags= is {flags}, not subvol={subvolume}"
        )),
        Some(_) => None,
    }
}

fn is_filesystem(system: &Root, root: &str, identity: &FilesystemIdentity) -> Result<bool, Error> {
    let uuid = root.strip_prefix("UUID=");
    let uuid = uuid.or_else(|| root.strip_prefix("/dev/disk/by-uuid/"));
    if let Some(uuid) = uuid {
        return Ok(uuid.eq_ignore_ascii_case(&identity.uuid));
    }
    if identity.aliases.iter().any(|alias| alias == root) {
        return Ok(true);
    }
    let is_device = root.starts_with("/dev/") && system.exists(Path::new(root))?;
    Ok(is_device && block::btrfs_uuid(Path::new(root))?.as_ref() == Some(&identity.uuid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts() {
        for (flags, name) in [
            ("subvol=@", Some("@")),
            ("noatime,subvol=/@", Some("@")),
            ("subvol=@,subvol=@old", Some("@old")),
            ("subvol=/", Some("")),
            ("subvolid=256", None),
            ("subvol=@,subvolid=256", Some("@")),
            ("compress=zstd", None),
            ("", None),
        ] {
            assert_eq!(chosen_subvolume(flags), name, "{flags}");
        }
    }

    #[test]
    fn a_number_is_no_proof_before_it_was_mounted() {
        for (flags, name) in [
            ("subvol=/@,ssd", Some("@")),
            ("subvol=@,subvolid=256", None),
            ("subvolid=256", None),
        ] {
            assert_eq!(surely_chosen(flags), name, "{flags}");
        }
        let both = choice("subvolid=5,subvol=@,subvolid=256");
        assert_eq!((both.name, both.number), (Some("@"), Some("256")));
    }

    #[test]
    fn a_command_line_leads_to_the_new_root_or_says_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let system = Root::open(folder.path()).unwrap();
        let identity = FilesystemIdentity {
            uuid: "ab-cd".into(),
            aliases: vec!["PARTUUID=77".into()],
        };
        for (line, problem) in [
            (
                "BOOT_IMAGE=/@/boot/v root=UUID=AB-CD ro rootflags=subvol=@ quiet",
                None,
            ),
            ("root=PARTUUID=77 rootflags=subvol=/@,noatime", None),
            ("root=UUID=ab-cd ro", Some("no rootflags=subvol=@")),
            ("root=UUID=ff rootflags=subvol=@", Some("root=UUID=ff")),
            ("root=/dev/gone rootflags=subvol=@", Some("root=/dev/gone")),
            (
                "root=UUID=ab-cd rootflags=subvol=@ rootflags=noatime",
                Some("last rootflags= is noatime"),
            ),
            ("", Some("root=")),
        ] {
            let line = CommandLine::parse(line);
            let why = why_not_named(&system, &line, &identity, "@").unwrap();
            match problem {
                None => assert_eq!(why, None),
                Some(problem) => assert!(why.as_ref().unwrap().contains(problem), "{why:?}"),
            }
        }
    }
}
