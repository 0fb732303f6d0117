//! Every spelling by which fstab or a kernel command line may mean a device.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::sys::Root;
use crate::sys::status::{FileKind, Status};

const DEV: &str = "dev";
/// No name that a person writes lies deeper; udev's longest is /dev/disk/by-path/X-part/by-uuid/Y.
const DEPTH: usize = 5;
/// udev's folders whose names are values of a tag in fstab.
const TAGS: [(&str, &str); 3] = [
    ("dev/disk/by-partuuid", "PARTUUID"),
    ("dev/disk/by-label", "LABEL"),
    ("dev/disk/by-partlabel", "PARTLABEL"),
];

/// The names of the device that holds the file system of this UUID, from /dev inside `system`.
/// udev makes links and directories there and takes them away at any moment: what can't be read
/// is no name.
pub(super) fn device_names(system: &Root, device: &str, uuid: &str) -> Vec<String> {
    let by_uuid = format!("/dev/disk/by-uuid/{uuid}");
    let mut names = vec![device.to_owned(), by_uuid.clone()];
    let resolved = |path: &str| system.resolved_status(Path::new(path)).ok().flatten();
    // /dev/root and the like are words that lead nowhere.
    let Some(wanted) = resolved(device).or_else(|| resolved(&by_uuid)) else {
        return names;
    };
    let search = Search { system, wanted };
    for path in search.of_folder(Path::new(DEV)) {
        // A name that is no UTF-8 can't be what a document says.
        let Some(text) = path.to_str() else { continue };
        names.extend(tag_of(&path));
        names.push(format!("/{text}"));
    }
    let mut kept = Vec::new();
    names.retain(|name| {
        let fresh = !kept.contains(name);
        kept.extend(fresh.then(|| name.clone()));
        fresh
    });
    names
}

struct Search<'a> {
    system: &'a Root,
    wanted: Status,
}

impl Search<'_> {
    fn of_folder(&self, folder: &Path) -> Vec<PathBuf> {
        let status = self.system.status(folder).ok().flatten();
        status.map_or_else(Vec::new, |status| self.inside(folder, &status, DEPTH))
    }

    fn inside(&self, folder: &Path, status: &Status, depth: usize) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for name in self.system.list(folder).unwrap_or_default() {
            let path = folder.join(name);
            match self.system.status(&path) {
                Ok(Some(inner)) if inner.is_directory() => {
                    if depth > 1 && is_udevs(&inner, status) {
                        found.extend(self.inside(&path, &inner, depth - 1));
                    }
                }
                Ok(Some(entry)) if self.leads_to_it(&path, &entry) => found.push(path),
                Ok(_) | Err(_) => {}
            }
        }
        found
    }

    fn leads_to_it(&self, path: &Path, entry: &Status) -> bool {
        let led = match entry.kind {
            FileKind::Symlink => self.system.resolved_status(path).ok().flatten(),
            FileKind::BlockDevice | FileKind::File => Some(*entry),
            _ => None,
        };
        led.is_some_and(|led| is_same_device(&led, &self.wanted))
    }
}

/// Not /dev/shm and the like, where anybody puts as many names as he likes.
fn is_udevs(folder: &Status, above: &Status) -> bool {
    const OTHERS_WRITE: u32 = 0o002;
    folder.device == above.device && folder.mode & OTHERS_WRITE == 0
}

fn is_same_device(one: &Status, other: &Status) -> bool {
    if one.kind == FileKind::BlockDevice && other.kind == FileKind::BlockDevice {
        one.special_device == other.special_device
    } else {
        one.is_same_file(other)
    }
}

/// What fstab calls a link that is a tag's value: `LABEL=My disk` for `by-label/My\x20disk`.
fn tag_of(path: &Path) -> Option<String> {
    let folder = path.parent()?;
    let (_, tag) = TAGS.iter().find(|(of, _)| Path::new(of) == folder)?;
    Some(format!("{tag}={}", decoded(path.file_name()?)?))
}

/// A name as udev writes it, without its `\xNN`; `None` when that is no UTF-8.
fn decoded(name: &OsStr) -> Option<String> {
    let mut parts = name.to_str()?.split("\\x");
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2);
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(part.get(2..).unwrap_or_default().bytes());
            }
            None => {
                bytes.extend(b"\\x");
                bytes.extend(part.bytes());
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};

    const UUID: &str = "5a1f3c0e-9d2b-4c7e-8f60-000000000001";

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for inner in [
            "by-uuid",
            "by-label",
            "by-partuuid",
            // systemd 257 makes such directories (Debian 13).
            "by-path/pci-0000:00:05.0-part/by-uuid",
            "by-path/pci-0000:00:05.0-part/by-partnum",
            "by-id",
        ] {
            std::fs::create_dir_all(folder.path().join("dev/disk").join(inner)).unwrap();
        }
        for device in ["vda1", "vda2", "dm-0"] {
            std::fs::write(folder.path().join("dev").join(device), "").unwrap();
        }
        folder
    }

    fn link(folder: &tempfile::TempDir, target: &str, name: &str) {
        let path = folder.path().join("dev").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn names(folder: &tempfile::TempDir, device: &str) -> Vec<String> {
        device_names(&Root::open(folder.path()).unwrap(), device, UUID)
    }

    #[test]
    fn the_directories_of_debian_13_are_looked_into() {
        let folder = folder();
        let part = "disk/by-path/pci-0000:00:05.0-part";
        link(&folder, "../../vda2", "disk/by-path/pci-0000:00:05.0-part2");
        link(&folder, "../../../../vda2", &format!("{part}/by-partnum/2"));
        link(&folder, "../../../../vda1", &format!("{part}/by-partnum/1"));
        link(&folder, "../../vda2", "disk/by-partuuid/1-2");
        let expected = [
            "/dev/vda2",
            &format!("/dev/disk/by-uuid/{UUID}"),
            "PARTUUID=1-2",
            "/dev/disk/by-partuuid/1-2",
            "/dev/disk/by-path/pci-0000:00:05.0-part/by-partnum/2",
            "/dev/disk/by-path/pci-0000:00:05.0-part2",
        ];
        assert_eq!(names(&folder, "/dev/vda2"), expected);
    }

    #[test]
    fn what_leads_nowhere_or_in_circles_is_no_name() {
        let folder = folder();
        link(&folder, "../../gone", "disk/by-id/dangling");
        link(&folder, "circle", "disk/by-id/circle");
        link(&folder, "../..", "disk/by-id/directory");
        link(&folder, "/nowhere/at/all", "disk/by-id/outside");
        link(&folder, "../../vda2", "disk/by-id/good");
        let odd = folder.path().join("dev/disk/by-id");
        symlink("../../vda2", odd.join(OsStr::from_bytes(b"odd\xff"))).unwrap();
        std::fs::write(odd.join("a file"), "").unwrap();
        let found = names(&folder, "/dev/vda2");
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[2], "/dev/disk/by-id/good");
        // Neither is a /dev that is not there, nor a device that is a word.
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(names(&empty, "/dev/root").len(), 2);
    }

    #[test]
    fn a_mapped_device_is_known_by_all_its_names_and_by_its_label() {
        let folder = folder();
        link(&folder, "../dm-0", "mapper/vg-root");
        link(&folder, "../dm-0", "vg/root");
        link(&folder, "../../dm-0", r"disk/by-label/My\x20disk");
        link(&folder, "../../dm-0", &format!("disk/by-uuid/{UUID}"));
        for device in ["/dev/mapper/vg-root", "/dev/dm-0", "/dev/root"] {
            let found = names(&folder, device);
            for name in [
                "/dev/dm-0",
                "/dev/mapper/vg-root",
                "/dev/vg/root",
                "LABEL=My disk",
                r"/dev/disk/by-label/My\x20disk",
            ] {
                assert!(found.contains(&name.to_owned()), "{name}: {found:?}");
            }
        }
    }

    #[test]
    fn where_anybody_may_write_nobody_names_a_device() {
        let folder = folder();
        link(&folder, "../vda2", "shm/mine");
        let shm = folder.path().join("dev/shm");
        std::fs::set_permissions(shm, std::fs::Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(names(&folder, "/dev/vda2").len(), 2);
    }

    #[test]
    fn udevs_escapes_are_taken_back() {
        for (name, text) in [
            (r"a\x20b", "a b"),
            (r"\x2fx", "/x"),
            (r"\xzz\x4", r"\xzz\x4"),
            ("plain", "plain"),
            (r"\xc3\xa9", "é"),
        ] {
            assert_eq!(decoded(OsStr::new(name)).as_deref(), Some(text));
        }
        assert_eq!(decoded(OsStr::new(r"\xff")), None);
    }
}
