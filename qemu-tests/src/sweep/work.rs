//! The points, shared out among as many machines as there are processors.

use std::sync::Arc;

use anyhow::Result;

use super::chance::Chance;
use super::host::{Host, Setting};
use super::judge::Judge;
use super::life::{Life, Phase, finalized};
use super::point::Point;
use super::recorder::Recorder;
use super::tape::Tape;
use crate::workers::{caught, one_a_processor, share_out};

/// The file system's own check runs at one point in so many.
pub const CHECKED: usize = 4;
/// Second cuts in the resume of one first cut.
const AGAIN: usize = 6;

/// What a sweep works with.
#[derive(Debug)]
pub struct Sweep<'a> {
    /// What all machines have in common.
    pub setting: &'a Arc<Setting>,
    /// What was recorded.
    pub life: &'a Life,
    /// Decides what is left to chance.
    pub seed: u64,
}

/// One piece of work.
#[derive(Debug, Clone, Copy)]
pub enum Job {
    /// One cut.
    Once(Point),
    /// One cut, and second cuts in its resume.
    Twice(Point),
}

/// How a point ended.
#[derive(Debug)]
pub struct Ended {
    /// Where the power was cut.
    pub point: Point,
    /// Whether the superblock was torn, and mended with btrfs' own tool.
    pub mended: bool,
    /// Why it is red.
    pub error: Option<String>,
}

impl Sweep<'_> {
    /// Does all the work, and tells how each point ended as it ends.
    pub fn run(&self, jobs: &[Job], tell: &(dyn Fn(&Ended) + Sync)) -> Result<Vec<Ended>> {
        let begin = |number: usize| {
            let host = Host::new(self.setting, &format!("machine-{number}"))?;
            Ok((host, number))
        };
        let work = |(host, number): &(Host, usize), index: usize| {
            let job = jobs.get(index).copied();
            let ended = job.map_or(Vec::new(), |job| self.job(job, host, index, *number));
            ended.iter().for_each(tell);
            ended
        };
        share_out(jobs.len(), one_a_processor(), &begin, &work)
    }

    fn job(&self, job: Job, host: &Host, index: usize, number: usize) -> Vec<Ended> {
        let checks = index.is_multiple_of(CHECKED);
        match job {
            Job::Once(point) => {
                let tape = self.life.tape(point.phase);
                vec![self.ended(point, || self.cut(host, point, tape?, checks))]
            }
            Job::Twice(point) => match self.resume(point, number) {
                Ok(tape) => self.cut_again(host, point, &tape, checks),
                Err(error) => vec![self.ended(point, || Err(error))],
            },
        }
    }

    /// A panic is red.
    fn ended(&self, point: Point, work: impl FnOnce() -> Result<bool>) -> Ended {
        let done = caught(work);
        Ended {
            point,
            mended: *done.as_ref().unwrap_or(&false),
            error: done.err().map(|error| format!("{error:#}")),
        }
    }

    /// Cuts, and judges; whether the superblock had to be mended.
    fn cut(&self, host: &Host, point: Point, tape: &Tape, checks: bool) -> Result<bool> {
        let (instant, name) = match point.again {
            None => (point.cut, point.phase.name().to_owned()),
            Some(again) => (again, format!("{}:{}", point.phase, point.cut)),
        };
        host.insert(&tape.disk_at(instant, self.seed, &name)?)?;
        let torn = tape.tears_superblock(instant, self.seed, &name);
        let mended = torn && !host.can_be_mounted();
        if mended {
            host.recover_superblock()?;
        }
        let judge = Judge {
            host,
            phase: point.phase,
            origin: self.life.origin(point.phase),
            checks: checks && !torn,
            may_be_given_up: false,
        };
        judge.judge().map(|()| mended)
    }

    /// Records what follows a cut.
    fn resume(&self, point: Point, number: usize) -> Result<Tape> {
        let tape = self.life.tape(point.phase)?;
        let disk = tape.disk_at(point.cut, self.seed, point.phase.name())?;
        let name = format!("resume-{number}");
        let recorder = Recorder::start(self.setting, &name, disk)?;
        let booted = recorder.host().boot(&self.life.origin(point.phase).plans);
        if point.phase == Phase::Finalize {
            finalized(recorder.host()).ok(); // it may have been complete
        }
        let tape = recorder.finish();
        booted.and(tape)
    }

    fn cut_again(&self, host: &Host, point: Point, tape: &Tape, checks: bool) -> Vec<Ended> {
        let name = point.to_string();
        let instants = tape.instants(1, self.seed, &name);
        let chosen = match point.again {
            Some(again) => vec![again],
            None => Chance::of(self.seed, &name).pick(&instants, AGAIN),
        };
        let cut = |again| {
            let point = Point {
                again: Some(again),
                ..point
            };
            self.ended(point, || self.cut(host, point, tape, checks))
        };
        chosen.into_iter().map(cut).collect()
    }
}
