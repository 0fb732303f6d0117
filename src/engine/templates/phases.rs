//! The phases of every template: what runs where, in which order.

use crate::documents::batch::Phase;
use crate::engine::Error;
use crate::engine::survey::Survey;
use crate::sys::process::find_program;

/// Phases in their order; those for partitions and services where the machine has them.
pub(super) fn all(survey: &Survey, learning: bool) -> Result<Vec<Phase>, Error> {
    let mut phases = vec![
        phase(
            "pre_installation_validation",
            "Runs in the old system when the plan is armed. It only looks.",
            &["system_validation"],
        ),
        phase(
            "core_installation",
            "Runs in the initramfs, before root is mounted: the new system is made of snapshots \
             and renames beside the old one, which stays as it is.",
            &[
                "btrfs_subvolume_creation",
                "btrfs_data_migration",
                "btrfs_mount_configuration",
                "btrfs_boot_configuration",
            ],
        ),
        phase(
            "pre_reboot_validation",
            "The last look before the new system becomes root: every link of its boot chain.",
            &["btrfs_pre_reboot_validation"],
        ),
        phase(
            "post_installation_validation",
            "Runs in the new system. It has trial_boots boots to pass; else the old system comes \
             back by itself.",
            &["post_installation_validation"],
        ),
        partitions(learning),
    ];
    if let Some(first) = phases.first_mut() {
        first.critical = false;
    }
    if find_program(&survey.system, "dockerd")?.is_some() {
        phases.push(optional(phase(
            "service_validation",
            "Docker runs on this machine; what is wrong with it is noted.",
            &["docker"],
        )));
    }
    Ok(phases)
}

fn partitions(learning: bool) -> Phase {
    let scripts: &[&str] = if learning {
        &["btrfs_root", "btrfs_ml", "btrfs_data"]
    } else {
        &["btrfs_root"]
    };
    let mut phase = optional(phase(
        "partition_validation",
        "Looks at each partition of the new system, side by side; what is wrong is noted.",
        scripts,
    ));
    phase.parallel_execution = true;
    phase
}

fn optional(mut phase: Phase) -> Phase {
    phase.required = false;
    phase.critical = false;
    phase.checkpoint_after = false;
    phase
}

fn phase(name: &str, comment: &str, scripts: &[&str]) -> Phase {
    let file = |name: &&str| format!("{name}_viScript.json");
    Phase {
        comment: Some(comment.to_owned()),
        name: name.to_owned(),
        description: name.replace('_', " "),
        viscripts: scripts.iter().map(file).collect(),
        required: true,
        critical: true,
        parallel_execution: false,
        checkpoint_after: true,
    }
}
