//! Faults at each step: a device that fails, disappears or can only be read any more, and a disk
//! without room, in every phase of a migration's life.
//!
//! The cut sweep's disk answers with errors, from one operation on or for one only. The shipped
//! binary has to end within a bounded time, and to name the root that the journal names; then the
//! machine is well again, without what could not be written, and all that must hold after a power
//! cut must hold.

mod full;
mod points;
mod scene;
mod store;
mod table;
mod trouble;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, ensure};
use rootshift::sys::mount;

use crate::run::is_root;
use crate::sweep::Phase;
use crate::sweep::host::{Host, Setting, folder_in_memory};
use crate::sweep::life::{Life, kind_of};
use crate::sweep::tape::Tape;
use crate::workers::{caught, one_a_processor, share_out};
use crate::workspace::Workspace;
use crate::{package, setup};
pub use table::Tally;
pub use trouble::Point;
use verdict::{Essence, Passed, Victim, essence};

/// The file system's own check runs at one point in so many.
const CHECKED: usize = 4;

/// Which faults.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The kind of old system: `a` or `rootfs`.
    pub way: String,
    /// About how many points; all without.
    pub points: Option<usize>,
    /// Decides which.
    pub seed: u64,
    /// Only this phase.
    pub phase: Option<Phase>,
    /// Only troubles of this name.
    pub kind: Option<String>,
    /// Only this point.
    pub only: Option<Point>,
    /// This program, with all commands in it, instead of the shipped ones.
    pub binary: Option<PathBuf>,
}

/// How a point ended.
#[derive(Debug)]
struct Ended {
    point: Point,
    ended: Result<Passed, String>,
}

/// Lets it all happen, and prints what came of it. What is red is in the tally.
pub fn run(workspace: &Workspace, selection: &Selection) -> Result<Tally> {
    ensure!(is_root(), "the faults need mounts: run it as root");
    let (binary, tools) = match &selection.binary {
        Some(binary) => (binary.clone(), binary.clone()),
        None => {
            setup::prepare(workspace)?;
            (package::binary(workspace)?, package::tools(workspace)?)
        }
    };
    // Nobody else holds on to what is mounted here.
    mount::private_namespace()?;
    let folder = folder_in_memory()?;
    let setting = Arc::new(Setting {
        binary,
        tools,
        kind: kind_of(&selection.way)?,
        folder: folder.clone(),
    });
    let done = happen(&setting, selection);
    _ = std::fs::remove_dir_all(folder);
    done
}

fn happen(setting: &Arc<Setting>, selection: &Selection) -> Result<Tally> {
    let life = Life::record(setting)?;
    let points = points::chosen(setting, &life, selection)?;
    ensure!(!points.is_empty(), "there is no such point");
    println!("faults: {} points", points.len());
    let ends = ends(setting, &life)?;
    let start = Instant::now();
    let done = AtomicUsize::new(0);
    let ended = all(setting, (&life, &ends), &points, &|ended| {
        table::one(ended, selection);
        table::progress(done.fetch_add(1, Ordering::Relaxed) + 1, start.elapsed());
    })?;
    let tally = Tally::of(&ended, start.elapsed());
    tally.print(selection);
    Ok(tally)
}

/// How each phase ends when nothing goes wrong.
fn ends(setting: &Arc<Setting>, life: &Life) -> Result<Vec<(Phase, Essence)>> {
    let host = Host::new(setting, "uncut")?;
    let end = |(phase, tape): &(Phase, Tape)| {
        host.insert(&tape.end())?;
        Ok((*phase, essence(&host)?))
    };
    life.tapes.iter().map(end).collect()
}

/// Shares the points out among as many machines as there are processors. More of them would not be
/// faster where disks hang: a mount that waits holds up every other one (fs/btrfs, uuid_mutex).
fn all(
    setting: &Arc<Setting>,
    (life, ends): (&Life, &[(Phase, Essence)]),
    points: &[Point],
    tell: &(dyn Fn(&Ended) + Sync),
) -> Result<Vec<Ended>> {
    let begin = |number: usize| {
        let host = Host::new(setting, &format!("machine-{number}"))?;
        Ok((host, number))
    };
    let work = |(host, number): &(Host, usize), index: usize| {
        let victim = Victim {
            setting,
            life,
            host,
            number: *number,
            ends,
        };
        let ended = points.get(index).map(|point| one(&victim, *point, index));
        ended.iter().for_each(tell);
        ended.into_iter().collect()
    };
    share_out(points.len(), one_a_processor(), &begin, &work)
}

/// A panic is red.
fn one(victim: &Victim, point: Point, index: usize) -> Ended {
    let checks = index.is_multiple_of(CHECKED);
    let suffered = caught(|| victim.suffer(point, checks));
    Ended {
        point,
        ended: suffered.map_err(|error| format!("{error:#}")),
    }
}
