//! Many pieces of work, shared out among a few workers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, anyhow};

/// Does the pieces `0..count`, `workers` at a time, each worker with what `begin` makes for it by
/// its number. The results come in the order in which they ended.
///
/// # Errors
/// When a worker can't begin, or panics.
pub fn share_out<W, R: Send>(
    count: usize,
    workers: usize,
    begin: &(dyn Fn(usize) -> Result<W> + Sync),
    work: &(dyn Fn(&W, usize) -> Vec<R> + Sync),
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Vec::new());
    let worker = |number: usize| -> Result<()> {
        let mine = begin(number)?;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(());
            }
            let ended = work(&mine, index);
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(ended);
        }
    };
    std::thread::scope(|scope| -> Result<()> {
        let worker = &worker;
        let handles: Vec<_> = (0..workers)
            .map(|number| scope.spawn(move || worker(number)))
            .collect();
        for handle in handles {
            handle.join().map_err(|_| anyhow!("a worker panicked"))??;
        }
        Ok(())
    })?;
    Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// As many as there are processors.
pub fn one_a_processor() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The work's result; a panic is an error like any other.
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.unwrap_or_else(|_| Err(anyhow!("panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_done_once_and_no_worker_begins_in_vain() {
        let mut done = share_out(100, 3, &Ok, &|_, index| vec![index]).unwrap();
        done.sort_unstable();
        assert!(done.into_iter().eq(0..100));
        let refused = share_out(1, 2, &|_| Err::<(), _>(anyhow!("no")), &|(), index| {
            vec![index]
        });
        assert!(refused.is_err());
    }

    #[test]
    fn a_panic_is_an_error() {
        assert!(caught::<()>(|| panic!("never mind")).is_err());
        assert_eq!(caught(|| Ok(1)).unwrap(), 1);
    }
}
