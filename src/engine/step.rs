//! One step: `begun` (durable), the step, `syncfs`, `done` (durable); tried again where that helps.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::home::Migration;
use super::others::context_of;
use super::{Error, prepared};
use crate::checks::MountedFilesystem;
use crate::documents::plan::PlannedStep;
use crate::documents::{Action, Plan};
use crate::fault;
use crate::journal::Record;
use crate::steps::{self, Probe, StepContext};
use crate::sys::usage::{Meter, Scope};
use crate::sys::{Root, clock};

/// The first pause before another try, in milliseconds; each further one is four times as long.
const PAUSE: u64 = 50;
/// No pause is longer, in milliseconds.
const LONGEST_PAUSE: u64 = 10_000;

/// What all steps of a run share.
pub(super) struct Run<'a> {
    pub plan: &'a Plan,
    pub top: &'a Root,
    pub others: Arc<Vec<MountedFilesystem>>,
    /// The only writer of the journal, whoever of the viScripts has something to say.
    migration: Mutex<&'a mut Migration>,
}

impl<'a> Run<'a> {
    pub fn new(top: &'a Root, plan: &'a Plan, migration: &'a mut Migration) -> Self {
        Self {
            plan,
            top,
            others: Arc::clone(&migration.others),
            migration: Mutex::new(migration),
        }
    }

    pub fn migration(&self) -> MutexGuard<'_, &'a mut Migration> {
        self.migration
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub fn record(&self, record: Record) -> Result<(), Error> {
        self.migration().record(record)
    }
}

/// One step, from whatever a cut has left of it.
///
/// # Errors
/// When all tries failed.
pub(super) fn run_step(run: &Run, step: &PlannedStep, scope: Scope) -> Result<(), Error> {
    let Some(was_open) = begin(run, step)? else {
        return Ok(());
    };
    let meter = Meter::start(scope);
    fault::reached("step-begun");
    let context = context_of(run.plan, run.top, &run.others, step)?;
    let found = carry_out(&context, step)?;
    fault::reached("step-applied");
    if !fault::mutant::SKIP_SYNC {
        context.sync()?;
    }
    fault::reached("step-synced");
    let (milliseconds, usage) = meter.read();
    run.record(Record::Done {
        step: step.id.clone(),
        milliseconds,
        usage: Some(usage.into()),
        found_done: was_open && found == Probe::Done,
        left: prepared::left(run, step)?,
    })?;
    fault::reached("step-done");
    Ok(())
}

/// Whether the step was open already; none when it is done.
fn begin(run: &Run, step: &PlannedStep) -> Result<Option<bool>, Error> {
    let mut migration = run.migration();
    if migration.state().done.contains(&step.id) {
        return Ok(None);
    }
    let was_open = migration.state().open.contains(&step.id);
    if !was_open {
        migration.record(Record::Begun {
            step: step.id.clone(),
        })?;
    }
    migration.announce(&step.id);
    Ok(Some(was_open))
}

fn carry_out(context: &StepContext, step: &PlannedStep) -> Result<Probe, Error> {
    let failed = |cause| Error::Step {
        step: step.id.clone(),
        cause: Box::new(cause),
    };
    let work = || once(context, &step.action);
    let cause = match with_retries(step.retries, &work, &clock::pause) {
        Ok(found) => return Ok(found),
        Err(cause) if step.on_failure.is_empty() => return Err(failed(cause)),
        Err(cause) => cause,
    };
    log::warn!("step {}: {cause}; trying to recover", step.id);
    for recovery in &step.on_failure {
        if let Err(recovery) = once(context, recovery) {
            let cause = Box::new(failed(cause));
            let recovery = Box::new(recovery);
            return Err(Error::StepAndRecovery { cause, recovery });
        }
    }
    once(context, &step.action).map_err(failed)
}

fn once(context: &StepContext, action: &Action) -> Result<Probe, steps::Error> {
    let code = steps::of(action);
    let found = code.probe(context)?;
    if found == Probe::Open {
        code.apply(context)?;
    }
    code.verify(context)?;
    Ok(found)
}

/// Tries again, after longer and longer pauses, while what stands in the way may pass.
fn with_retries(
    retries: u32,
    work: &dyn Fn() -> Result<Probe, steps::Error>,
    pause: &dyn Fn(Duration),
) -> Result<Probe, steps::Error> {
    let mut wait = PAUSE;
    for number in 1..=retries {
        match work() {
            Err(cause) if cause.may_pass() => {
                log::warn!("{cause}; try {number} of {retries} again in {wait} ms");
            }
            ended => return ended,
        }
        pause(Duration::from_millis(wait));
        wait = (wait * 4).min(LONGEST_PAUSE);
    }
    work()
}

#[cfg(test)]
mod tests {
    use super::{Probe, with_retries};
    use crate::steps::Error;
    use crate::sys;
    use std::cell::RefCell;
    use std::path::Path;
    use std::time::Duration;

    fn failing(errno: i32) -> Error {
        let cause = std::io::Error::from_raw_os_error(errno);
        sys::Error::call("rename", Path::new("/x"), cause).into()
    }

    /// Lets the first tries fail; the number of tries and the pauses in milliseconds.
    fn tries(failures: usize, errno: i32, retries: u32) -> (bool, usize, Vec<u128>) {
        let (count, pauses) = (RefCell::new(0), RefCell::new(Vec::new()));
        let work = || {
            *count.borrow_mut() += 1;
            if *count.borrow() <= failures {
                Err(failing(errno))
            } else {
                Ok(Probe::Open)
            }
        };
        let pause = |time: Duration| pauses.borrow_mut().push(time.as_millis());
        let good = with_retries(retries, &work, &pause).is_ok();
        (good, count.into_inner(), pauses.into_inner())
    }

    const EIO: i32 = 5;
    const EBUSY: i32 = 16;

    #[test]
    fn what_passes_is_tried_again_after_longer_and_longer_pauses() {
        assert_eq!(tries(2, EBUSY, 3), (true, 3, vec![50, 200]));
        assert_eq!(tries(0, EBUSY, 3), (true, 1, vec![]));
    }

    #[test]
    fn the_retries_are_counted() {
        assert_eq!(tries(9, EBUSY, 3), (false, 4, vec![50, 200, 800]));
        assert_eq!(tries(9, EBUSY, 0), (false, 1, vec![]));
    }

    #[test]
    fn what_does_not_pass_is_tried_once() {
        assert_eq!(tries(9, EIO, 3), (false, 1, vec![]));
    }

    #[test]
    fn no_pause_is_longer_than_ten_seconds() {
        let (_, _, pauses) = tries(99, EBUSY, 7);
        assert_eq!(pauses, [50, 200, 800, 3200, 10_000, 10_000, 10_000]);
    }
}
