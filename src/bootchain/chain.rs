//! What the boot loader reads, put into fingerprints: a boot proves it only as it was then.

use std::path::{Path, PathBuf};

use super::{Error, embedded};
use crate::documents::plan::{Fingerprint, digest};
use crate::sys::{Root, sorted};

/// Read by GRUB, by grub-mkconfig, or by systemd when it mounts root anew.
const FILES: [&str; 4] = [
    "boot/grub/grub.cfg",
    "boot/grub/custom.cfg",
    "etc/default/grub",
    "etc/fstab",
];
const FOLDERS: [&str; 2] = ["etc/default/grub.d", "etc/grub.d"];
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
    for path in stubs(system)? {
        chain.push(of_file(system, &path)?);
    }
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
    let told = match is_kernel {
        true => {
            let time = status.modified;
            format!("{} {} {}", status.size, time.seconds, time.nanoseconds)
        }
        false => (status.size > 0).to_string(),
    };
    Ok(Some(fingerprint(path, Some(digest(told.as_bytes())))))
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
    use super::{chain, changed};
    use crate::sys::Root;
    use std::fs;
    use std::path::Path;

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
}
