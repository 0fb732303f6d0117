//! The proof: the new system can be found, link by link, as the boot loader will find it: grub.cfg,
//! its default entry, kernel, initramfs, root, subvolume, init.

use std::path::{Path, PathBuf};

use super::Error;
use crate::bootcfg::grub_config::{BootEntry, boot_entries, default_entry};
use crate::documents::plan::FilesystemIdentity;
use crate::sys::{Root, Status};

/// What is to be found.
#[derive(Debug, Clone, Copy)]
pub struct NewSystem<'a> {
    /// The top level of the root file system, where GRUB starts.
    pub top: &'a Root,
    /// The subvolume that becomes root.
    pub root: &'a str,
    /// The subvolume that was root; empty for the top level.
    pub old_root: &'a str,
    /// How the root file system is known, where that is to be proved.
    pub identity: Option<&'a FilesystemIdentity>,
}

/// The first link that is broken, naming the file; `None` when the chain holds. Changes nothing.
///
/// # Errors
/// When it can't be looked at: that proves nothing.
pub fn broken_link(new: &NewSystem) -> Result<Option<String>, Error> {
    let config = Path::new(new.root).join("boot/grub/grub.cfg");
    let text = new.top.read_text(&config)?;
    let entries = boot_entries(&text);
    let Some(entry) = default_entry(&text, &entries) else {
        return Ok(broken(&config, "it has no menu entry"));
    };
    if let Some(problem) = modules_missing(new)? {
        return Ok(Some(problem));
    }
    let problem = match wrong_arguments(new, entry) {
        Some(problem) => Some(problem),
        None => file_missing(new.top, entry)?,
    };
    match problem {
        Some(problem) => {
            let problem = format!("its entry \"{}\": {problem}", entry.title);
            Ok(broken(&config, &problem))
        }
        None => init_missing(new),
    }
}

fn broken(config: &Path, problem: &str) -> Option<String> {
    Some(format!("/{}: {problem}", config.display()))
}

/// core.img loads its modules from the path that is about to be switched (facts boot.md D6).
fn modules_missing(new: &NewSystem) -> Result<Option<String>, Error> {
    let module = "boot/grub/i386-pc/normal.mod";
    let ours = Path::new(new.root).join(module);
    let old = new
        .top
        .resolved_status(&Path::new(new.old_root).join(module))?;
    if old.is_some() && new.top.resolved_status(&ours)?.is_none() {
        return Ok(broken(
            &ours,
            "GRUB's modules are missing in the new system",
        ));
    }
    Ok(None)
}

fn wrong_arguments(new: &NewSystem, entry: &BootEntry) -> Option<String> {
    let arguments = &entry.arguments;
    let flags = arguments.all("rootflags");
    let [flags] = flags.as_slice() else {
        return Some(format!("it has {} rootflags= instead of one", flags.len()));
    };
    let wanted = format!("subvol={}", new.root);
    if !flags.split(',').any(|flag| flag == wanted) {
        return Some(format!("rootflags={flags} does not say {wanted}"));
    }
    let identity = new.identity?;
    let root = arguments.value("root").unwrap_or_default();
    let ours = format!("UUID={}", identity.uuid);
    (root != ours && !identity.aliases.iter().any(|alias| alias == root))
        .then(|| format!("root={root} is not the root file system"))
}

fn file_missing(top: &Root, entry: &BootEntry) -> Result<Option<String>, Error> {
    let Some(kernel) = &entry.linux else {
        return Ok(Some("it loads no kernel".into()));
    };
    if entry.initrd.is_empty() {
        return Ok(Some("it loads no initramfs".into()));
    }
    for path in std::iter::once(kernel).chain(&entry.initrd) {
        match top.resolved_status(&PathBuf::from(path))? {
            None => return Ok(Some(format!("{path} does not exist"))),
            Some(file) if !file.is_file() || file.size == 0 => {
                return Ok(Some(format!("{path} is empty or no file")));
            }
            Some(file) if has_holes(&file) => {
                let problem = format!("{path} has holes, which GRUB 2.06 can't read");
                return Ok(Some(problem));
            }
            Some(_) => {}
        }
    }
    Ok(None)
}

/// Compression makes files take up less, too; only a large gap is a hole for sure.
fn has_holes(file: &Status) -> bool {
    file.size > 1 << 20 && file.blocks * 512 < file.size / 8
}

fn init_missing(new: &NewSystem) -> Result<Option<String>, Error> {
    let root = new.top.within(Path::new(new.root))?;
    let init = Path::new("sbin/init");
    Ok(match root.resolved_status(init)? {
        Some(_) => None,
        None => broken(&Path::new(new.root).join(init), "it does not exist"),
    })
}
