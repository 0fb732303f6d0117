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
        Ok(names) => {
            for name in sorted(names) {
                let file = folder.join(&name);
                if !is_garbage(&name.to_string_lossy()) && is_program(system, &file)? {
                    files.push(file);
                }
            }
        }
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    entries(system, identity, files)
}

/// What grub-mkconfig passes over by its name (`grub_file_is_not_garbage` in grub-mkconfig_lib, and
/// what editors leave behind).
fn is_garbage(name: &str) -> bool {
    name.ends_with('~')
        || (name.starts_with('#') && name.ends_with('#'))
        || name.starts_with("README")
        || name.contains(".dpkg-")
        || [".rpmsave", ".rpmnew", ".sig"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// grub-mkconfig runs nothing else.
fn is_program(system: &Root, file: &Path) -> Result<bool, Error> {
    let status = system.resolved_status(file)?;
    Ok(status.is_some_and(|status| status.mode & 0o111 != 0))
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

#[cfg(test)]
mod tests {
    use super::own_entries;
    use crate::documents::plan::FilesystemIdentity;
    use crate::sys::Root;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn only_what_grub_mkconfig_runs_gives_entries() {
        let folder = tempfile::tempdir().unwrap();
        let sources = folder.path().join("etc/grub.d");
        fs::create_dir_all(&sources).unwrap();
        for (name, mode) in [
            ("40_custom", 0o755),
            ("40_custom.bak", 0o644),
            ("41_more.bak", 0o755),
            ("40_custom~", 0o755),
            ("#40_custom#", 0o755),
            ("40_custom.dpkg-old", 0o755),
            ("40_custom.rpmsave", 0o755),
            ("40_custom.rpmnew", 0o755),
            ("README", 0o755),
            ("40_custom.sig", 0o755),
        ] {
            let path = sources.join(name);
            fs::write(
                &path,
                format!("menuentry '{name}' {{\n linux /vmlinuz root=UUID=ab\n}}\n"),
            )
            .unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let identity = FilesystemIdentity {
            uuid: "ab".into(),
            aliases: vec![],
        };
        let found = own_entries(&Root::open(folder.path()).unwrap(), &identity).unwrap();
        let titles: Vec<&str> = found
            .iter()
            .map(|entry| entry.loads.title.as_str())
            .collect();
        assert_eq!(titles, ["40_custom", "41_more.bak"]);
    }
}
