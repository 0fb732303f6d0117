//! `/etc/default/grub` and `/etc/default/grub.d/*.cfg`, which grub-mkconfig sources in this order:
//! the last `rootflags=` on the command line wins (facts boot.md D9), so that one in there takes
//! the root away from the next grub.cfg that `update-grub` writes.

use std::path::{Path, PathBuf};

use super::{Doubt, Error};
use crate::bootcfg::grub_defaults::set_subvolume;
use crate::sys::{Root, sorted};

const MAIN: &str = "etc/default/grub";
const FOLDER: &str = "etc/default/grub.d";

/// What stands in the way of the next `update-grub`. With `rewritten` /etc/default/grub is going to
/// be rewritten for the new system, else it has to be right as it is. Changes nothing.
///
/// # Errors
/// When a file can't be read.
pub fn defaults_doubt(
    system: &Root,
    subvolume: &str,
    rewritten: bool,
) -> Result<Option<Doubt>, Error> {
    for path in files(system)? {
        let text = match system.read_text(&path) {
            Err(error) if error.is_not_found() => continue,
            text => text?,
        };
        let problem = match set_subvolume(&text, subvolume) {
            Ok(None) => continue,
            Ok(Some(_)) if rewritten && path == Path::new(MAIN) => continue,
            Ok(Some(_)) => {
                format!("its rootflags= or rootfstype= would win over subvol={subvolume}")
            }
            Err(cause) => cause.to_string(),
        };
        return Ok(Some(Doubt {
            problem: format!("/{}: {problem}", path.display()),
            remedy: match rewritten {
                true => format!(
                    "write these options into GRUB_CMDLINE_LINUX of /{MAIN} instead, as plain \
                     text, and run `update-grub`"
                ),
                false => format!(
                    "take them out there, or write rootflags=subvol={subvolume},… with the other \
                     options, then run `update-grub`"
                ),
            },
        }));
    }
    Ok(None)
}

fn files(system: &Root) -> Result<Vec<PathBuf>, Error> {
    let folder = Path::new(FOLDER);
    let names = match system.list(folder) {
        Err(error) if error.is_not_found() => Vec::new(),
        names => sorted(names?),
    };
    let is_sourced = |path: &PathBuf| path.extension().is_some_and(|end| end == "cfg");
    let more = names
        .iter()
        .map(|name| folder.join(name))
        .filter(is_sourced);
    Ok(std::iter::once(PathBuf::from(MAIN)).chain(more).collect())
}

#[cfg(test)]
mod tests {
    use super::defaults_doubt;
    use crate::sys::Root;
    use std::fs;

    #[test]
    fn what_update_grub_would_read_last_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path()).unwrap();
        fs::create_dir_all(folder.path().join("etc/default/grub.d")).unwrap();
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join("etc/default").join(name), text).unwrap();
        };
        let doubt = |rewritten| {
            let found = defaults_doubt(&root, "@", rewritten).unwrap();
            found.map(|doubt| doubt.problem).unwrap_or_default()
        };
        assert_eq!(doubt(true), "");
        write("grub", "GRUB_CMDLINE_LINUX=\"rootflags=noatime\"\n");
        assert_eq!(doubt(true), "");
        assert!(doubt(false).starts_with("/etc/default/grub: its rootflags="));
        write("grub", "GRUB_CMDLINE_LINUX=\"quiet\"\n");
        write(
            "grub.d/README",
            "GRUB_CMDLINE_LINUX=\"rootflags=noatime\"\n",
        );
        write(
            "grub.d/10.cfg",
            "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX rootflags=subvol=@,ssd\"\n",
        );
        assert_eq!((doubt(true), doubt(false)), (String::new(), String::new()));
        for variable in [
            "GRUB_CMDLINE_LINUX",
            "GRUB_CMDLINE_LINUX_DEFAULT",
            "GRUB_CMDLINE_LINUX_RECOVERY",
        ] {
            write(
                "grub.d/50.cfg",
                &format!("{variable}=\"rootflags=compress=zstd\"\n"),
            );
            assert!(
                doubt(true).starts_with("/etc/default/grub.d/50.cfg: "),
                "{variable}"
            );
        }
        write(
            "grub.d/50.cfg",
            "GRUB_CMDLINE_LINUX=\"$(cat /x rootflags=)\"\n",
        );
        assert!(doubt(true).contains("a command or a variable computes it"));
    }
}
