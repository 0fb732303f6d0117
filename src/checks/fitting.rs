//! Where a layout does not fit the machine.

/// How to get a batch whose layout leaves alone what has a place of its own already.
#[must_use]
pub fn fitting_batch(old_root: &str) -> String {
    let template = match old_root {
        "" => "flat-to-subvolumes",
        _ => "debian-rootfs",
    };
    format!(
        "`rootshift new --template {template} --output FILE` writes a batch that leaves it as it \
         is; then use `--batch FILE`"
    )
}
