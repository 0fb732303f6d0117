//! What the boot loader reads, put into fingerprints: a boot proves it only as it was then.

use std::path::{Path, PathBuf};

use super::{Error, embedded, firmware};
use crate::documents::plan::{Fingerprint, digest};
use crate::sys::{Root, Status, clock, sorted};

/// Read by GRUB, by grub-mkconfig, or by systemd when it mounts root anew.
const FILES: [&str; 4] = [
    "boot/grub/grub.cfg",
    "boot/grub/custom.cfg",
    "etc/default/grub",
    "etc/fstab",
];
/// What grub-install leaves of what it put where the firmware finds it.
const CORES: [&str; 2] = [embedded::OWN_CORE, "boot/grub/x86_64-efi/core.efi"];
/// What GRUB keeps from one boot to the next; most of it changes at every boot.
const ENVIRONMENT: &str = "boot/grub/grubenv";
/// That of it which chooses an entry.
const CHOICES: [&str; 2] = ["saved_entry=", "next_entry="];
/// A loader is smaller; a unified kernel image may be larger, in bytes.
const PROGRAM_LIMIT: u64 = 16 << 20;
const FOLDERS: [&str; 2] = ["etc/default/grub.d", "etc/grub.d"];
/// The chain as the first look of a boot found it.
const FIRST_LOOK: &str = "run/rootshift/boot-chain";
const STATISTICS: &str = "proc/stat";
/// Where the EFI system partition is mounted.
pub(super) const ESPS: [&str; 2] = ["boot/efi/EFI", "efi/EFI"];

/// The whole chain of a running system, as far as it is there. Changes nothing.
///
/// Of kernels it is size and time, of initramfs images only that they are there: `finalize` itself
/// makes them anew.
///
/// # Errors
/// When a part can't be read.
pub fn chain(system: &Root) -> Result<Vec<Fingerprint>, Error> {
    let mut chain = Vec::new();
    for path in FILES {
        chain.push(of_file(system, Path::new(path))?);
    }
    for folder in FOLDERS {
        for path in entries(system, Path::new(folder))? {
            chain.push(of_file(system, &path)?);
        }
    }
    for path in CORES {
        chain.extend(of_file(system, Path::new(path)).map(if_there)?);
    }
    chain.push(of_environment(system)?);
    for path in stubs(system)?.iter().chain(&loader_entries(system)?) {
        chain.push(of_file(system, path)?);
    }
    for path in programs(system)? {
        chain.push(of_program(system, &path)?);
    }
    chain.extend(
        firmware::choices(system)
            .iter()
            .map(|(path, value)| fingerprint(path, Some(digest(value)))),
    );
    for path in entries(system, Path::new("boot"))? {
        chain.extend(of_kernel(system, &path)?);
    }
    for core in embedded::cores(system)? {
        chain.push(Fingerprint {
            path: format!("core.img on /{}", core.disk.display()),
            hash: Some(digest(&core.payload)),
        });
    }
    Ok(chain)
}

/// The first part that is not what it was, as a path.
#[must_use]
pub fn changed<'a>(before: &'a [Fingerprint], now: &'a [Fingerprint]) -> Option<&'a str> {
    let lacks = |known: &[Fingerprint], one: &Fingerprint| !known.contains(one);
    let gone = before.iter().find(|one| lacks(now, one));
    let new = || now.iter().find(|one| lacks(before, one));
    gone.or_else(new).map(|one| one.path.as_str())
}

/// The configurations on the EFI system partition that GRUB may begin with.
pub(super) fn stubs(system: &Root) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for esp in ESPS {
        for vendor in entries(system, Path::new(esp))? {
            let stub = vendor.join("grub.cfg");
            if system.resolved_status(&stub)?.is_some() {
                found.push(stub);
            }
        }
    }
    Ok(found)
}

/// The programs that the firmware starts, or that one of them goes on with (shim does).
fn programs(system: &Root) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for esp in ESPS {
        for vendor in entries(system, Path::new(esp))? {
            let is_program = |path: &PathBuf| {
                let ending = path.extension().unwrap_or_default();
                ending.eq_ignore_ascii_case("efi")
            };
            found.extend(entries(system, &vendor)?.into_iter().filter(is_program));
        }
    }
    Ok(found)
}

/// What systemd-boot reads. Its random seed is another one after every boot.
fn loader_entries(system: &Root) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for esp in ESPS {
        let loader = Path::new(esp).with_file_name("loader");
        for folder in [&loader, &loader.join("entries")] {
            found.extend(entries(system, folder)?);
        }
    }
    found.retain(|path| path.extension().is_some_and(|ending| ending == "conf"));
    Ok(found)
}

fn of_program(system: &Root, path: &Path) -> Result<Fingerprint, Error> {
    match system.resolved_status(path)? {
        Some(status) if status.size > PROGRAM_LIMIT => Ok(fingerprint(path, Some(told(&status)))),
        _ => of_file(system, path),
    }
}

fn of_environment(system: &Root) -> Result<Fingerprint, Error> {
    let path = Path::new(ENVIRONMENT);
    let text = match is_plain(system, path)? {
        true => system.read(path)?,
        false => Vec::new(),
    };
    let text = String::from_utf8_lossy(&text);
    // Empty is as good as not there.
    let chooses = |line: &&str| {
        let mut names = CHOICES.iter();
        names.any(|name| {
            line.strip_prefix(name)
                .is_some_and(|value| !value.is_empty())
        })
    };
    let choices: Vec<&str> = text.lines().filter(chooses).collect();
    Ok(fingerprint(
        path,
        Some(digest(choices.join("\n").as_bytes())),
    ))
}

fn if_there(one: Fingerprint) -> Option<Fingerprint> {
    one.hash.is_some().then_some(one)
}

/// The first part that is not as this boot found it, as a path: a boot proves nothing of what came
/// later. `None` when all of it is. The first look of a boot is kept in /run, and held against the
/// time when the boot began.
///
/// # Errors
/// When that can't be told, or the look can't be kept.
pub fn changed_in_this_boot(system: &Root, now: &[Fingerprint]) -> Result<Option<String>, Error> {
    let kept = Path::new(FIRST_LOOK);
    let first: Option<Vec<Fingerprint>> = match system.read(kept) {
        Ok(bytes) => serde_json::from_slice(&bytes).ok(),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(first) = first {
        if let Some(path) = changed(&first, now) {
            return Ok(Some(path.to_owned()));
        }
    } else {
        let bytes = serde_json::to_vec(now).unwrap_or_default();
        if let Some(folder) = kept.parent() {
            system.create_directories(folder, 0o755)?;
        }
        system.replace_private_file(kept, &bytes)?;
    }
    touched(system, now)
}

/// What was written after the boot began. A time that is still to come is a clock's fault.
fn touched(system: &Root, chain: &[Fingerprint]) -> Result<Option<String>, Error> {
    let Some(began) = boot_time(system)? else {
        let problem = "it does not tell when this boot began";
        return Err(Error::in_the_way(STATISTICS, problem));
    };
    let now = clock::unix_seconds();
    for one in chain {
        let Some(path) = one.path.strip_prefix('/').filter(|path| has_times(path)) else {
            continue;
        };
        let Some(status) = system.resolved_status(Path::new(path))? else {
            continue;
        };
        let last = status.changed.max(status.modified).seconds;
        if last > began && last <= now {
            return Ok(Some(one.path.clone()));
        }
    }
    Ok(None)
}

/// GRUB's environment is written at every boot, images are made anew by `finalize` itself.
fn has_times(path: &str) -> bool {
    path != ENVIRONMENT && !path.starts_with("boot/initrd.img-") && !path.starts_with("sys/")
}

/// Seconds since 1970, by the clock as it goes now.
fn boot_time(system: &Root) -> Result<Option<i64>, Error> {
    let text = system.read_text(Path::new(STATISTICS))?;
    let told = text.lines().find_map(|line| line.strip_prefix("btime "));
    Ok(told.and_then(|seconds| seconds.trim().parse().ok()))
}

fn of_file(system: &Root, path: &Path) -> Result<Fingerprint, Error> {
    let hash = match system.read(path) {
        Ok(bytes) => Some(digest(&bytes)),
        Err(_) if !is_plain(system, path)? => None,
        Err(error) => return Err(error.into()),
    };
    Ok(fingerprint(path, hash))
}

/// No file, a directory and a broken link are all no configuration.
fn is_plain(system: &Root, path: &Path) -> Result<bool, Error> {
    Ok(system
        .resolved_status(path)?
        .is_some_and(|status| status.is_file()))
}

fn of_kernel(system: &Root, path: &Path) -> Result<Option<Fingerprint>, Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_kernel = name.starts_with("vmlinuz-") || name.starts_with("vmlinux-");
    let is_image = name.starts_with("initrd.img-") && !name.ends_with(".new");
    if !is_kernel && !is_image {
        return Ok(None);
    }
    let Some(status) = system.resolved_status(path)? else {
        return Ok(Some(fingerprint(path, None)));
    };
    let hash = match is_kernel {
        true => told(&status),
        false => digest((status.size > 0).to_string().as_bytes()),
    };
    Ok(Some(fingerprint(path, Some(hash))))
}

/// Size and time.
fn told(status: &Status) -> String {
    let time = status.modified;
    digest(format!("{} {} {}", status.size, time.seconds, time.nanoseconds).as_bytes())
}

fn fingerprint(path: &Path, hash: Option<String>) -> Fingerprint {
    let path = format!("/{}", path.display());
    Fingerprint { path, hash }
}

/// What is in a directory, sorted; nothing where there is none.
fn entries(system: &Root, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    match system.list(folder) {
        Ok(names) => Ok(sorted(names.iter().map(|name| folder.join(name)).collect())),
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::firmware::tests::start;
    use super::{chain, changed, changed_in_this_boot};
    use crate::sys::{Root, clock};
    use std::fs;
    use std::path::Path;

    /// Boots: /run is empty, and the boot began so many seconds from now.
    fn boot(folder: &Path, seconds: i64) {
        let _ = fs::remove_dir_all(folder.join("run"));
        let began = clock::unix_seconds() + seconds;
        write(
            folder,
            "proc/stat",
            &format!("cpu 1 2\nbtime {began}\nprocesses 9\n"),
        );
    }

    #[test]
    fn a_boot_proves_nothing_of_what_came_later() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let root = Root::open(folder).unwrap();
        let later = || changed_in_this_boot(&root, &chain(&root).unwrap()).unwrap();
        for path in [
            "boot/grub/grub.cfg",
            "boot/grub/grubenv",
            "boot/initrd.img-1",
        ] {
            write(folder, path, "one");
        }
        // All of it is newer than the boot, and this is the first look.
        boot(folder, -60);
        assert_eq!(later().as_deref(), Some("/boot/grub/grub.cfg"));
        boot(folder, 0);
        assert_eq!(later(), None);
        // What has no times of its own, and what is gone, is seen by the first look.
        write(folder, "boot/grub/grubenv", "saved_entry=7\n");
        assert_eq!(later().as_deref(), Some("/boot/grub/grubenv"));
        boot(folder, 0);
        assert_eq!(later(), None);
        write(folder, "boot/initrd.img-1", "made anew");
        assert_eq!(later(), None);
        fs::remove_file(folder.join("boot/grub/grub.cfg")).unwrap();
        assert_eq!(later().as_deref(), Some("/boot/grub/grub.cfg"));
        // Nothing is proved where it can't be told.
        boot(folder, 0);
        write(folder, "proc/stat", "cpu 1 2\n");
        assert!(changed_in_this_boot(&root, &[]).is_err());
    }

    fn write(folder: &Path, path: &str, text: &str) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn every_change_of_the_chain_is_named_and_a_new_image_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| write(folder.path(), path, text);
        for path in [
            "boot/grub/grub.cfg",
            "etc/default/grub",
            "etc/default/grub.d/a.cfg",
            "etc/fstab",
            "boot/vmlinuz-1",
            "boot/initrd.img-1",
            "boot/efi/EFI/debian/grub.cfg",
        ] {
            write(path, "one");
        }
        let now = || chain(&Root::open(folder.path()).unwrap()).unwrap();
        let before = now();
        assert_eq!(changed(&before, &now()), None);
        write("boot/initrd.img-1", "another image");
        write("boot/config-1", "no part of it");
        assert_eq!(changed(&before, &now()), None);
        for path in [
            "boot/grub/grub.cfg",
            "boot/grub/custom.cfg",
            "etc/default/grub",
            "etc/default/grub.d/a.cfg",
            "etc/default/grub.d/b.cfg",
            "etc/grub.d/40_custom",
            "etc/fstab",
            "boot/vmlinuz-1",
            "boot/vmlinuz-2",
            "boot/efi/EFI/debian/grub.cfg",
            "boot/efi/EFI/other/grub.cfg",
        ] {
            let before = now();
            write(path, "something else");
            assert_eq!(changed(&before, &now()), Some(format!("/{path}").as_str()));
        }
        let before = now();
        fs::remove_file(folder.path().join("boot/initrd.img-1")).unwrap();
        assert_eq!(changed(&before, &now()), Some("/boot/initrd.img-1"));
    }

    #[test]
    fn the_firmware_and_grubs_own_choice_are_parts_of_the_chain() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| write(folder.path(), path, text);
        let now = || chain(&Root::open(folder.path()).unwrap()).unwrap();
        for path in [
            "boot/efi/EFI/debian/grubx64.efi",
            "boot/efi/EFI/debian/shimx64.EFI",
            "boot/efi/EFI/BOOT/BOOTX64.EFI",
            "boot/efi/loader/loader.conf",
            "boot/efi/loader/entries/debian.conf",
            "sys/firmware/efi/efivars/BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c",
        ] {
            let before = now();
            write(path, "changed");
            assert_eq!(changed(&before, &now()), Some(format!("/{path}").as_str()));
        }
        // The entry by which the firmware came here leads elsewhere.
        start(folder.path(), "\\EFI\\debian\\shimx64.efi");
        let before = now();
        start(folder.path(), "\\EFI\\other\\shimx64.efi");
        let named = changed(&before, &now()).map(str::to_owned);
        assert!(named.unwrap().contains("/efivars/Boot000A-"));
        let mut environment = "# GRUB Environment Block\n".to_owned();
        for (line, counts) in [
            ("recordfail=1\n", false),
            ("saved_entry=1\n", true),
            ("boot_success=1\n", false),
            ("next_entry=osprober\n", true),
        ] {
            environment += line;
            let before = now();
            write("boot/grub/grubenv", &environment);
            let wanted = counts.then_some("/boot/grub/grubenv");
            assert_eq!(changed(&before, &now()), wanted, "{line}");
        }
    }
}
