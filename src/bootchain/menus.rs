//! Menu entries that nobody rewrites: those that people wrote themselves, in custom.cfg or in
//! /etc/grub.d, from where the next `update-grub` copies them.

use std::path::{Path, PathBuf};

use super::Error;
use crate::bootcfg::grub_config::{Loads, RootIdentity, loads};
use crate::documents::plan::FilesystemIdentity;
use crate::sys::{Root, sorted};

const CONFIG: &str = "boot/grub/grub.cfg";
const CUSTOM: &str = "boot/grub/custom.cfg";
const SOURCES: &str = "etc/grub.d";

/// An entry, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The file, from the root of the system.
    pub file: PathBuf,
    /// What it loads.
    pub loads: Loads,
}

/// The entries of a system's menu that people wrote themselves. Changes nothing.
///
/// # Errors
/// When a file is there and can't be read.
pub fn own_entries(system: &Root, identity: &FilesystemIdentity) -> Result<Vec<Entry>, Error> {
    let mut files = vec![PathBuf::from(CUSTOM)];
    let folder = Path::new(SOURCES);
    match system.list(folder) {
        Ok(names) => files.extend(sorted(names).iter().map(|name| folder.join(name))),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    entries(system, identity, files)
}

/// The entries of grub.cfg itself. Changes nothing.
///
/// # Errors
/// When it is there and can't be read.
pub fn made_entries(system: &Root, identity: &FilesystemIdentity) -> Result<Vec<Entry>, Error> {
    entries(system, identity, vec![PathBuf::from(CONFIG)])
}

fn entries(
    system: &Root,
    identity: &FilesystemIdentity,
    files: Vec<PathBuf>,
) -> Result<Vec<Entry>, Error> {
    let root = RootIdentity {
        uuid: &identity.uuid,
        aliases: &identity.aliases,
    };
    let mut found = Vec::new();
    for file in files {
        if !system
            .resolved_status(&file)?
            .is_some_and(|one| one.is_file())
        {
            continue;
        }
        let bytes = system.read(&file)?;
        // A script in another encoding, or a program: what is plain in it counts.
        let text = String::from_utf8_lossy(&bytes);
        found.extend(loads(&text, &root).into_iter().map(|loads| Entry {
            file: file.clone(),
            loads,
        }));
    }
    Ok(found)
}
