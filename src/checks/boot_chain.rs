//! `boot-chain`: the new system can be found, link by link, as the boot loader will find it.

use super::{CheckContext, Error, Outcome};
use crate::bootchain::broken_link;

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let broken = broken_link(&context.new_system()?)?;
    Ok(broken.map_or(Outcome::Pass, |problem| {
        Outcome::fail(problem, "the old system stays; please report this")
    }))
}
