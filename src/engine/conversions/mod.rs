//! File systems of the layout that are no btrfs yet: what would be made of them, and how. This
//! version plans it; carrying it out is not supported yet, and [`refuse`] keeps it from being begun.

mod forecast;
mod source;
mod target;
mod words;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Error;
use super::device_names::device_names;
use super::survey::Survey;
use crate::documents::plan::{FilesystemIdentity, HOME, OldSystem};
use crate::documents::viscript::{RiskLevel, Stage};
use crate::documents::{Layout, Origin};
use crate::sys::Root;
use crate::sys::process::find_program;
use forecast::Forecast;
use source::Source;

pub use source::uuid_of;
pub use target::{Target, candidates};
pub use words::lines;

/// The subvolume in which btrfs-convert keeps the ext4 as it was.
const SAVED: &str = "ext2_saved";

/// A file system that is to come to be before the plan's steps begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedConversion {
    /// Where it is mounted, today and then.
    pub mounted_at: String,
    /// `convert` or `copy`.
    pub way: &'static str,
    /// How much is at stake, derived from the way.
    pub risk_level: RiskLevel,
    /// Where it would run.
    pub stage: Stage,
    /// What it is today.
    pub filesystem: &'static str,
    /// The device of that.
    pub device: PathBuf,
    /// Its UUID, lower case; a conversion keeps it.
    pub uuid: String,
    /// Its size.
    pub size_bytes: u64,
    /// Thereof used.
    pub used_bytes: u64,
    /// Files, directories and whatever else has a number.
    pub inodes: u64,
    /// The btrfs that takes the files, where they are copied.
    pub target: Option<Target>,
    /// Bytes that have to be free: there, else on the file system itself.
    pub space_needed_bytes: u64,
    /// Bytes that are.
    pub space_available_bytes: u64,
    /// Whether that is enough.
    pub space_is_there: bool,
    /// How long it takes where a disk is fast.
    pub seconds: u64,
    /// How long it takes where one is not.
    pub seconds_on_slow_disk: u64,
    /// What both forecasts are made of.
    pub basis: &'static str,
    /// What is not as it was before.
    pub not_kept: &'static [&'static str],
    /// What stands in the way, each with its remedy.
    pub obstacles: Vec<String>,
    /// How the btrfs will be known.
    #[serde(skip)]
    pub identity: FilesystemIdentity,
    /// What will be on it.
    #[serde(skip)]
    pub old_system: OldSystem,
}

/// What would be done to the layout's file systems before the plan's own steps. Changes nothing.
///
/// # Errors
/// When the layout does not fit this machine, or it can't look.
pub fn planned(survey: &Survey, layout: &Layout) -> Result<Vec<PlannedConversion>, Error> {
    let mut planned = Vec::new();
    for (filesystem, origin) in layout.to_be_made() {
        let source = Source::of(survey, &filesystem.mounted_at)?;
        source.is_named(origin.filesystem())?;
        let target = match origin.target() {
            Some(name) => Some(target::named(survey, name, &source)?),
            None => None,
        };
        planned.push(one(survey, origin, source, target)?);
    }
    Ok(planned)
}

fn one(
    survey: &Survey,
    origin: &Origin,
    source: Source,
    target: Option<Target>,
) -> Result<PlannedConversion, Error> {
    let (uuid, device) = match &target {
        Some(target) => (&target.uuid, &target.device),
        None => (&source.superblock.uuid, &source.device),
    };
    // Documents may go on naming it as they do today.
    let machine = Root::open(Path::new("/"))?;
    let mut names = device_names(&machine, &device.to_string_lossy(), uuid);
    if target.is_some() {
        let (device, uuid) = (&source.device, &source.superblock.uuid);
        names.push(format!("UUID={uuid}"));
        names.extend(device_names(&machine, &device.to_string_lossy(), uuid));
    }
    let identity = FilesystemIdentity {
        uuid: uuid.clone(),
        aliases: names,
    };
    let forecast = Forecast::of(origin, &source);
    let available = target
        .as_ref()
        .map_or(source.free, |target| target.available_bytes);
    let old_system = on_it(survey, &source, target.is_none())?;
    let mut one = PlannedConversion {
        mounted_at: source.place,
        way: origin.way(),
        risk_level: origin.risk(),
        stage: Stage::Initramfs,
        filesystem: "ext4",
        device: source.device,
        uuid: source.superblock.uuid.clone(),
        size_bytes: source.size,
        used_bytes: source.used,
        inodes: source.inodes,
        target,
        space_needed_bytes: forecast.bytes,
        space_available_bytes: available,
        space_is_there: forecast.bytes <= available,
        seconds: forecast.seconds,
        seconds_on_slow_disk: forecast.seconds_on_slow_disk,
        basis: forecast.basis,
        not_kept: forecast.not_kept,
        obstacles: source.superblock.obstacles(origin),
        identity,
        old_system,
    };
    one.look_further(survey, origin)?;
    Ok(one)
}

impl PlannedConversion {
    /// Whether nothing is known that stands in its way.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.obstacles.is_empty()
    }

    /// What stands in the way besides the features of the ext4.
    fn look_further(&mut self, survey: &Survey, origin: &Origin) -> Result<(), Error> {
        for command in origin.commands() {
            if find_program(&survey.system, command)?.is_none() {
                let remedy = "`apt install btrfs-progs`";
                self.obstacles
                    .push(format!("{command} is not installed; {remedy}"));
            }
        }
        let of_target = self.target.as_ref().and_then(|one| one.problem.clone());
        self.obstacles.extend(of_target);
        self.obstacles.extend(words::little_space(self));
        Ok(())
    }
}

/// What way a then finds at the top level.
fn on_it(survey: &Survey, source: &Source, converted: bool) -> Result<OldSystem, Error> {
    let names = survey.system.list(Path::new(&source.place))?;
    let names = names.iter().map(|name| name.to_string_lossy().into_owned());
    let mut entries: Vec<String> = names.filter(|name| name != HOME).collect();
    if converted {
        entries.push(SAVED.to_owned());
    }
    Ok(OldSystem {
        root: String::new(),
        entries,
        nested: Vec::new(),
        generation: None,
    })
}

/// Keeps a batch with a file system that is no btrfs yet from being begun.
///
/// # Errors
/// Always for such a batch: not supported yet.
pub fn refuse(layout: &Layout) -> Result<(), Error> {
    let Some((filesystem, origin)) = layout.to_be_made().next() else {
        return Ok(());
    };
    Err(Error::NotNow(format!(
        "the batch makes {} of an ext4 (\"from\": \"{}\"): not supported yet, this version can \
         only plan it; nothing was changed",
        filesystem.mounted_at,
        origin.way()
    )))
}
