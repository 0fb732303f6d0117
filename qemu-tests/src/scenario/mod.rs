//! The life of one machine, stage by stage: armed, cut, resumed, proved, rolled back. The demo
//! and the machine tests are put together from these.

mod arm;
mod context;
mod life;
mod migrate;
mod prove;
mod rollback;
mod said;

pub use arm::{Armed, Wishes, arm, arm_as_wished, arm_copy_of};
pub use context::Context;
pub use life::Life;
pub use migrate::{cut_at_step, migrate, migrate_on};
pub use prove::{Proof, prove, told};
pub use rollback::{prove_rolled_back, request_rollback};
pub use said::part;
