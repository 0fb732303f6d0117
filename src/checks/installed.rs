//! Whether rootshift is a part of a system on the disk: what is moved takes along what will
//! validate it, or the fourth boot takes a good new system away.

use std::path::{Path, PathBuf};

use super::services::UNIT_FOLDERS;
use super::{CheckContext, Error, Outcome};
use crate::sys::{FileKind, Root};

const PROGRAM: &str = "usr/sbin/rootshift";
const UNIT: &str = "rootshift-validate.service";
/// Where units are enabled for good: by hand or by a package, and by a package alone.
const ENABLED_IN: [&str; 3] = [
    "etc/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];
const REMEDY: &str = "to migrate, install the package again; `rootshift disarm` takes a plan back";

/// Looks at the old system, without what is mounted over it.
///
/// # Errors
/// When it could not look.
pub fn installed(context: &CheckContext) -> Result<Outcome, Error> {
    Ok(match missing(&context.old()?)? {
        None => Outcome::Pass,
        Some(what) => {
            let problem =
                format!("rootshift was removed from this system, or a part of it: {what}");
            Outcome::fail(problem, REMEDY)
        }
    })
}

fn missing(old: &Root) -> Result<Option<String>, Error> {
    let program = old.resolved_status(Path::new(PROGRAM))?;
    if !program.is_some_and(|status| status.is_file() && status.mode & 0o111 != 0) {
        return Ok(Some(format!("/{PROGRAM} is missing")));
    }
    let problem = if masked(old)? {
        "masked"
    } else if !is_there(old)? {
        "missing"
    } else if !enabled(old)? {
        "disabled"
    } else {
        return Ok(None);
    };
    Ok(Some(format!("{UNIT} is {problem}")))
}

/// By a link to /dev/null (on a disk there may be nothing behind it), or by an empty file.
fn masked(old: &Root) -> Result<bool, Error> {
    let path = Path::new("etc/systemd/system").join(UNIT);
    let Some(status) = old.status(&path)? else {
        return Ok(false);
    };
    if status.kind == FileKind::Symlink {
        return Ok(old.read_link(&path)? == Path::new("/dev/null"));
    }
    Ok(status.size == 0)
}

fn is_there(old: &Root) -> Result<bool, Error> {
    for folder in UNIT_FOLDERS.map(Path::new) {
        if old.resolved_status(&folder.join(UNIT))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn enabled(old: &Root) -> Result<bool, Error> {
    for folder in ENABLED_IN.map(Path::new) {
        let names = match old.list(folder) {
            Err(error) if error.is_not_found() => continue,
            names => names?,
        };
        let targets = names.iter().map(PathBuf::from).filter(|name| {
            let end = name.extension();
            end.is_some_and(|end| end == "wants" || end == "requires")
        });
        for target in targets {
            if old.exists(&folder.join(target).join(UNIT))? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
