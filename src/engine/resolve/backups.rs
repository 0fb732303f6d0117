//! The backups of `rollback_configuration`: each file is copied in the prepared new system before
//! the first step that rewrites one.

use crate::documents::Action;
use crate::documents::action::BackUpFile;
use crate::documents::batch::RollbackConfiguration;
use crate::documents::expand::holder;
use crate::documents::layout::FilesystemLayout;
use crate::documents::plan::{PlannedPhase, PlannedStep, STAGING, root_filesystem};
use crate::documents::restore::Restore;
use crate::engine::Error;

/// Puts one step for each backup before the first step that rewrites a file; without such a step
/// nothing needs a backup.
pub(super) fn insert(
    phases: &mut [PlannedPhase],
    rollback: &RollbackConfiguration,
    time: &str,
    layout: &FilesystemLayout,
) -> Result<(), Error> {
    let restores = rollback.restores("batch").map_err(first)?;
    let rewrites = |step: &PlannedStep| step.action.rewrites_a_file();
    let mut viscripts = phases.iter_mut().flat_map(|phase| &mut phase.viscripts);
    let Some(script) = viscripts.find(|script| script.steps.iter().any(rewrites)) else {
        return Ok(());
    };
    let at = script.steps.iter().position(rewrites).unwrap_or(0);
    let steps: Vec<PlannedStep> = restores
        .iter()
        .map(|restore| back_up(restore, time, layout))
        .collect::<Result<_, _>>()?;
    script.steps.splice(at..at, steps);
    Ok(())
}

fn first(problems: Vec<crate::documents::Error>) -> Error {
    let first = problems.into_iter().next();
    first.map_or_else(|| Error::Unresolved(String::new()), Error::from)
}

fn back_up(restore: &Restore, time: &str, layout: &FilesystemLayout) -> Result<PlannedStep, Error> {
    let refused = |why: String| Error::Unresolved(format!("the backup {}: {why}", restore.name));
    let (subvolume, file) = holder(&restore.file, layout, None);
    let (_, backup) = holder(&restore.pattern.with(time), layout, None);
    Ok(PlannedStep {
        id: format!("rollback_configuration/{}", restore.name),
        filesystem: root_filesystem(),
        shares_filesystem: false,
        retries: 3,
        on_failure: Vec::new(),
        action: Action::BackUpFile(BackUpFile {
            subvolume: format!("{STAGING}/{subvolume}")
                .try_into()
                .map_err(refused)?,
            file: file.try_into().map_err(refused)?,
            backup: backup.try_into().map_err(refused)?,
            old_path: restore.file.clone().try_into().map_err(refused)?,
        }),
    })
}
