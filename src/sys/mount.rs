//! The mount table: reading it, and mounting the top level of a btrfs.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;

use super::{Error, Result};

/// udev and the like hold a fresh mount for a moment.
const UNMOUNT_ATTEMPTS: u32 = 20;
const UNMOUNT_PAUSE: Duration = Duration::from_millis(100);

/// One line of /proc/PID/mountinfo (proc(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Field 1: unique number of the mount.
    pub id: u64,
    /// Field 2: the mount it is mounted on.
    pub parent_id: u64,
    /// Field 3: `major:minor` of the file system.
    pub device: String,
    /// Field 4: the directory of the file system that is shown, on btrfs the subvolume's path.
    pub root: PathBuf,
    /// Field 5: where.
    pub mount_point: PathBuf,
    /// Field 6: options of this mount.
    pub options: String,
    /// File system type.
    pub fstype: String,
    /// The device or another word.
    pub source: String,
    /// Options of the file system.
    pub super_options: String,
}

/// Reads mountinfo, in its order (later mounts cover earlier ones). Lines that do not follow the
/// grammar are left out. Anybody can mount with FUSE at a name that is no UTF-8.
#[must_use]
pub fn parse_mountinfo(text: &(impl AsRef<[u8]> + ?Sized)) -> Vec<Mount> {
    let lines = text.as_ref().split(|byte| *byte == b'\n');
    lines.filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ').map(unescape);
    let mut next = || fields.next();
    let word = |field: OsString| field.to_string_lossy().into_owned();
    let (id, parent_id) = (word(next()?).parse().ok()?, word(next()?).parse().ok()?);
    let (device, root, mount_point) = (word(next()?), next()?.into(), next()?.into());
    let options = word(next()?);
    // Any number of optional fields stands before the lone "-".
    while next()? != "-" {}
    Some(Mount {
        id,
        parent_id,
        device,
        root,
        mount_point,
        options,
        fstype: word(next()?),
        source: word(next()?),
        super_options: word(next()?),
    })
}

/// A name from the kernel, which writes space, tab, newline, backslash and `#` as `\ooo`
/// (fs/proc_namespace.c).
#[must_use]
pub fn unescape(field: &(impl AsRef<[u8]> + ?Sized)) -> OsString {
    let mut rest = field.as_ref();
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((first, after)) = rest.split_first() {
        let escaped = if *first == b'\\' { octal(after) } else { None };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() {
            after.get(3..).unwrap_or_default()
        } else {
            after
        };
    }
    OsString::from_vec(bytes)
}

fn octal(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits.get(..3)?).ok()?;
    if !digits.bytes().all(|digit| matches!(digit, b'0'..=b'7')) {
        return None;
    }
    u8::from_str_radix(digits, 8).ok()
}

/// Mounts a btrfs's top level (subvolume 5) read-write, without access times.
pub fn mount_top_level(device: &Path, target: &Path) -> Result<()> {
    mount_btrfs(device, target, MsFlags::MS_NOATIME)
}

/// Mounts a btrfs's top level (subvolume 5) read-only. A log left by a power cut is replayed all
/// the same: btrfs does that unless the device is read-only too.
pub fn mount_top_level_read_only(device: &Path, target: &Path) -> Result<()> {
    mount_btrfs(device, target, MsFlags::MS_NOATIME | MsFlags::MS_RDONLY)
}

/// Mounts a btrfs with these options, read-only where that can be, and takes the mount away again:
/// whether the kernel takes them. While the file system is mounted elsewhere, kernels before 6.8
/// take any.
pub fn try_btrfs(device: &Path, target: &Path, options: &str) -> Result<()> {
    let mut flags = MsFlags::MS_NOATIME | MsFlags::MS_RDONLY;
    let mut attempt = 1;
    loop {
        match nix::mount::mount(Some(device), target, Some("btrfs"), flags, Some(options)) {
            Ok(()) => return unmount(target),
            // What was just unmounted may hold the device for a moment.
            Err(Errno::EBUSY | Errno::EINTR) if attempt < UNMOUNT_ATTEMPTS => sleep(UNMOUNT_PAUSE),
            // Somebody has it mounted for writing.
            Err(Errno::EBUSY) if flags.contains(MsFlags::MS_RDONLY) => {
                flags.remove(MsFlags::MS_RDONLY);
            }
            Err(cause) => return Err(Error::pair("mount", device, target, cause)),
        }
        attempt += 1;
    }
}

fn mount_btrfs(device: &Path, target: &Path, flags: MsFlags) -> Result<()> {
    nix::mount::mount(
        Some(device),
        target,
        Some("btrfs"),
        flags,
        Some("subvolid=5"),
    )
    .map_err(|cause| Error::pair("mount", device, target, cause))
}

/// Takes a mount away; tries again for two seconds while it is in use. When it returns, the file
/// system is durable if this was its last mount.
pub fn unmount(target: &Path) -> Result<()> {
    let mut attempt = 1;
    loop {
        match nix::mount::umount2(target, MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => return Ok(()),
            Err(Errno::EBUSY) if attempt < UNMOUNT_ATTEMPTS => sleep(UNMOUNT_PAUSE),
            Err(Errno::EINTR) if attempt < UNMOUNT_ATTEMPTS => {}
            Err(cause) => return Err(Error::call("unmount", target, cause)),
        }
        attempt += 1;
    }
}

/// Takes a mount out of everybody's sight; it lives on for those who have it open.
pub fn detach(target: &Path) -> Result<()> {
    let flags = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
    nix::mount::umount2(target, flags).map_err(|cause| Error::call("unmount", target, cause))
}

/// Takes away all that a process that was killed has left mounted here, if anything. What is still
/// in use is out of sight, and gone as soon as it is not.
pub fn unmount_left_over(target: &Path) -> Result<()> {
    const ENOUGH: u32 = 8;
    for _ in 0..ENOUGH {
        match unmount(target) {
            Ok(()) => {}
            Err(error)
                if error.is_not_found() || error.errno() == Some(rustix::io::Errno::INVAL) =>
            {
                break;
            }
            Err(_) => nix::mount::umount2(target, MntFlags::MNT_DETACH)
                .map_err(|cause| Error::call("detach", target, cause))?,
        }
    }
    Ok(())
}

/// Gives this process a mount table of its own: what it mounts, nobody else sees, and it is gone
/// with the process, however that ends.
pub fn private_namespace() -> Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|cause| Error::process("get a mount table of its own", cause))?;
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    nix::mount::mount(
        None::<&Path>,
        Path::new("/"),
        None::<&Path>,
        flags,
        None::<&Path>,
    )
    .map_err(|cause| Error::call("make mounts private below", Path::new("/"), cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_of_a_subvolume_mount() {
        // Shape from proc(5); values as a Debian desktop with @home shows them.
        let line = "36 25 0:32 /@home /home rw,noatime shared:7 master:1 - btrfs /dev/sda2 \
                    rw,space_cache=v2,subvolid=257,subvol=/@home";
        let mounts = parse_mountinfo(line);
        let [mount] = mounts.as_slice() else {
            panic!("{mounts:?}")
        };
        assert_eq!(
            (mount.id, mount.parent_id, mount.device.as_str()),
            (36, 25, "0:32")
        );
        assert_eq!(mount.root, Path::new("/@home"));
        assert_eq!(mount.mount_point, Path::new("/home"));
        assert_eq!(
            (mount.fstype.as_str(), mount.source.as_str()),
            ("btrfs", "/dev/sda2")
        );
        assert_eq!(mount.options, "rw,noatime");
        assert!(mount.super_options.ends_with("subvol=/@home"));
    }

    #[test]
    fn a_name_that_is_no_text_hides_nothing() {
        let text = b"1 0 0:3 / /a\xff rw - fuse x rw\n2 1 0:32 /data /srv rw - btrfs /dev/a rw\n";
        let mounts = parse_mountinfo(text);
        let points: Vec<_> = mounts.iter().map(|mount| &mount.mount_point).collect();
        let odd = PathBuf::from(OsString::from_vec(b"/a\xff".to_vec()));
        assert_eq!(points, [&odd, &PathBuf::from("/srv")]);
    }

    #[test]
    fn broken_lines_are_left_out_and_the_others_kept() {
        let text = "x y z\n1 2 0:3 / /proc rw - proc proc rw\n1 2 0:3 / /a rw proc proc rw\n";
        let mounts = parse_mountinfo(text);
        assert_eq!(mounts.len(), 1);
        assert_eq!(mounts[0].mount_point, Path::new("/proc"));
    }

    #[test]
    fn where_nothing_is_left_over_all_is_well() {
        let folder = tempfile::tempdir().unwrap();
        unmount_left_over(folder.path()).unwrap();
        unmount_left_over(&folder.path().join("missing")).unwrap();
    }

    #[test]
    fn only_whole_octal_escapes_are_decoded() {
        assert_eq!(unescape(r"a\040b\134c"), r"a b\c");
        assert_eq!(unescape(r"\04"), r"\04");
        assert_eq!(unescape(r"\999"), r"\999");
        assert_eq!(unescape(r"\777"), r"\777");
    }

    proptest! {
        #[test]
        fn every_mount_point_survives_the_kernels_escaping(name in "[ -~\t\n]{0,40}") {
            let escaped: String = name
                .chars()
                .map(|c| match c {
                    ' ' | '\t' | '\n' | '\\' | '#' => format!("\\{:03o}", u32::from(c)),
                    other => other.to_string(),
                })
                .collect();
            let line = format!("1 2 0:3 / /mnt/{escaped} rw - btrfs none rw");
            let mounts = parse_mountinfo(&line);
            prop_assert_eq!(&mounts[0].mount_point, &PathBuf::from(format!("/mnt/{name}")));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            prop_assert!(parse_mountinfo(&text).len() <= text.lines().count());
        }
    }
}
