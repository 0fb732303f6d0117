//! Stages, as the table sees them.

use crate::engine::Stage;

/// Stages that most events are answered alike in.
#[derive(Clone, Copy)]
pub(super) enum Span {
    Idle,
    Armed,
    Failed,
    Trial,
    Proved,
    GoingBack,
    RolledBack,
    Finalizing,
    Finalized,
}

impl Span {
    pub(super) fn of(stage: Stage) -> Self {
        match stage {
            Stage::Planned | Stage::Disarmed => Self::Idle,
            Stage::Armed | Stage::Preparing => Self::Armed,
            Stage::Failed => Self::Failed,
            Stage::Committed => Self::Trial,
            Stage::Validated | Stage::Rehearsing | Stage::Rehearsed => Self::Proved,
            Stage::RollbackRequested | Stage::RollingBack => Self::GoingBack,
            Stage::RolledBack => Self::RolledBack,
            Stage::Finalizing => Self::Finalizing,
            Stage::Finalized => Self::Finalized,
        }
    }
}
