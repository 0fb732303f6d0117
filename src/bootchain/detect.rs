//! Which loader started the running kernel, and whether it read the configuration that is about to
//! be changed. What is not proved here is not migrated: the image that overrides the root goes with
//! `finalize`, and the loader that really boots the machine would mount the old root.

use std::path::{Component, Path, PathBuf};

use super::chain::stubs;
use super::embedded::{OWN_CORE, cores};
use super::firmware::{is_efi, loader_name, started_program};
use super::hand_over::is_hand_over;
use super::named::surely_chosen;
use super::produced::without_device;
use super::{Error, Produced, command_line, produced_by};
use crate::bootcfg::cmdline::CommandLine;
use crate::bootcfg::grub_config::{Forward, forward, kernel_lines};
use crate::sys::Root;

const GRUB_CONFIG: &str = "boot/grub/grub.cfg";

/// What is not proved, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What was found.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// A running system that is to be migrated.
#[derive(Debug, Clone, Copy)]
pub struct Running<'a> {
    /// Its root.
    pub system: &'a Root,
    /// The top level of its root file system, where GRUB starts.
    pub top: &'a Root,
    /// The subvolume that is its root; empty for the top level.
    pub root: &'a str,
    /// The UUID of its root file system.
    pub uuid: &'a str,
    /// grub.cfg as it is.
    pub config: &'a str,
    /// grub.cfg as it is going to be.
    pub new_config: &'a str,
    /// The subvolume that is going to be root.
    pub new_root: &'a str,
}

/// Why it is not proved that GRUB started the running kernel from grub.cfg as it is, and that it
/// will start the new system from grub.cfg as it is going to be. `None` when it is. Changes nothing.
///
/// # Errors
/// When something can't be read.
pub fn doubt(running: &Running) -> Result<Option<Doubt>, Error> {
    let line = command_line(running.system)?;
    let lines = match produced_by(&line, running.config) {
        Produced::ByLines(lines) => lines,
        Produced::ByAnotherLine { kernel } => return Ok(Some(another_line(&line, &kernel))),
        Produced::ByAnotherLoader => return Ok(Some(another_loader(running.system, &line))),
    };
    if let Some(doubt) = not_rewritten(running, &lines) {
        return Ok(Some(doubt));
    }
    let seen = match is_efi(running.system) {
        true => other_stub(running)?,
        false => other_core(running.system)?,
    };
    let kept = Path::new(running.new_root);
    Ok(match seen {
        Seen::Other(doubt) => Some(doubt),
        Seen::Ours { all: true } => None,
        Seen::Ours { all: false } | Seen::Nothing if is_hand_over(running.top, kept)? => {
            Some(kept_for_grub(running))
        }
        Seen::Ours { all: false } | Seen::Nothing => None,
    })
}

/// Which GRUB there is beside the command line that it gave.
enum Seen {
    /// Nothing can be seen of it.
    Nothing,
    /// One that reads this system's configuration; whether that goes for all that were seen.
    Ours { all: bool },
    /// Another one.
    Other(Doubt),
}

/// A GRUB that was installed in a system that was rolled back begins in the directory that has the
/// new root's name now: that goes away, and might be the one that starts this machine.
fn kept_for_grub(running: &Running) -> Doubt {
    let (name, uuid) = (running.new_root, running.uuid);
    Doubt {
        problem: format!(
            "/{name} at the top level is kept for a GRUB that was installed in a system that was \
             rolled back, and it can't be seen whether that one still starts this machine"
        ),
        remedy: format!(
            "run `grub-install` in this system (as `dpkg-reconfigure` of its package does) and \
             reboot; if it can't be seen then either, `mount -o subvolid=5 UUID={uuid} /mnt && mv \
             -T /mnt/{name} /mnt/{name}.of-grub && umount /mnt`"
        ),
    }
}

fn another_loader(system: &Root, line: &CommandLine) -> Doubt {
    let name = loader_name(system).unwrap_or_else(|| "another boot loader than GRUB".into());
    Doubt {
        problem: format!("{name} started this kernel, with the command line \"{line}\""),
        remedy:
            "not supported: rootshift can only change what GRUB starts. Boot this system by an \
                 entry of its own GRUB and look again"
                .into(),
    }
}

fn another_line(line: &CommandLine, kernel: &str) -> Doubt {
    Doubt {
        problem: format!(
            "no entry of /{GRUB_CONFIG} starts {kernel} as this boot was, with the command line \
             \"{line}\""
        ),
        remedy: "reboot by an entry of this system's own GRUB menu, unchanged (not of custom.cfg, \
                 nor of another system's GRUB), and look again"
            .into(),
    }
}

/// The lines that may have started this kernel must be those that will start the new system.
fn not_rewritten(running: &Running, lines: &[usize]) -> Option<Doubt> {
    let new = kernel_lines(running.new_config);
    let is_new = |index: &&usize| {
        let flags = new
            .get(**index)
            .and_then(|line| line.arguments.value("rootflags"));
        flags.and_then(surely_chosen) == Some(running.new_root)
    };
    let stays = lines.iter().find(|index| !is_new(index))?;
    let title = new.get(*stays).map_or("", |line| line.title.as_str());
    Some(Doubt {
        problem: format!(
            "the entry \"{title}\" of /{GRUB_CONFIG}, which started this kernel, is none that \
             rootshift can point at the new system"
        ),
        remedy: "reboot by the first entry of GRUB's menu and look again".into(),
    })
}

/// By EFI: the stub beside the program that was started has to lead to this configuration.
fn other_stub(running: &Running) -> Result<Seen, Error> {
    let Some(program) = started_program(running.system) else {
        return Ok(Seen::Nothing); // the command line is all that there is
    };
    let vendor = program.parent().and_then(Path::file_name);
    let vendor = vendor.unwrap_or_default().to_string_lossy().to_lowercase();
    let beside = |stub: &&PathBuf| {
        let folder = stub.parent().and_then(Path::file_name).unwrap_or_default();
        // Debian's signed GRUB in the fallback place reads its own folder all the same.
        vendor == "boot" || folder.to_string_lossy().to_lowercase() == vendor
    };
    let all = stubs(running.system)?;
    let mut read_by_it = all.iter().filter(beside).peekable();
    if read_by_it.peek().is_none() {
        return Ok(Seen::Nothing); // the ESP is not mounted, or GRUB's prefix is built in
    }
    let (mut here, mut elsewhere) = (0, 0);
    for stub in read_by_it {
        match forward(&running.system.read_text(stub)?) {
            Some(forward) if leads_here(running, &forward)? => here += 1,
            Some(_) | None => elsewhere += 1,
        }
    }
    if here > 0 {
        let all = elsewhere == 0;
        return Ok(Seen::Ours { all });
    }
    Ok(Seen::Other(Doubt {
        problem: format!(
            "the firmware started {}, and its configuration does not lead to /{GRUB_CONFIG}",
            program.display()
        ),
        remedy: "run `grub-install` in this system (as `dpkg-reconfigure grub-efi-amd64` does), \
                 reboot and look again"
            .into(),
    }))
}

/// Whether GRUB comes to this system's grub.cfg, through whatever links.
fn leads_here(running: &Running, forward: &Forward) -> Result<bool, Error> {
    let searched = forward.search_uuid.as_deref();
    if searched.is_some_and(|uuid| !uuid.eq_ignore_ascii_case(running.uuid)) {
        return Ok(false);
    }
    let file = match (&forward.prefix, &forward.configfile) {
        (Some(prefix), _) => Path::new(after_device(prefix)).join("grub.cfg"),
        (None, Some(file)) => PathBuf::from(after_device(file)),
        (None, None) => return Ok(false),
    };
    let first = file.components().find_map(|part| match part {
        Component::Normal(name) => Some(Path::new(name)),
        _ => None,
    });
    // A link in there leads here today; the directory goes with the next migration.
    if let Some(first) = first
        && is_hand_over(running.top, first)?
    {
        return Ok(false);
    }
    let found = running.top.resolved_status(&file)?;
    let own = running.top.within(Path::new(running.root))?;
    let own = own.resolved_status(Path::new(GRUB_CONFIG))?;
    Ok(found.is_some_and(|found| own.is_some_and(|own| own.is_same_file(&found))))
}

/// `($root)/boot/grub` is `/boot/grub`.
fn after_device(path: &str) -> &str {
    without_device(path)
}

/// By a BIOS: one of the disks has to hold the GRUB that was installed from this system.
fn other_core(system: &Root) -> Result<Seen, Error> {
    let cores = cores(system)?;
    if cores.is_empty() {
        return Ok(Seen::Ours { all: true }); // no disk holds another one
    }
    let own = system.read(Path::new(OWN_CORE))?;
    let ours = cores.iter().filter(|core| core.is(&own)).count();
    if ours > 0 {
        return Ok(Seen::Ours {
            all: ours == cores.len(),
        });
    }
    let disks: Vec<String> = cores
        .iter()
        .map(|core| format!("/{}", core.disk.display()))
        .collect();
    let disks = disks.join(", ");
    Ok(Seen::Other(Doubt {
        problem: format!("the GRUB on {disks} is not the one that this system installed"),
        remedy: format!(
            "run `grub-install {disks}` in this system (as `dpkg-reconfigure grub-pc` does), \
             reboot and look again"
        ),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::firmware::tests::{name_loader, start};
    use super::{Running, doubt};
    use crate::sys::Root;
    use std::fs;
    use std::path::Path;

    const UUID: &str = "0f3a6c52-5a8e-4f0b-9a57-3f1de6b2c001";
    const LINE: &str = "BOOT_IMAGE=/boot/vmlinuz-6 root=UUID=U ro quiet";

    fn config(path: &str, flags: &str) -> String {
        let own = format!(
            "menuentry 'Debian' {{\n linux {path}/boot/vmlinuz-6 root=UUID={UUID} ro {flags} quiet\n}}\n"
        );
        let other = "menuentry 'Other' {\n linux /boot/vmlinuz-6 root=LABEL=other ro\n}\n";
        own + other
    }

    fn write(folder: &Path, path: &str, text: &str) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What is doubtful about a flat system with this command line.
    fn doubtful(folder: &Path, line: &str) -> String {
        let config_now = config("", "");
        write(folder, "boot/grub/grub.cfg", &config_now);
        write(
            folder,
            "proc/cmdline",
            &line.replace("=U ", &format!("={UUID} ")),
        );
        let system = Root::open(folder).unwrap();
        let found = doubt(&Running {
            system: &system,
            top: &system,
            root: "",
            uuid: UUID,
            config: &config_now,
            new_config: &config("/@", "rootflags=subvol=@"),
            new_root: "@",
        });
        found
            .unwrap()
            .map(|doubt| doubt.problem)
            .unwrap_or_default()
    }

    #[test]
    fn a_kernel_that_grub_started_from_its_menu_is_proved() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(doubtful(folder.path(), LINE), "");
    }

    #[test]
    fn other_loaders_and_other_lines_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for (line, wanted) in [
            (
                "root=UUID=U ro quiet",
                "another boot loader than GRUB started",
            ),
            (
                "initrd=\\initrd.img root=UUID=U ro quiet",
                "another boot loader than GRUB",
            ),
            (
                "BOOT_IMAGE=/boot/vmlinuz-6 root=UUID=U ro",
                "no entry of /boot/grub/grub.cfg",
            ),
            (
                "BOOT_IMAGE=/boot/vmlinuz-6 root=LABEL=other ro",
                "the entry \"Other\"",
            ),
        ] {
            let found = doubtful(folder, line);
            assert!(found.contains(wanted), "{line}: {found}");
        }
        for name in ["systemd-boot 257.9-1", "rEFInd 0.13.3"] {
            name_loader(folder, name);
            let found = doubtful(folder, "root=UUID=U ro quiet");
            assert!(
                found.starts_with(&format!("{name} started this kernel")),
                "{found}"
            );
        }
    }

    #[test]
    fn the_stub_that_the_firmware_comes_to_must_lead_here() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let stub = |vendor: &str, uuid: &str, prefix: &str| {
            let text = format!(
                "search.fs_uuid {uuid} root hd0,gpt2\nset prefix=($root)'{prefix}'\n\
                 configfile $prefix/grub.cfg\n"
            );
            write(folder, &format!("boot/efi/EFI/{vendor}/grub.cfg"), &text);
        };
        name_loader(folder, "GRUB 2.12");
        stub("debian", UUID, "/boot/grub");
        stub("fedora", "another", "/boot/grub");
        for (program, proved) in [
            ("\\EFI\\debian\\shimx64.efi", true),
            ("\\EFI\\Debian\\grubx64.efi", true),
            ("\\EFI\\BOOT\\BOOTX64.EFI", true),
            ("\\EFI\\fedora\\shimx64.efi", false),
            ("\\EFI\\elsewhere\\grubx64.efi", true),
        ] {
            start(folder, program);
            let found = doubtful(folder, LINE);
            assert_eq!(found.is_empty(), proved, "{program}: {found}");
        }
        start(folder, "\\EFI\\debian\\shimx64.efi");
        for (uuid, prefix) in [(UUID, "/@/boot/grub"), ("another", "/boot/grub")] {
            stub("debian", uuid, prefix);
            let found = doubtful(folder, LINE);
            assert!(
                found.contains("does not lead to /boot/grub/grub.cfg"),
                "{found}"
            );
        }
        // Through a link it does.
        stub("debian", UUID, "/@/boot/grub");
        std::os::unix::fs::symlink(".", folder.join("@")).unwrap();
        assert_eq!(doubtful(folder, LINE), "");
    }

    #[test]
    fn what_is_kept_for_another_grub_is_given_away_only_where_that_one_is_seen_to_be_gone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        write(folder, "@/.rootshift-hand-over", "");
        fs::create_dir_all(folder.join("@/boot/grub")).unwrap();
        let link = folder.join("@/boot/grub/grub.cfg");
        std::os::unix::fs::symlink("/boot/grub/grub.cfg", link).unwrap();
        let stub = |vendor: &str, prefix: &str| {
            let text = format!("search.fs_uuid {UUID} root\nset prefix=($root)'{prefix}'\n");
            write(folder, &format!("boot/efi/EFI/{vendor}/grub.cfg"), &text);
        };
        // A firmware that does not say what it started.
        name_loader(folder, "GRUB 2.12");
        let found = doubtful(folder, LINE);
        assert!(found.starts_with("/@ at the top level is kept"), "{found}");
        start(folder, "\\EFI\\debian\\shimx64.efi");
        assert!(doubtful(folder, LINE).starts_with("/@ at the top level is kept"));
        // Its link leads here today, and is gone tomorrow.
        stub("debian", "/@/boot/grub");
        assert!(doubtful(folder, LINE).contains("does not lead to"));
        stub("debian", "/boot/grub");
        assert_eq!(doubtful(folder, LINE), "");
        // Either may be read by what was started.
        start(folder, "\\EFI\\BOOT\\BOOTX64.EFI");
        stub("other", "/@/boot/grub");
        assert!(doubtful(folder, LINE).starts_with("/@ at the top level is kept"));
    }
}
