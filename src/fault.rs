//! Named fault points: places between two durable acts where a power cut is tried.
//!
//! Compiled out of the shipped binary (feature `fault`). At the point named by the environment
//! variable `ROOTSHIFT_FAULT` (`name`, or `name:3` for its third passage; several with commas) the
//! program prints one line and then stands still for ever, so that a test can copy the disk as it
//! is, or cut the virtual machine's power, before it kills the program. It must not exit: that
//! would unmount, and unmounting commits what a power cut loses. With `ROOTSHIFT_FAULT_THEN` it
//! does not stand still: `panic`, or `exhaust` for taking memory until there is none.

/// Bugs on purpose: a cut sweep, or generated machines, that do not find them are worth nothing. Features of the same
/// names bring them about; a release build with one of them does not compile.
pub mod mutant {
    /// No `syncfs` between a step and the record that it is done, nor before the boot path changes.
    pub const SKIP_SYNC: bool = cfg!(feature = "mutate-skip-sync");
    /// The boot path is switched before the commit is recorded.
    pub const FLIP_EARLY: bool = cfg!(feature = "mutate-flip-early");
    /// Files are overwritten where they are, instead of written beside and renamed.
    pub const WRITE_IN_PLACE: bool = cfg!(feature = "mutate-write-in-place");

    /// A subvolume that fstab mounts by its name counts as nested in the old system.
    pub const MOUNTED_IS_NESTED: bool = cfg!(feature = "mutate-mounted-is-nested");
    /// A line of fstab is taken for one of the root's, whatever device it names.
    pub const ANY_DEVICE: bool = cfg!(feature = "mutate-any-device");
    /// What is left in the new system is reached by its name, and a symlink of that name followed.
    pub const TRASH_BY_NAME: bool = cfg!(feature = "mutate-trash-by-name");

    #[cfg(not(debug_assertions))]
    const _: () = assert!(
        !(SKIP_SYNC || FLIP_EARLY || WRITE_IN_PLACE),
        "a program with a bug on purpose is never shipped"
    );
    #[cfg(not(debug_assertions))]
    const _: () = assert!(
        !(MOUNTED_IS_NESTED || ANY_DEVICE || TRASH_BY_NAME),
        "a program with a bug on purpose is never shipped"
    );
}

/// Every fault point of a boot, in the order of a migration's life. Tests loop over this list.
pub const POINTS: &[&str] = &[
    "attempt-recorded",
    "step-begun",
    "step-applied",
    "step-synced",
    "step-done",
    "subvolume-renames",
    "subvolume-attributes",
    "file-prepared",
    "before-commit",
    "committed",
    "commit-complete",
    "rollback-begun",
    "step-undone",
    "rollback-complete",
];

/// Those of `finalize`, which no boot comes to.
pub const FINALIZE_POINTS: &[&str] = &[
    "finalize-decided",
    "finalize-begun",
    "finalize-entry",
    "finalize-tree",
    "finalize-deleted",
    "finalize-complete",
];

/// Those of the commands that make images.
pub const IMAGE_POINTS: &[&str] = &[
    "plan-frozen",
    "plan-offered",
    "plan-withdrawn",
    "images-made",
    "images-recorded",
];

/// Reached only by a boot whose work broke off, by the process that notes that.
pub const NOTING: &str = "noting";

/// Where a boot is about to write the record that another root follows from: a cut at
/// `before-commit` is the same, a disk that hangs is not.
pub const DECIDING: &str = "deciding";

/// Marks a fault point; does nothing in the shipped binary.
#[cfg(not(feature = "fault"))]
#[inline(always)]
pub fn reached(_name: &'static str) {}

/// Marks a fault point: stands still here when `ROOTSHIFT_FAULT` names it.
#[cfg(feature = "fault")]
pub fn reached(name: &'static str) {
    use std::io::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};
    static PASSAGES: AtomicUsize = AtomicUsize::new(0);

    debug_assert!(
        POINTS.contains(&name)
            || FINALIZE_POINTS.contains(&name)
            || IMAGE_POINTS.contains(&name)
            || [NOTING, DECIDING].contains(&name),
        "{name} is not in fault::POINTS"
    );
    let wanted = std::env::var("ROOTSHIFT_FAULT").unwrap_or_default();
    let mut wanted = wanted.split(',').map(|point| match point.split_once(':') {
        Some((point, number)) => (point, number.parse().unwrap_or(1)),
        None => (point, 1),
    });
    let Some((_, passage)) = wanted.find(|(point, _)| *point == name) else {
        return;
    };
    if PASSAGES.fetch_add(1, Ordering::SeqCst) + 1 != passage {
        return;
    }
    let _ = writeln!(std::io::stderr(), "rootshift: fault point {name} reached");
    let mut taken = Vec::new();
    match std::env::var("ROOTSHIFT_FAULT_THEN").as_deref() {
        Ok("panic") => panic!("on purpose at {name}"),
        Ok("exhaust") => loop {
            taken.push(vec![1_u8; 1 << 20]);
        },
        _ => {}
    }
    loop {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
}
