//! `no-hibernation-image`: no swap device holds a hibernated system. Changing a file system under
//! a hibernated kernel destroys it (facts boot.md T1).

use std::path::{Path, PathBuf};

use super::{CheckContext, Error, Outcome};
use crate::sys::{Root, block};

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    Ok(match hibernated_device(context.system)? {
        None => Outcome::Pass,
        Some(device) => Outcome::fail(
            format!("{} holds a hibernated system", device.display()),
            "start that system, and shut it down instead of hibernating it",
        ),
    })
}

/// The first device that holds a hibernated system: in a swap partition, or in a swap file whose
/// place (`resume_offset=`) somebody names. A file that nothing names no kernel can resume from.
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

/// Folders and files that say where a swap file begins on its device: what the kernel was told,
/// what it was told since, what the scripts of an initramfs read, and what they are made of.
const SAID_IN: [&str; 4] = [
    "proc/cmdline",
    "sys/power/resume_offset",
    "conf/initramfs.conf",
    "etc/initramfs-tools/initramfs.conf",
];
const SAID_BELOW: [&str; 2] = ["conf/conf.d", "etc/initramfs-tools/conf.d"];

/// A swap file's header lies at a page of the device that holds it; so nothing has to be mounted
/// to see it.
fn hibernated_swap_file(system: &Root) -> Result<Option<PathBuf>, Error> {
    let pages = swap_file_pages(system)?;
    if pages.is_empty() {
        return Ok(None);
    }
    for device in block::block_devices(system)? {
        let holds = |page: &u64| matches!(block::hibernation_image_at(&device, *page), Ok(Some(_)));
        if pages.iter().any(holds) {
            return Ok(Some(device));
        }
    }
    Ok(None)
}

fn swap_file_pages(system: &Root) -> Result<Vec<u64>, Error> {
    let mut files: Vec<PathBuf> = SAID_IN.map(PathBuf::from).into();
    for folder in SAID_BELOW.map(Path::new) {
        if system.exists(folder)? {
            let names = system.list(folder)?;
            files.extend(names.iter().map(|name| folder.join(name)));
        }
    }
    let mut pages = Vec::new();
    for file in files {
        // A folder or a link that leads nowhere is no file that a script reads.
        let there = system.resolved_status(&file)?;
        if there.is_some_and(|there| there.is_file()) {
            let bytes = system.read(&file)?;
            pages.extend(pages_named_in(&String::from_utf8_lossy(&bytes)));
        }
    }
    Ok(pages)
}

/// `resume_offset=` of a command line or of a shell's assignments; a number alone is what the
/// kernel shows. At page 0 a partition begins.
fn pages_named_in(text: &str) -> Vec<u64> {
    let quotes = |c: char| c.is_whitespace() || "\"';".contains(c);
    let words = text.split(quotes);
    let pages = words.filter_map(|word| {
        let page = word.strip_prefix("resume_offset=").unwrap_or(word);
        page.parse().ok().filter(|page| *page > 0)
    });
    pages.collect()
}

#[cfg(test)]
mod tests {
    use super::pages_named_in;

    #[test]
    fn the_page_of_a_swap_file_is_found_wherever_it_is_named() {
        for (text, pages) in [
            (
                "root=UUID=x ro resume=UUID=x resume_offset=533760 quiet\n",
                vec![533_760],
            ),
            ("RESUME=UUID=x\nresume_offset=\"38912\"\n", vec![38912]),
            ("RESUME=UUID=x resume_offset='7';export x\n", vec![7]),
            ("4711\n", vec![4711]),
            ("0\n", vec![]),
            ("resume_offset=0 resume_offset=-3 resume_offset=", vec![]),
            ("resume_offset=5 resume_offset=6", vec![5, 6]),
            ("xresume_offset=5", vec![]),
        ] {
            assert_eq!(pages_named_in(text), pages, "{text}");
        }
    }
}
