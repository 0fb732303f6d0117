//! `no-hibernation-image`: no swap device holds a hibernated system. Changing a file system under
//! a hibernated kernel destroys it (facts boot.md T1).

use std::path::{Path, PathBuf};

use super::{CheckContext, Error, Outcome};
use crate::bootcfg::cmdline::CommandLine;
use crate::sys::{Root, block};

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    Ok(match hibernated_device(context.system)? {
        None => Outcome::Pass,
        Some(device) => Outcome::fail(
            format!("{} holds a hibernated system", device.display()),
            "start that system and shut it down, or forget it with `mkswap` on that device",
        ),
    })
}

/// The first device that holds a hibernated system, swap partitions and the page that the kernel
/// command line names for a swap file alike.
///
/// # Errors
/// When the devices can't be listed. A device that can't be read (no medium) holds nothing.
pub fn hibernated_device(system: &Root) -> Result<Option<PathBuf>, Error> {
    for device in block::block_devices(system)? {
        if matches!(block::hibernation_image(&device), Ok(Some(_))) {
            return Ok(Some(device));
        }
    }
    hibernated_swap_file(system)
}

fn hibernated_swap_file(system: &Root) -> Result<Option<PathBuf>, Error> {
    let text = system.read_text(Path::new("proc/cmdline"))?;
    let command_line = CommandLine::parse(&text);
    let Some(page) = command_line
        .value("resume_offset")
        .and_then(|page| page.parse().ok())
    else {
        return Ok(None);
    };
    for device in block::block_devices(system)? {
        if matches!(block::hibernation_image_at(&device, page), Ok(Some(_))) {
            return Ok(Some(device));
        }
    }
    Ok(None)
}
