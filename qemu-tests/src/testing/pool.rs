//! A few workers for many named pieces of work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, anyhow};

use super::Tally;

/// One named piece of work.
pub(super) struct Job<'a> {
    /// What is printed.
    pub(super) name: &'a str,
    /// What is done.
    pub(super) work: Box<dyn Fn() -> Result<()> + Send + Sync + 'a>,
}

/// Runs all jobs, `workers` at a time, and prints a line for each as it ends. A panic is red.
pub(super) fn run(jobs: &[Job], workers: usize) -> Tally {
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let good = report(job);
                    tally
                        .lock()
                        .unwrap_or_else(|broken| broken.into_inner())
                        .add(Tally::from(good));
                }
            });
        }
    });
    tally.into_inner().unwrap_or_default()
}

fn report(job: &Job) -> bool {
    let start = Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(|| (job.work)()));
    let ended = ended.unwrap_or_else(|_| Err(anyhow!("panicked")));
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
