//! Machine tests. A case is a function; it forks the armed disk and proves something in a guest.
//!
//! A new case: a function in a file here, and a line in [`CASES`].

mod broken_off;
mod faults;
mod finalize;
mod grub;
mod hanging;
mod hardware;
mod harness;
mod healing;
mod kernels;
#[cfg(feature = "documents")]
mod language;
mod loaders;
mod package;
mod power_cut;
mod refusals;
mod rehearsal;
mod releases;
mod rootfs;
mod settings;
mod shown_disk;
mod unreadable;
mod way_a;

use anyhow::Result;

use super::Tally;
use super::bench::Bench;
use super::pool::{self, Job};

type Case = fn(&Bench) -> Result<()>;

/// Run every time, the long ones first.
const CASES: &[(&str, Case)] = &[
    (
        "a_root_in_a_subvolume_is_moved_and_moved_back",
        rootfs::there_and_back,
    ),
    #[cfg(feature = "documents")]
    ("the_seeds_batch_runs_phase_by_phase", language::seeds_batch),
    // To its end: the kernel of the host hides what Debian's does with file handles.
    ("dress_rehearsal_bios", rehearsal::bios),
    (
        "a_cut_at_the_exchange_boots_the_new_system",
        faults::at_the_exchange,
    ),
    (
        "a_damaged_journal_is_an_ordinary_boot",
        refusals::damaged_journal,
    ),
    (
        "the_power_cut_loses_what_was_not_flushed",
        harness::cut_loses_the_unflushed,
    ),
];

/// Run with `--thorough`: what they show in a real boot, the cut sweep shows at every flush, and a
/// root in a subvolume that is moved and moved back shows in one.
const THOROUGH: &[(&str, Case)] = &[
    ("finalize_gives_the_space_back", finalize::finalized),
    (
        "the_proof_sees_each_difference",
        harness::proof_sees_each_difference,
    ),
    (
        "a_changed_fstab_makes_the_plan_stale",
        refusals::changed_fstab,
    ),
    ("a_hibernated_system_is_left_alone", refusals::hibernated),
    ("a_cut_in_the_middle_is_resumed", power_cut::in_the_middle),
    (
        "finalize_works_in_the_background",
        finalize::in_the_background,
    ),
    ("an_uncut_migration_keeps_every_file", way_a::uncut),
    (
        "a_machine_of_128_mib_without_a_clock_migrates",
        hardware::small_and_without_clock,
    ),
    (
        "a_watchdog_is_petted_while_the_console_asks",
        hardware::watched,
    ),
    (
        "a_failing_flush_is_an_ordinary_boot_and_then_a_migration",
        hardware::failing_flush,
    ),
    (
        "a_failing_write_is_an_ordinary_boot_and_then_a_migration",
        hardware::failing_write,
    ),
    (
        "a_failing_read_is_an_ordinary_boot_and_then_a_migration",
        unreadable::failing_read,
    ),
    (
        "a_disk_that_hangs_in_the_commit_restarts_the_machine",
        hanging::in_the_commit,
    ),
    (
        "grub_install_in_the_new_system_then_rollback_bios_flat",
        grub::bios_flat,
    ),
    (
        "grub_install_in_the_new_system_then_rollback_bios_rootfs",
        grub::bios_rootfs,
    ),
    (
        "grub_install_in_the_new_system_then_rollback_uefi_flat",
        grub::uefi_flat,
    ),
    (
        "grub_install_in_the_new_system_then_rollback_uefi_rootfs",
        grub::uefi_rootfs,
    ),
    ("systemd_boot_is_refused", loaders::systemd_boot),
    ("rootflags_in_grub_d", settings::in_grub_d),
    (
        "grub_is_installed_at_every_stage_bios_flat",
        grub::every_stage_bios_flat,
    ),
    (
        "grub_is_installed_at_every_stage_bios_rootfs",
        grub::every_stage_bios_rootfs,
    ),
    (
        "grub_is_installed_at_every_stage_uefi_flat",
        grub::every_stage_uefi_flat,
    ),
    (
        "grub_is_installed_at_every_stage_uefi_rootfs",
        grub::every_stage_uefi_rootfs,
    ),
    ("dress_rehearsal_uefi", rehearsal::uefi),
    (
        "a_boot_chain_that_changed_is_rehearsed_again",
        rehearsal::chain_changed,
    ),
    ("a_rehearsal_that_is_cut_off_is_none", rehearsal::cut_off),
    (
        "finalize_broken_off_then_rollback",
        broken_off::then_rolled_back,
    ),
    ("debian_13_whole_life", releases::whole_life),
    ("debian_12_becomes_13_on_trial", releases::upgraded_on_trial),
    ("removed_while_armed", package::removed_while_armed),
    (
        "the_package_stays_until_it_is_over",
        package::stays_until_it_is_over,
    ),
    ("dracut_stays", package::dracut_stays),
    (
        "only_images_of_this_system_take_the_plan",
        package::only_images_of_this_system,
    ),
    ("a_rollback_brings_the_old_system_back", way_a::rolled_back),
    (
        "a_kernel_installed_after_arming_migrates",
        kernels::updated_and_picked,
    ),
    (
        "a_cut_among_the_renames_is_resumed",
        faults::among_the_renames,
    ),
    (
        "a_cut_before_the_commit_is_resumed",
        faults::before_the_commit,
    ),
    (
        "a_cut_after_the_commit_boots_the_new_system",
        faults::after_the_commit,
    ),
    (
        "an_emergency_on_trial_goes_back_by_itself",
        healing::emergency,
    ),
    (
        "a_boot_that_is_not_complete_is_not_validated",
        healing::boot_not_complete,
    ),
];

/// Guests that run at once: one for each core, one processor each.
const WORKERS: usize = 2;

/// Runs the cases whose name contains one of the words of `filter`, which commas divide; those for thoroughness when they are asked for.
pub(super) fn run(bench: &Bench, filter: Option<&str>, thorough: bool) -> Tally {
    let chosen = |(name, _): &&(&'static str, Case)| {
        filter.is_none_or(|parts| parts.split(',').any(|part| name.contains(part)))
    };
    let mut cases: Vec<_> = CASES.iter().filter(chosen).collect();
    if thorough || filter.is_some() {
        cases.extend(THOROUGH.iter().filter(chosen));
    } else {
        println!("machine: --thorough runs {} more cases", THOROUGH.len());
    }
    if cases.is_empty() {
        return Tally::default();
    }
    println!("machine: {} cases", cases.len());
    let job = |(name, case): &(&'static str, Case)| {
        let case = *case;
        Job {
            name,
            work: Box::new(move || case(bench)),
        }
    };
    let jobs: Vec<_> = cases.into_iter().map(job).collect();
    pool::run(&jobs, WORKERS)
}
