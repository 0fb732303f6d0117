//! `ml-workstation`: models, data sets and checkpoints, on the root and on further btrfs file
//! systems that fstab mounts.

use std::path::Path;

use super::places::{about, add as add_subvolume, is_plain_directory, name_for};
use super::subvolume;
use crate::bootcfg::fstab::Fstab;
use crate::documents::layout::{FilesystemLayout, SubvolumeLayout, is_plain_name};
use crate::engine::Error;
use crate::engine::survey::Survey;
use crate::sys::mount::Mount;

/// zstd at its level for writing while something else waits.
const COMPRESS: &str = "compress=zstd:3";
/// Facts boot.md 4.1: the first mount of a file system decides, and all others keep silent.
const ABOUT_COMPRESS: &str = "compress is an option of the whole file system, by whichever line is \
                              mounted first, so every line has it. Models and checkpoints btrfs \
                              then tries in vain and writes as they are; `btrfs property set \
                              DIRECTORY compression none` spares it that.";

/// Where such directories are looked for on the root file system.
const ON_ROOT: [&str; 5] = ["/", "/ml", "/data", "/srv", "/opt"];

/// What a directory holds, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Models,
    Datasets,
    Checkpoints,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "models" | "model" | "weights" => Some(Self::Models),
            "datasets" | "dataset" => Some(Self::Datasets),
            "checkpoints" | "checkpoint" | "ckpt" | "ckpts" => Some(Self::Checkpoints),
            _ => None,
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::Models => {
                "Weights look like noise: nothing is gained by compressing them. Copy-on-write \
                 stays on: its checksums find a flipped bit. noatime: reading does not write."
            }
            Self::Datasets => {
                "Text, tables and tokens: compressed, they are a third as large and read faster. \
                 noatime: reading does not write."
            }
            Self::Checkpoints => {
                "Written whole, often, and soon deleted: in a subvolume of its own, so that no \
                 snapshot keeps deleted ones. Compressing them would make training wait."
            }
        }
    }

    fn subvolume(self, name: &str, place: &str) -> SubvolumeLayout {
        let mut one = subvolume(name, place, self.why());
        if self != Self::Checkpoints {
            one.options.push("noatime".into());
        }
        one
    }
}

/// Adds what such a machine has.
///
/// # Errors
/// When it has nothing of it, with the template that fits then; or when it can't look.
pub(super) fn add(survey: &Survey, filesystems: &mut Vec<FilesystemLayout>) -> Result<(), Error> {
    let mut found = 0;
    if let Some(root) = filesystems.first_mut() {
        for base in ON_ROOT {
            found += add_from(survey, root, base)?;
        }
    }
    for mount in further(survey)? {
        let layout = further_layout(survey, mount)?;
        found += layout.subvolumes.len();
        filesystems.push(layout);
    }
    if found > 0 {
        return Ok(());
    }
    Err(Error::NotNow(
        "ml-workstation: there is no further btrfs file system in /etc/fstab that is mounted as a \
         whole, and no directory named models, datasets or checkpoints on the root; use --template \
         flat-to-subvolumes or debian-rootfs"
            .into(),
    ))
}

/// Adds those directories in `base` that lie on this file system; says how many.
fn add_from(survey: &Survey, layout: &mut FilesystemLayout, base: &str) -> Result<usize, Error> {
    let directory = survey.system.resolved_status(Path::new(base))?;
    if !directory.is_some_and(|status| status.is_directory()) {
        return Ok(0);
    }
    let mut found = 0;
    for name in survey.system.list(Path::new(base))? {
        let Some((kind, name)) = name.to_str().and_then(|name| Some((Kind::of(name)?, name)))
        else {
            continue;
        };
        let place = format!("{}/{name}", base.trim_end_matches('/'));
        let subvolume = name_for(&layout.mounted_at, &place);
        if is_plain_name(&subvolume) && is_plain_directory(survey, &layout.mounted_at, &place)? {
            add_subvolume(layout, kind.subvolume(&subvolume, &place));
            found += 1;
        }
    }
    Ok(found)
}

/// Btrfs file systems but the root's that fstab names and that are mounted as a whole.
fn further(survey: &Survey) -> Result<Vec<&Mount>, Error> {
    let fstab = survey.system.read_text(Path::new("etc/fstab"))?;
    let fstab = Fstab::parse(&fstab);
    let root = survey.device().unwrap_or_default();
    let mut found: Vec<&Mount> = Vec::new();
    for mount in &survey.mounts {
        let wanted = mount.fstype == "btrfs"
            && Path::new(&mount.source) != root
            && mount.root == Path::new("/")
            && fstab
                .entry_for(&mount.mount_point.to_string_lossy())
                .is_some()
            && !found.iter().any(|known| known.source == mount.source);
        if wanted {
            found.push(mount);
        }
    }
    Ok(found)
}

fn further_layout(survey: &Survey, mount: &Mount) -> Result<FilesystemLayout, Error> {
    let place = mount.mount_point.to_string_lossy().into_owned();
    let why = "What has no subvolume of its own stays where it is, in this one.";
    let main = subvolume(&name_for("/", &place), &place, why);
    let mut layout = FilesystemLayout::new(place.as_str(), vec![main]);
    add_from(survey, &mut layout, &place)?;
    let mut words = about(survey, &mount.source, &place)? + ".";
    if layout.subvolumes.iter().any(holds_datasets) {
        words.push(' ');
        words.push_str(ABOUT_COMPRESS);
        for one in &mut layout.subvolumes {
            one.options.push(COMPRESS.into());
        }
    }
    layout.comment = Some(words);
    Ok(layout)
}

fn holds_datasets(one: &SubvolumeLayout) -> bool {
    let name = one.mount_point.rsplit('/').next().unwrap_or_default();
    Kind::of(name) == Some(Kind::Datasets)
}
