//! The switch of the boot path, which is the engine's.

use super::{Error, Scope};
use crate::documents::Action;
use crate::documents::expand::main_name;
use crate::documents::plan::{PlannedPhase, PlannedStep, PlannedViScript, root_filesystem};
use crate::documents::step::SwitchBootPath;
use crate::documents::viscript::{RiskLevel, Stage};

/// The switch of the boot path belongs to every plan: a batch may place it, not leave it out nor
/// point it elsewhere.
pub(super) fn missing<'a>(
    scripts: impl Iterator<Item = &'a PlannedViScript>,
    scopes: &[Scope],
) -> Result<Option<PlannedPhase>, Error> {
    let Some(root) = scopes.first() else {
        return Ok(None);
    };
    let [path, target, keep_as] = root.old.boot_switch(main_name(root.layout));
    let own = Action::SwitchBootPath(SwitchBootPath {
        path,
        target,
        keep_as,
    });
    let is_switch = |step: &&PlannedStep| matches!(step.action, Action::SwitchBootPath(_));
    let given: Vec<&PlannedStep> = scripts
        .flat_map(|script| &script.steps)
        .filter(is_switch)
        .collect();
    if let Some(other) = given.iter().find(|step| step.action != own) {
        return Err(Error::Unresolved(format!(
            "step {}: only {{boot_path}} can be switched, to {{boot_target}}, and kept as \
             {{boot_kept}}; write these, or leave the step out: rootshift adds it by itself",
            other.id
        )));
    }
    Ok(given.is_empty().then(|| switch_phase(own)))
}

fn switch_phase(action: Action) -> PlannedPhase {
    let step = PlannedStep {
        id: "boot_path/switch".into(),
        filesystem: root_filesystem(),
        action,
        retries: 0,
        on_failure: Vec::new(),
        shares_filesystem: false,
    };
    PlannedPhase {
        name: "boot_path".into(),
        stage: Stage::Initramfs,
        required: true,
        critical: true,
        checkpoint_after: false,
        at_once: 1,
        viscripts: vec![PlannedViScript {
            name: "boot_path".into(),
            risk_level: RiskLevel::High,
            steps: vec![step],
            requires: Vec::new(),
            checks: Vec::new(),
        }],
    }
}
