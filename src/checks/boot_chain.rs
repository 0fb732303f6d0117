//! `boot-chain`: the new system can be found, link by link, as the boot loader will find it:
//! grub.cfg, its default entry, kernel, initramfs, root, subvolume, init.

use std::path::{Path, PathBuf};

use super::{CheckContext, Error, Outcome};
use crate::bootcfg::grub_config::{BootEntry, boot_entries, default_entry};
use crate::sys::{Root, Status};

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let top = context.top()?;
    let config = Path::new(context.main()).join("boot/grub/grub.cfg");
    let text = top.read_text(&config)?;
    let entries = boot_entries(&text);
    let Some(entry) = default_entry(&text, &entries) else {
        return Ok(broken(&config, "it has no menu entry"));
    };
    if let Some(problem) = modules_missing(context, top)? {
        return Ok(problem);
    }
    let problem = match wrong_arguments(context, entry) {
        Some(problem) => Some(problem),
        None => file_missing(top, entry)?,
    };
    if let Some(problem) = problem {
        return Ok(broken(
            &config,
            &format!("its entry \"{}\": {problem}", entry.title),
        ));
    }
    init_missing(context, top)
}

fn broken(config: &Path, problem: &str) -> Outcome {
    let problem = format!("/{}: {problem}", config.display());
    Outcome::fail(problem, "the old system stays; please report this")
}

/// core.img loads its modules from the path that is about to be switched (facts boot.md D6).
fn modules_missing(context: &CheckContext, top: &Root) -> Result<Option<Outcome>, Error> {
    let module = "boot/grub/i386-pc/normal.mod";
    let old = Path::new(context.old_root).join(module);
    let new = Path::new(context.main()).join(module);
    if top.resolved_status(&old)?.is_some() && top.resolved_status(&new)?.is_none() {
        return Ok(Some(broken(
            &new,
            "GRUB's modules are missing in the new system",
        )));
    }
    Ok(None)
}

fn wrong_arguments(context: &CheckContext, entry: &BootEntry) -> Option<String> {
    let arguments = &entry.arguments;
    let flags = arguments.all("rootflags");
    let [flags] = flags.as_slice() else {
        return Some(format!("it has {} rootflags= instead of one", flags.len()));
    };
    let wanted = format!("subvol={}", context.main());
    if !flags.split(',').any(|flag| flag == wanted) {
        return Some(format!("rootflags={flags} does not say {wanted}"));
    }
    let identity = context.identity?;
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
                return Ok(Some(format!(
                    "{path} has holes, which GRUB 2.06 can't read"
                )));
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

fn init_missing(context: &CheckContext, top: &Root) -> Result<Outcome, Error> {
    let root = top.within(Path::new(context.main()))?;
    Ok(match root.resolved_status(Path::new("sbin/init"))? {
        Some(_) => Outcome::Pass,
        None => broken(
            &Path::new(context.main()).join("sbin/init"),
            "it does not exist",
        ),
    })
}
