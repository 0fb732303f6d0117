//! Which points there are, and which of them are tried.

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::Selection;
use super::scene::{PHASES, begin, count, disk, is_boot};
use super::store::{Counts, Faulty, Switch};
use super::trouble::{Fault, Full, Kind, Point, Trouble};
use crate::sweep::Phase;
use crate::sweep::chance::Chance;
use crate::sweep::host::{Host, Setting};
use crate::sweep::life::Life;
use crate::sweep::shown::Shown;

/// Room that is left on a full disk: blocks, or a few files' metadata each.
const DATA_LEFT: [usize; 3] = [0, 1, 4];
const METADATA_LEFT: [usize; 2] = [0, 4];
/// Beside all else the disk hangs at one flush in so many: a point takes 10 seconds.
const HANGS: usize = 8;
/// Where a record is written that another root follows from: its flush is in every sample.
const DECIDING: [Phase; 3] = [Phase::Migrate, Phase::RollBack, Phase::GiveUpNew];

/// The points of a selection, in the order of a life.
pub(super) fn chosen(
    setting: &Arc<Setting>,
    life: &Life,
    selection: &Selection,
) -> Result<Vec<Point>> {
    if let Some(only) = selection.only {
        return Ok(vec![only]);
    }
    let wanted = |phase: &&Phase| selection.phase.is_none_or(|only| only == **phase);
    let mut groups = Vec::new();
    let mut deciding = Vec::new();
    for phase in PHASES.iter().filter(wanted) {
        let counts = counts(setting, life, *phase)?;
        deciding.extend(counts.deciding().map(|flush| (*phase, flush)));
        let decides = !DECIDING.contains(phase) || counts.deciding().is_some();
        ensure!(decides, "{phase}: no record of another root was written");
        groups.extend(of_device(*phase, counts, hangs(*phase, selection)));
        groups.extend(of_disk(*phase, life.tape(*phase)?.flushes()));
    }
    if let Some(kind) = &selection.kind {
        let is_wanted = |group: &Vec<Point>| {
            let first = group.first();
            first.is_some_and(|point| point.trouble.name() == kind.as_str())
        };
        groups.retain(is_wanted);
    }
    let total: usize = groups.iter().map(Vec::len).sum();
    let number = selection.points.unwrap_or(total);
    let mut chance = Chance::of(selection.seed, "faults");
    let share = |group: &Vec<Point>| (group.len() * number).div_ceil(total.max(1));
    let mut picked: Vec<Point> = groups
        .iter()
        .flat_map(|group| chance.pick(group, share(group)))
        .collect();
    for point in groups
        .iter()
        .flatten()
        .filter(|point| decides(point, &deciding))
    {
        if !picked.contains(point) {
            picked.push(*point);
        }
    }
    Ok(picked)
}

/// Whether a flush fails, or all from it on, that decides which system is root.
fn decides(point: &Point, deciding: &[(Phase, usize)]) -> bool {
    match point.trouble {
        Trouble::Device(Fault { kind, at }) => {
            matches!(kind, Kind::Flush | Kind::Outage) && deciding.contains(&(point.phase, at))
        }
        Trouble::Disk { .. } => false,
    }
}

fn counts(setting: &Arc<Setting>, life: &Life, phase: Phase) -> Result<Counts> {
    let switch = Switch::default();
    let host = Host::new(setting, "sound")?;
    begin(&host, phase, &disk(life, phase, 0)?)?;
    let store = Faulty {
        disk: host.disk()?,
        switch: switch.clone(),
    };
    let shown = Shown::start(setting, "counted", store)?;
    let counts = count(life, phase, &shown, &switch);
    shown.finish()?;
    counts
}

/// At one flush in how many the disk hangs; at none in a sample, but for one phase, unless that is
/// what was asked for.
fn hangs(phase: Phase, selection: &Selection) -> Option<usize> {
    let tried = selection.points.is_none() || only_hangs(selection) || phase == Phase::Migrate;
    let step = if only_hangs(selection) { 1 } else { HANGS };
    (is_boot(phase) && tried).then_some(step)
}

/// Whether a disk that hangs is all that was asked for.
fn only_hangs(selection: &Selection) -> bool {
    selection.kind.as_deref() == Some(Kind::Hang.name())
}

/// `hangs`: at one flush in how many the disk hangs, if at all.
fn of_device(phase: Phase, counts: Counts, hangs: Option<usize>) -> Vec<Vec<Point>> {
    let of = |kind: &Kind| {
        let kind = *kind;
        let point = |at| Point {
            phase,
            trouble: Trouble::Device(Fault { kind, at }),
        };
        let step = match kind {
            Kind::Hang => hangs,
            Kind::Outage => is_boot(phase).then_some(1),
            _ => Some(1),
        };
        let points = step.map(|step| (1..=counts.of(kind)).step_by(step).map(point));
        points.into_iter().flatten().collect()
    };
    Kind::ALL.iter().map(of).collect()
}

/// After each flush, the next of the rooms each time: a point takes a second or more. Before `arm`
/// there is no place for the ballast; it refuses a full disk.
fn of_disk(phase: Phase, flushes: usize) -> Vec<Vec<Point>> {
    if phase == Phase::Arm {
        return Vec::new();
    }
    let of = |full: &Full| {
        let full = *full;
        let room = match full {
            Full::Data => &DATA_LEFT[..],
            Full::Metadata => &METADATA_LEFT[..],
        };
        let at = |(flush, left): (usize, &usize)| Point {
            phase,
            trouble: Trouble::Disk {
                full,
                flush,
                left: *left,
            },
        };
        (0..flushes).zip(room.iter().cycle()).map(at).collect()
    };
    Full::ALL.iter().map(of).collect()
}
