//! A few workers for many named pieces of work.

use std::time::Instant;

use anyhow::Result;

use super::Tally;
use crate::workers::{caught, share_out};

/// One named piece of work.
pub(super) struct Job<'a> {
    /// What is printed.
    pub(super) name: &'a str,
    /// What is done.
    pub(super) work: Box<dyn Fn() -> Result<()> + Send + Sync + 'a>,
}

/// Runs all jobs, `workers` at a time, and prints a line for each as it ends. A panic is red.
pub(super) fn run(jobs: &[Job], workers: usize) -> Tally {
    let work = |_: &usize, index: usize| jobs.get(index).map(report).into_iter().collect();
    let mut tally = Tally::default();
    match share_out(jobs.len(), workers, &Ok, &work) {
        Ok(ended) => ended
            .into_iter()
            .for_each(|good| tally.add(Tally::from(good))),
        Err(error) => {
            println!("FAIL machine: {error:#}");
            tally.failed += 1;
        }
    }
    tally
}

fn report(job: &Job) -> bool {
    let start = Instant::now();
    let ended = caught(|| (job.work)());
    let seconds = start.elapsed().as_secs_f64();
    match &ended {
        Ok(()) => println!("ok   machine {} ({seconds:.1} s)", job.name),
        Err(error) => println!("FAIL machine {} ({seconds:.1} s)\n{error:#}", job.name),
    }
    ended.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn errors_and_panics_are_counted() {
        let job = |name, work: fn() -> Result<()>| Job {
            name,
            work: Box::new(work),
        };
        let jobs = [
            job("good", || Ok(())),
            job("bad", || Err(anyhow!("no"))),
            job("worse", || panic!("never mind")),
            job("also good", || Ok(())),
        ];
        assert_eq!(
            run(&jobs, 2),
            Tally {
                passed: 2,
                failed: 2
            }
        );
    }
}
