//! The ext4 that a btrfs is to be made of.

use std::path::{Path, PathBuf};

use crate::documents::Origin;
use crate::engine::Error;
use crate::engine::survey::Survey;
use crate::sys::ext4::{self, Superblock};

/// What btrfs-convert takes (facts crash.md 2.6); the kernel's page on all machines that Debian's
/// amd64 runs on.
const BLOCK_SIZE: u64 = 4096;
/// Files without this feature have no type in their directory (fs/ext4/ext4.h).
const FILE_TYPE: u32 = 0x2;
/// Features of `s_feature_incompat` and `s_feature_ro_compat` (fs/ext4/ext4.h) that btrfs-convert
/// breaks on, or breaks (facts crash.md 2.6).
const INCOMPATIBLE: [(u32, &str); 4] = [
    (0x400, "ea_inode"),
    (0x8000, "inline_data"),
    (0x1_0000, "encrypt"),
    (0x2_0000, "casefold"),
];
const READ_ONLY_COMPATIBLE: [(u32, &str); 3] =
    [(0x200, "bigalloc"), (0x2000, "project"), (0x8000, "verity")];

/// What is known of it. Sizes in bytes.
#[derive(Debug)]
pub(super) struct Source {
    pub place: String,
    pub device: PathBuf,
    pub superblock: Superblock,
    pub size: u64,
    pub used: u64,
    pub free: u64,
    pub inodes: u64,
}

impl Source {
    /// What is mounted there.
    pub(super) fn of(survey: &Survey, place: &str) -> Result<Self, Error> {
        let (device, superblock) = mounted(survey, place)?;
        let space = survey.system.within(Path::new(place))?.free_space()?;
        Ok(Self {
            place: place.to_owned(),
            device,
            size: space.total_bytes,
            used: space.total_bytes.saturating_sub(space.free_bytes),
            free: space.free_bytes,
            inodes: superblock.inodes.saturating_sub(space.free_inodes),
            superblock,
        })
    }

    /// A batch is written for one machine: another one's file system is not touched.
    pub(super) fn is_named(&self, name: &str) -> Result<(), Error> {
        let uuid = &self.superblock.uuid;
        let named = match name.strip_prefix("UUID=") {
            Some(named) => named.eq_ignore_ascii_case(uuid),
            None => {
                let there = ext4::superblock(Path::new(name))?;
                there.is_some_and(|there| there.uuid == *uuid)
            }
        };
        if named {
            return Ok(());
        }
        Err(Error::Unresolved(format!(
            "the batch is not for this machine: it makes {} of {name}, but {} (UUID={uuid}) is \
             mounted there",
            self.place,
            self.device.display()
        )))
    }
}

fn mounted(survey: &Survey, place: &str) -> Result<(PathBuf, Superblock), Error> {
    let mut mounts = survey.mounts.iter().rev();
    let mount = mounts.find(|mount| mount.mount_point == Path::new(place));
    let refuse = |why: &str| Err(Error::Unresolved(format!("{place}: {why}")));
    let Some(mount) = mount else {
        return refuse("nothing is mounted there; mount it, or take it out of the batch's layout");
    };
    match mount.fstype.as_str() {
        "ext4" if mount.root == Path::new("/") => {}
        "ext4" => return refuse("only a part of a file system is mounted there"),
        "btrfs" => return refuse("it is btrfs already; take \"from\" out of the batch's layout"),
        other => return refuse(&format!("{other} can't be moved yet; ext4 can be planned")),
    }
    let device = PathBuf::from(&mount.source);
    match ext4::superblock(&device)? {
        Some(superblock) => Ok((device, superblock)),
        None => refuse(&format!("{} holds no ext4", device.display())),
    }
}

/// The UUID of the ext4 that is mounted there.
///
/// # Errors
/// When none is, or it can't look.
pub fn uuid_of(survey: &Survey, place: &str) -> Result<String, Error> {
    Ok(mounted(survey, place)?.1.uuid)
}

impl Superblock {
    /// What in it stands in the way.
    pub(super) fn obstacles(&self, origin: &Origin) -> Vec<String> {
        let mut obstacles = Vec::new();
        if self.has_errors {
            let remedy = "run `e2fsck -f` on it while it is not mounted";
            obstacles.push(format!("the ext4 has errors; {remedy}"));
        }
        if origin.target().is_some() {
            return obstacles;
        }
        let mut say = |what: String| {
            let remedy = "copy its files to another btrfs (--template ext4-to-disk)";
            obstacles.push(format!("btrfs-convert can't take {what}; {remedy}"));
        };
        if self.block_size != BLOCK_SIZE {
            say(format!("blocks of {} bytes", self.block_size));
        }
        if self.incompatible & FILE_TYPE == 0 {
            say("directories without types (filetype)".into());
        }
        let words = [
            (self.incompatible, &INCOMPATIBLE[..]),
            (self.read_only_compatible, &READ_ONLY_COMPATIBLE[..]),
        ];
        for (found, features) in words {
            for (bit, name) in features {
                if found & bit != 0 {
                    say(format!("the feature {name}"));
                }
            }
        }
        obstacles
    }
}
