//! `commands`, `kernel-filesystems`, `ports`, `processes`, `users`, `groups`, `packages`: names
//! that are there or are not.

use std::path::Path;

use super::known::Source;
use super::{CheckContext, Error, Looker, Outcome};
use crate::documents::check::Names;
use crate::sys::process::find_program;
use crate::sys::{Root, network};

/// The kernel keeps 15 bytes of a process's name (proc_pid_comm(5)).
const PROCESS_NAME: usize = 15;

/// Things that have names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Filesystem,
    Port,
    Process,
    User,
    Group,
    Package,
}

impl Kind {
    /// All there are.
    pub(super) fn read(self, looker: &Looker) -> Result<Vec<String>, Error> {
        let system = looker.context.system;
        Ok(match self {
            Self::Filesystem => fields(looker.text(Source::Filesystems)?, '\t', 1),
            Self::Port => network::listening_ports(&system.within(Path::new("proc"))?)?,
            Self::Process => processes(system)?,
            Self::User => fields(looker.text(Source::Users)?, ':', 0),
            Self::Group => fields(looker.text(Source::Groups)?, ':', 0),
            Self::Package => {
                installed_packages(&system.read_text(Path::new("var/lib/dpkg/status"))?)
            }
        })
    }

    /// What to say of one that is missing, of one that must not be there, and the remedy.
    fn in_words(self) -> [&'static str; 3] {
        match self {
            Self::Filesystem => [
                "the running kernel does not know the file system",
                "the running kernel knows the file system",
                "look at /proc/filesystems; `modprobe NAME` loads one",
            ],
            Self::Port => [
                "nothing listens on",
                "something listens on",
                "look at `ss -tulpn`",
            ],
            Self::Process => ["not running:", "running:", "look at `ps -e`"],
            Self::User => ["no such user:", "there is the user", "look at /etc/passwd"],
            Self::Group => ["no such group:", "there is the group", "look at /etc/group"],
            Self::Package => [
                "not installed:",
                "installed:",
                "look at `apt list --installed NAME`",
            ],
        }
    }
}

pub(super) fn look(looker: &Looker, kind: Kind, wanted: &Names) -> Result<Outcome, Error> {
    let known = looker.names(kind)?;
    let is_there = |name: &str| {
        let name = match kind {
            Kind::Process => name.get(..PROCESS_NAME).unwrap_or(name),
            _ => name,
        };
        Ok(known.iter().any(|known| known == name))
    };
    compare(wanted, &is_there, kind.in_words())
}

pub(super) fn commands(context: &CheckContext, wanted: &Names) -> Result<Outcome, Error> {
    let is_there = |name: &str| Ok(find_program(context.system, name)?.is_some());
    let words = [
        "not installed:",
        "installed:",
        "look for the packages that hold them (apt-file search bin/NAME)",
    ];
    compare(wanted, &is_there, words)
}

fn compare(
    wanted: &Names,
    is_there: &dyn Fn(&str) -> Result<bool, Error>,
    [missing, present, remedy]: [&str; 3],
) -> Result<Outcome, Error> {
    let mut wrong = Vec::new();
    for name in &wanted.names {
        if is_there(name)? == wanted.absent {
            wrong.push(name.as_str());
        }
    }
    if wrong.is_empty() {
        return Ok(Outcome::Pass);
    }
    let words = if wanted.absent { present } else { missing };
    Ok(Outcome::fail(
        format!("{words} {}", wrong.join(", ")),
        remedy,
    ))
}

/// The field at this place of each line.
fn fields(text: &str, separator: char, place: usize) -> Vec<String> {
    let mut names = Vec::new();
    for line in text.lines() {
        let name = line.split(separator).nth(place);
        names.extend(name.map(str::to_owned));
    }
    names
}

/// A process that ends meanwhile has no name any more.
fn processes(system: &Root) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for folder in system.list(Path::new("proc"))? {
        let number = folder.to_string_lossy();
        if !number.bytes().all(|digit| digit.is_ascii_digit()) {
            continue;
        }
        let path = Path::new("proc").join(&folder).join("comm");
        match system.read(&path) {
            Ok(name) => names.push(String::from_utf8_lossy(&name).trim_end().to_owned()),
            Err(error) if error.is_not_found() || error.is_no_such_process() => {}
            Err(error) => return Err(error.into()),
        }
    }
    if names.is_empty() {
        return Err(Error::Malformed("/proc names no process".into()));
    }
    Ok(names)
}

/// From dpkg's database: `name` and `name:architecture` of what is installed whole (deb822;
/// dpkg(1), "Package status").
fn installed_packages(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut name, mut installed) = ("", false);
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("Package: ") {
            (name, installed) = (value, false);
        } else if let Some(value) = line.strip_prefix("Status: ") {
            installed = value.ends_with(" installed");
            if installed {
                names.push(name.to_owned());
            }
        } else if let Some(value) = line.strip_prefix("Architecture: ")
            && installed
        {
            names.push(format!("{name}:{value}"));
        }
    }
    names
}
