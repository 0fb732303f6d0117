//! Doing jobs side by side, up to a limit. Which job runs when may vary; the results are in the
//! order of the jobs, whatever finished first.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What has to be known of a job to place it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Job {
    /// Jobs that must have ended before it, by their position.
    pub after: Vec<usize>,
    /// Mount points of the file systems that it changes and wants for itself.
    pub changes: Vec<String>,
    /// Mount points of the file systems that it changes beside others that say so too.
    pub shares: Vec<String>,
}

impl Job {
    fn disturbs(&self, other: &Self) -> bool {
        let meet = |one: &[String], other: &[String]| one.iter().any(|place| other.contains(place));
        meet(&self.changes, &other.changes)
            || meet(&self.changes, &other.shares)
            || meet(&self.shares, &other.changes)
    }
}

/// Does all jobs, at most `limit` at a time, earlier ones first. Once `goes_on` says no to a
/// result, no further job begins; those that run come to their end. A job that was not begun has
/// no result.
pub fn side_by_side<T: Send>(
    jobs: &[Job],
    limit: usize,
    work: &(dyn Fn(usize) -> T + Sync),
    goes_on: &(dyn Fn(&T) -> bool + Sync),
) -> Vec<Option<T>> {
    let board = Board {
        jobs,
        places: Mutex::new(Places::empty(jobs.len())),
        changed: Condvar::new(),
    };
    let worker = || {
        while let Some(index) = board.take() {
            let result = work(index);
            let stops = !goes_on(&result);
            board.put(index, result, stops);
        }
    };
    let threads = limit.min(jobs.len());
    if threads < 2 {
        worker();
    } else {
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(worker);
            }
        });
    }
    let places = board.places.into_inner();
    places.unwrap_or_else(PoisonError::into_inner).results
}

struct Board<'a, T> {
    jobs: &'a [Job],
    places: Mutex<Places<T>>,
    changed: Condvar,
}

struct Places<T> {
    states: Vec<State>,
    results: Vec<Option<T>>,
    stopped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Ended,
}

impl<T> Places<T> {
    fn empty(jobs: usize) -> Self {
        Self {
            states: vec![State::Waiting; jobs],
            results: (0..jobs).map(|_| None).collect(),
            stopped: false,
        }
    }

    fn is(&self, index: usize, state: State) -> bool {
        self.states.get(index) == Some(&state)
    }

    fn set(&mut self, index: usize, state: State) {
        if let Some(place) = self.states.get_mut(index) {
            *place = state;
        }
    }

    /// The first job that nothing holds up.
    fn ready(&self, jobs: &[Job]) -> Option<usize> {
        let free = |job: &Job| {
            let running = jobs.iter().enumerate();
            let mut running = running.filter(|(index, _)| self.is(*index, State::Running));
            running.all(|(_, other)| !job.disturbs(other))
        };
        jobs.iter().enumerate().position(|(index, job)| {
            let ended = |before: &usize| self.is(*before, State::Ended);
            self.is(index, State::Waiting) && job.after.iter().all(ended) && free(job)
        })
    }
}

impl<T> Board<'_, T> {
    fn lock(&self) -> MutexGuard<'_, Places<T>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job; waits while all that are left are held up by running ones.
    fn take(&self) -> Option<usize> {
        let mut places = self.lock();
        loop {
            if places.stopped {
                return None;
            }
            if let Some(index) = places.ready(self.jobs) {
                places.set(index, State::Running);
                return Some(index);
            }
            // Nothing runs, nothing is ready: all has ended, or waits for itself.
            if !places.states.contains(&State::Running) {
                return None;
            }
            places = self
                .changed
                .wait(places)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put(&self, index: usize, result: T, stops: bool) {
        let mut places = self.lock();
        places.set(index, State::Ended);
        if let Some(place) = places.results.get_mut(index) {
            *place = Some(result);
        }
        places.stopped |= stops;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::{Job, side_by_side};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    fn jobs(count: usize) -> Vec<Job> {
        vec![Job::default(); count]
    }

    /// Runs jobs of which `most` may run at once, and asserts that so many did and no more. On a
    /// busy machine a job may begin late: the others wait for it.
    fn assert_at_once(jobs: &[Job], limit: usize, most: usize) {
        let (running, seen) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |_| {
            seen.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let began = Instant::now();
            while seen.load(Ordering::SeqCst) < most && began.elapsed() < Duration::from_secs(20) {
                sleep(Duration::from_millis(1));
            }
            sleep(Duration::from_millis(30));
            running.fetch_sub(1, Ordering::SeqCst);
        };
        let results = side_by_side(jobs, limit, &work, &|()| true);
        assert!(results.iter().all(Option::is_some));
        assert_eq!(seen.into_inner(), most);
    }

    #[test]
    fn results_are_in_the_order_of_the_jobs_whatever_ends_first() {
        let work = |index: usize| {
            sleep(Duration::from_millis(40 - 10 * index as u64));
            index * 10
        };
        let results = side_by_side(&jobs(4), 4, &work, &|_| true);
        assert_eq!(results, [Some(0), Some(10), Some(20), Some(30)]);
    }

    #[test]
    fn the_limit_holds_and_is_used() {
        assert_at_once(&jobs(8), 4, 4);
        assert_at_once(&jobs(3), 8, 3);
        assert_at_once(&jobs(3), 1, 1);
        assert_at_once(&jobs(2), 0, 1);
    }

    #[test]
    fn jobs_that_change_the_same_file_system_are_never_side_by_side() {
        let on = |places: &[&str]| Job {
            changes: places.iter().map(ToString::to_string).collect(),
            ..Job::default()
        };
        assert_at_once(&[on(&["/"]), on(&["/"]), on(&["/"])], 4, 1);
        assert_at_once(&[on(&["/"]), on(&["/ml"]), on(&["/"])], 4, 2);
        assert_at_once(&[on(&["/", "/ml"]), on(&["/ml"])], 4, 1);
        assert_at_once(&[on(&["/"]), on(&[]), on(&[])], 4, 3);
        let beside = Job {
            shares: vec!["/".to_owned()],
            ..Job::default()
        };
        assert_at_once(&[beside.clone(), beside.clone()], 4, 2);
        assert_at_once(&[on(&["/"]), beside.clone()], 4, 1);
        assert_at_once(&[beside, on(&["/"])], 4, 1);
    }

    #[test]
    fn a_job_waits_for_those_it_comes_after() {
        let after = |before: &[usize]| Job {
            after: before.to_vec(),
            ..Job::default()
        };
        let order = Mutex::new(Vec::new());
        let work = |index: usize| {
            sleep(Duration::from_millis(if index == 2 { 40 } else { 5 }));
            order.lock().unwrap().push(index);
        };
        side_by_side(&[after(&[2]), after(&[0]), after(&[])], 4, &work, &|()| {
            true
        });
        assert_eq!(order.into_inner().unwrap(), [2, 0, 1]);
    }

    #[test]
    fn after_a_failure_nothing_begins_and_what_runs_comes_to_its_end() {
        let (ended, second) = (AtomicUsize::new(0), AtomicBool::new(false));
        let work = |index: usize| {
            if index == 0 {
                while !second.load(Ordering::SeqCst) {
                    sleep(Duration::from_millis(1));
                }
            } else {
                second.store(true, Ordering::SeqCst);
                sleep(Duration::from_millis(500));
            }
            ended.fetch_add(1, Ordering::SeqCst);
            index != 0
        };
        let results = side_by_side(&jobs(5), 2, &work, &|good| *good);
        assert_eq!(results, [Some(false), Some(true), None, None, None]);
        assert_eq!(ended.into_inner(), 2);
    }

    #[test]
    fn jobs_that_wait_for_each_other_are_not_waited_for() {
        let after = |before: usize| Job {
            after: vec![before],
            ..Job::default()
        };
        let results = side_by_side(&[after(1), after(0)], 4, &|_| (), &|()| true);
        assert_eq!(results, [None, None]);
    }
}
