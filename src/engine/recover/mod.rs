//! `recover`: what a command that crashed or was killed leaves behind on a live system. All of it
//! is named before any of it is touched; what is not surely rootshift's own is left alone.

mod find;
mod staged;

use std::path::{Path, PathBuf};

use super::home::Migration;
use super::survey::Survey;
use super::transition::Act;
use super::{Error, Hands, carry_out, initramfs, rollback};
use crate::sys::{Root, mount};

pub use find::{at_work, leftovers};

/// Where commands mount what they need.
const PLACES: &str = "/run/rootshift";

/// The machine that is tidied. Whoever has the migration holds its journal: nobody else is at it.
#[derive(Debug)]
pub struct Machine<'a> {
    /// The running system, its mounts, and the top level.
    pub survey: &'a Survey,
    /// The migration, where there is a journal that can be used.
    pub migration: Option<&'a mut Migration>,
}

impl Machine<'_> {
    fn top(&self) -> Result<&Root, Error> {
        let missing = || Error::NotNow("the top level is not mounted".into());
        self.survey.top.as_ref().ok_or_else(missing)
    }
}

/// Something that was left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leftover {
    /// The top level is still mounted here, by a command that was killed.
    Mount(PathBuf),
    /// The journal ends in this many bytes of a record that was never durable.
    Tail(u64),
    /// A failed migration's work could not be taken back when it failed.
    Prepared,
    /// A subvolume that was prepared for a migration that is over.
    Staged(PathBuf),
    /// The same, but it may be somebody's: why.
    Doubtful(PathBuf, String),
    /// A file that was being written beside the one it was to replace.
    Unfinished {
        /// Whether it is in rootshift's own place at the top level, not in the running system.
        at_top: bool,
        /// Its path there.
        path: PathBuf,
    },
    /// The images are not what the journal asks for: what was seen, and what is done.
    Images(String, Vec<Act>),
    /// An image that was being made; not by rootshift itself.
    HalfImage(PathBuf),
}

impl Leftover {
    /// A word for it that stays the same.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mount(_) => "mount",
            Self::Tail(_) => "journal-tail",
            Self::Prepared => "prepared-work",
            Self::Staged(_) => "staged-subvolume",
            Self::Doubtful(..) => "doubtful-entry",
            Self::Unfinished { .. } => "unfinished-file",
            Self::Images(..) => "armed-images",
            Self::HalfImage(_) => "half-made-image",
        }
    }

    /// What it is, in a sentence.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Mount(at) => format!(
                "the top level of the disk is still mounted at {}, by a command that was killed",
                at.display()
            ),
            Self::Tail(bytes) => format!(
                "the journal ends in {bytes} bytes of a record that a cut left unfinished; it \
                 never counted"
            ),
            Self::Prepared => "what a failed migration had prepared is not all taken back".into(),
            Self::Staged(path) => format!(
                "/{} (at the top level) was prepared for a migration that is over; it is a \
                 snapshot that was never used",
                path.display()
            ),
            Self::Doubtful(path, why) => format!("/{} (at the top level): {why}", path.display()),
            Self::Unfinished { path, at_top } => format!(
                "/{}{} was being written when a command was killed; the file it was to replace \
                 is whole",
                path.display(),
                if *at_top { " (at the top level)" } else { "" }
            ),
            Self::Images(seen, _) => seen.clone(),
            Self::HalfImage(path) => format!(
                "/{} was left by update-initramfs, or it is being made just now",
                path.display()
            ),
        }
    }

    /// What is done about it; none where nothing is.
    #[must_use]
    pub fn act(&self) -> Option<String> {
        Some(match self {
            Self::Mount(at) => format!("unmount {}", at.display()),
            Self::Tail(_) => "take them off the journal".into(),
            Self::Prepared => "take it back, step by step, as the journal has it".into(),
            Self::Staged(path) | Self::Unfinished { path, .. } => {
                format!("delete /{}", path.display())
            }
            Self::Images(_, acts) if acts.contains(&Act::Offer) => {
                "make every initramfs image anew, with the plan".into()
            }
            Self::Images(..) => "make every initramfs image without rootshift".into(),
            Self::Doubtful(..) | Self::HalfImage(_) => return None,
        })
    }

    /// What a person can do about what is left alone.
    #[must_use]
    pub fn by_hand(&self) -> Vec<String> {
        match self {
            Self::Doubtful(path, _) => vec![format!(
                "btrfs subvolume list / | grep -F {}",
                path.file_name().unwrap_or_default().to_string_lossy()
            )],
            Self::HalfImage(path) => vec![
                "pgrep -a mkinitramfs    # it is being made while this prints something".into(),
                format!("rm /{}", path.display()),
            ],
            _ => Vec::new(),
        }
    }
}

/// Does away with one leftover. Durable when it returns; may be repeated after a cut.
///
/// # Errors
/// When that is not possible; what is left of it is found again.
pub fn tidy(machine: &mut Machine, leftover: &Leftover) -> Result<(), Error> {
    match leftover {
        Leftover::Mount(at) => Ok(mount::unmount(at)?),
        Leftover::Staged(path) => staged::delete(machine.top()?, path),
        Leftover::Unfinished { at_top, path } => {
            let root = if *at_top {
                machine.top()?
            } else {
                &machine.survey.system
            };
            root.remove_file(path)?;
            Ok(root.sync_filesystem()?)
        }
        Leftover::Tail(_) => match &mut machine.migration {
            Some(migration) => migration.drop_tail(),
            None => Ok(()),
        },
        Leftover::Prepared => {
            let survey = machine.survey;
            match (&mut machine.migration, &survey.top) {
                (Some(migration), Some(top)) => rollback::discard(top, migration),
                _ => Ok(()),
            }
        }
        Leftover::Images(_, acts) => make_images(machine, acts),
        Leftover::Doubtful(..) | Leftover::HalfImage(_) => Ok(()),
    }
}

fn make_images(machine: &mut Machine, acts: &[Act]) -> Result<(), Error> {
    let system = &machine.survey.system;
    if let (Some(migration), Some(top)) = (&mut machine.migration, &machine.survey.top) {
        let mut hands = Hands {
            system,
            top,
            migration,
            reason: "",
        };
        return carry_out(acts, &mut hands);
    }
    initramfs::withdraw(system)?;
    initramfs::rebuild()?;
    initramfs::verify(system, None, &[])?;
    Ok(system.sync_filesystem()?)
}

/// Removes the empty directories that commands mount at. Never fails: one that is in use stays.
pub fn remove_places(survey: &Survey) {
    let places = Path::new(PLACES);
    for name in survey.system.list(places).unwrap_or_default() {
        let place = places.join(name);
        // A mounted or a filled one is refused by the kernel.
        survey.system.remove_directory(&place).ok();
    }
}
