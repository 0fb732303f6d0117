//! Arming: the plan is frozen, every image is made to hold it, and then looked into.

use super::acts::{Hands, carry_out};
use super::home::Migration;
use super::transition::Act;
use super::{Error, conversions};
use crate::documents::Plan;
use crate::fault;
use crate::sys::Root;

const MAKE_ORDINARY: [Act; 3] = [Act::Withdraw, Act::MakeImages, Act::RecordDisarmed];

/// Freezes the plan and arms every image, as the table says for [`super::transition::Event::Arm`].
/// When it fails nothing is armed.
///
/// # Errors
/// When an image does not hold the plan afterwards.
pub fn arm(
    system: &Root,
    top: &Root,
    plan: &Plan,
    program: &str,
    acts: &[Act],
) -> Result<Migration, Error> {
    conversions::refuse(&plan.layout)?;
    let mut migration = Migration::begin(top, plan, program)?;
    fault::reached("plan-frozen");
    let rest: Vec<Act> = acts
        .iter()
        .copied()
        .filter(|act| *act != Act::Freeze)
        .collect();
    let mut hands = Hands {
        system,
        top,
        migration: &mut migration,
        reason: "",
    };
    let Err(cause) = carry_out(&rest, &mut hands) else {
        return Ok(migration);
    };
    log::error!("{cause}");
    match carry_out(&MAKE_ORDINARY, &mut hands) {
        Ok(()) => Err(cause),
        Err(undo) => Err(Error::StepAndUndo {
            cause: Box::new(cause),
            undo: Box::new(undo),
        }),
    }
}
