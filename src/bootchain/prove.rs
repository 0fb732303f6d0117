//! The proof: the new system can be found, link by link, as the boot loader will find it: grub.cfg,
//! the entry of ours, kernel, initramfs, root, subvolume, init.

use std::path::{Path, PathBuf};

use super::named::surely_chosen;
use super::{Error, chosen_subvolume, without_device};
use crate::bootcfg::grub_config::{BootEntry, RootIdentity, boot_entries, default_entry};
use crate::documents::plan::FilesystemIdentity;
use crate::sys::{Root, Status};

/// What is to be found.
#[derive(Debug, Clone, Copy)]
pub struct NewSystem<'a> {
    /// The top level of the root file system, where GRUB starts.
    pub top: &'a Root,
    /// The subvolume that becomes root.
    pub root: &'a str,
    /// The subvolume that was root; empty for the top level.
    pub old_root: &'a str,
    /// How the root file system is known, where that is to be proved.
    pub identity: Option<&'a FilesystemIdentity>,
}

/// The first link that is broken, naming the file; `None` when the chain holds. Changes nothing.
///
/// # Errors
/// When it can't be looked at: that proves nothing.
pub fn broken_link(new: &NewSystem) -> Result<Option<String>, Error> {
    let config = Path::new(new.root).join("boot/grub/grub.cfg");
    let text = new.top.read_text(&config)?;
    if let Some(problem) = modules_missing(new)? {
        return Ok(Some(problem));
    }
    match broken_menu(new, &text, &|path| Ok(new.top.resolved_status(path)?))? {
        Some(problem) => Ok(broken(&config, &problem)),
        None => init_missing(new),
    }
}

/// Why a menu does not start the new system; `None` when it does. `find` looks up a file by its
/// path from the top level.
///
/// # Errors
/// When a file can't be looked up.
pub fn broken_menu(
    new: &NewSystem,
    text: &str,
    find: &dyn Fn(&Path) -> Result<Option<Status>, Error>,
) -> Result<Option<String>, Error> {
    let entries = boot_entries(text);
    let Some(entry) = entry_of_ours(new, text, &entries) else {
        return Ok(Some("it has no menu entry for this file system".into()));
    };
    let problem = match wrong_arguments(new, entry) {
        Some(problem) => Some(problem),
        None => file_missing(entry, find)?,
    };
    Ok(problem.map(|problem| format!("its entry \"{}\": {problem}", entry.title)))
}

/// What GRUB loads to start a system, by the paths of its entry; `None` where the menu has none.
#[must_use]
pub fn files_of_entry(system: &NewSystem, text: &str) -> Option<Vec<PathBuf>> {
    let entries = boot_entries(text);
    let entry = entry_of_ours(system, text, &entries)?;
    let files = entry.linux.iter().chain(&entry.initrd);
    Some(files.map(|file| without_device(file).into()).collect())
}

/// The entry that starts this system when its turn comes: the default one, or where that is another
/// system's the first of ours.
#[must_use]
pub fn entry_of_ours<'a>(
    new: &NewSystem,
    text: &str,
    entries: &'a [BootEntry],
) -> Option<&'a BootEntry> {
    let default = default_entry(text, entries)?;
    if new.identity.is_none() || is_ours(new, default) {
        return Some(default);
    }
    let ours = entries.iter().find(|entry| is_ours(new, entry))?;
    log::info!("GRUB by itself starts another system: {}", default.title);
    Some(ours)
}

/// Another subvolume than the old and the new one is another system's, or a snapshot.
fn is_ours(new: &NewSystem, entry: &BootEntry) -> bool {
    let flags = entry.arguments.value("rootflags").unwrap_or_default();
    let old = new.old_root.trim_matches('/');
    entry.linux.is_some()
        && is_our_filesystem(new, entry)
        && chosen_subvolume(flags).is_none_or(|name| name == new.root || name == old)
}

fn is_our_filesystem(new: &NewSystem, entry: &BootEntry) -> bool {
    let root = entry.arguments.value("root").unwrap_or_default();
    new.identity.is_none_or(|identity| {
        let root_identity = RootIdentity {
            uuid: &identity.uuid,
            aliases: &identity.aliases,
        };
        root_identity.is_root(root)
    })
}

fn broken(config: &Path, problem: &str) -> Option<String> {
    Some(format!("/{}: {problem}", config.display()))
}

/// core.img loads its modules from the path that is about to be switched (facts boot.md D6).
fn modules_missing(new: &NewSystem) -> Result<Option<String>, Error> {
    let module = "boot/grub/i386-pc/normal.mod";
    let ours = Path::new(new.root).join(module);
    let old = new
        .top
        .resolved_status(&Path::new(new.old_root).join(module))?;
    if old.is_some() && new.top.resolved_status(&ours)?.is_none() {
        return Ok(broken(
            &ours,
            "GRUB's modules are missing in the new system",
        ));
    }
    Ok(None)
}

/// Of several `rootflags=` the last one counts (facts boot.md D9): 10_linux puts its own in front of
/// what `/etc/default/grub` says.
fn wrong_arguments(new: &NewSystem, entry: &BootEntry) -> Option<String> {
    let flags = entry.arguments.value("rootflags").unwrap_or_default();
    if surely_chosen(flags) != Some(new.root) {
        return Some(format!(
            "rootflags={flags} does not say subvol={}",
            new.root
        ));
    }
    None
}

fn file_missing(
    entry: &BootEntry,
    find: &dyn Fn(&Path) -> Result<Option<Status>, Error>,
) -> Result<Option<String>, Error> {
    let Some(kernel) = &entry.linux else {
        return Ok(Some("it loads no kernel".into()));
    };
    if entry.initrd.is_empty() {
        return Ok(Some("it loads no initramfs".into()));
    }
    for path in std::iter::once(kernel).chain(&entry.initrd) {
        match find(Path::new(without_device(path)))? {
            None => return Ok(Some(format!("{path} does not exist"))),
            Some(file) if !file.is_file() || file.size == 0 => {
                return Ok(Some(format!("{path} is empty or no file")));
            }
            Some(file) if has_holes(&file) => {
                let problem = format!("{path} has holes, which GRUB 2.06 can't read");
                return Ok(Some(problem));
            }
            Some(_) => {}
        }
    }
    Ok(None)
}

/// Compression makes files take up less, too; only a large gap is a hole for sure.
fn has_holes(file: &Status) -> bool {
    file.size > 1 << 20 && file.blocks * 512 < file.size / 8
}

fn init_missing(new: &NewSystem) -> Result<Option<String>, Error> {
    let root = new.top.within(Path::new(new.root))?;
    let init = Path::new("sbin/init");
    Ok(match root.resolved_status(init)? {
        Some(_) => None,
        None => broken(&Path::new(new.root).join(init), "it does not exist"),
    })
}

#[cfg(test)]
mod tests {
    use super::{NewSystem, broken_link, files_of_entry};
    use crate::documents::plan::FilesystemIdentity;
    use crate::sys::Root;
    use std::fs;

    const WINDOWS: &str =
        "menuentry 'Windows' {\n chainloader /EFI/Microsoft/Boot/bootmgfw.efi\n}\n";
    const FEDORA: &str =
        "menuentry 'Fedora' {\n linux /boot/vmlinuz-f root=UUID=ff ro\n initrd /boot/f.img\n}\n";
    const SNAPSHOT: &str = "menuentry 'Snapshot' {\n linux /s/vmlinuz root=UUID=ab-cd rootflags=subvol=s\n initrd /s/initrd\n}\n";

    fn entry(arguments: &str) -> String {
        format!(
            "menuentry 'Debian' {{\n linux /@/boot/vmlinuz {arguments}\n initrd /@/boot/initrd\n}}\n"
        )
    }

    /// What is wrong with a menu; empty when nothing is.
    fn problem(config: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("@/boot/grub/grub.cfg", config);
        for file in [
            "@/boot/vmlinuz",
            "@/boot/initrd",
            "@/sbin/init",
            "boot/vmlinuz-f",
            "boot/f.img",
        ] {
            write(file, "x");
        }
        let identity = FilesystemIdentity {
            uuid: "ab-cd".into(),
            aliases: vec!["LABEL=disk".into()],
        };
        let found = broken_link(&NewSystem {
            top: &Root::open(folder.path()).unwrap(),
            root: "@",
            old_root: "",
            identity: Some(&identity),
        });
        found.unwrap().unwrap_or_default()
    }

    #[test]
    fn the_last_root_flags_count_as_for_the_kernel() {
        for good in [
            "root=UUID=ab-cd ro rootflags=subvol=@ rootflags=subvol=@,noatime",
            "root=UUID=ab-cd ro rootflags=subvol=/@",
            "root=UUID=ab-cd ro rootflags=noatime rootflags=ssd,subvol=@",
            "root=UUID=AB-CD ro rootflags=subvol=@",
            "root=LABEL=disk ro rootflags=subvol=@",
        ] {
            assert_eq!(problem(&entry(good)), "", "{good}");
        }
        for (bad, wanted) in [
            (
                "root=UUID=ab-cd ro rootflags=subvol=@ rootflags=noatime",
                "rootflags=noatime",
            ),
            (
                "root=UUID=ab-cd ro rootflags=subvol=@,subvolid=256",
                "subvolid=256",
            ),
            ("root=UUID=ab-cd ro", "rootflags="),
            ("root=UUID=ff ro rootflags=subvol=@", "no menu entry"),
        ] {
            let problem = problem(&entry(bad));
            assert!(problem.contains(wanted), "{bad}: {problem}");
        }
    }

    #[test]
    fn another_system_may_be_the_default_entry() {
        let ours = entry("root=UUID=ab-cd ro rootflags=subvol=@");
        let old = entry("root=UUID=ab-cd ro");
        for other in [WINDOWS, FEDORA, SNAPSHOT] {
            let title = other.split('\'').nth(1).unwrap();
            for menu in [
                format!("set default=\"{title}\"\n{ours}{other}"),
                format!("set default=0\n{other}{ours}"),
            ] {
                assert_eq!(problem(&menu), "", "{menu}");
            }
            let problem = problem(&format!("set default=0\n{other}{old}"));
            assert!(problem.contains("\"Debian\": rootflags="), "{problem}");
            let nothing = self::problem(&format!("set default=0\n{other}"));
            assert!(nothing.contains("no menu entry"), "{nothing}");
        }
        // A default of ours is held to it, whatever else is good.
        let both = format!("set default=1\n{ours}{old}");
        assert!(problem(&both).contains("rootflags="));
    }

    #[test]
    fn what_is_loaded_is_what_the_own_entry_names() {
        let folder = tempfile::tempdir().unwrap();
        let identity = FilesystemIdentity {
            uuid: "ab-cd".into(),
            aliases: Vec::new(),
        };
        let old = NewSystem {
            top: &Root::open(folder.path()).unwrap(),
            root: "",
            old_root: "",
            identity: Some(&identity),
        };
        let ours = "menuentry 'Debian' {\n linux (hd0)/boot/vmlinuz root=UUID=ab-cd ro\n initrd /boot/initrd\n}\n";
        let menu = format!("set default=0\n{FEDORA}{SNAPSHOT}{ours}");
        let files = |text: &str| {
            let files = files_of_entry(&old, text)?;
            Some(
                files
                    .iter()
                    .map(|file| file.display().to_string())
                    .collect::<Vec<_>>(),
            )
        };
        let wanted = ["/boot/vmlinuz", "/boot/initrd"].map(str::to_owned);
        assert_eq!(files(&menu).unwrap(), wanted);
        for none in [WINDOWS, FEDORA, SNAPSHOT, "", "menuentry 'cut"] {
            assert_eq!(files(none), None, "{none}");
        }
    }

    #[test]
    fn a_device_before_a_path_is_no_part_of_it() {
        for device in ["(hd0,gpt2)", "($root)"] {
            let menu = entry("root=UUID=ab-cd ro rootflags=subvol=@")
                .replace(" /@", &format!(" {device}/@"));
            assert_eq!(problem(&menu), "");
        }
    }
}
