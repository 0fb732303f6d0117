//! `file`: what a path leads to.

use std::path::Path;

use super::known::Source;
use super::{Error, Looker, Outcome, place};
use crate::documents::check::{FileKind, FileParameters};
use crate::sys::{self, Root, Status};

pub(super) fn look(looker: &Looker, wanted: &FileParameters) -> Result<Outcome, Error> {
    let system = looker.context.system;
    let path = Path::new(&wanted.path);
    let itself = wanted.target.is_some() || wanted.kind == Some(FileKind::Symlink);
    let status = if itself || wanted.exists == Some(false) {
        system.status(path)?
    } else {
        system.resolved_status(path)?
    };
    let Some(status) = status else {
        return Ok(match wanted.exists {
            Some(false) => Outcome::Pass,
            _ => place::missing(&wanted.path),
        });
    };
    let problem = match wanted.exists {
        Some(false) => Some("it exists".to_owned()),
        _ => first_problem(looker, wanted, &status)?,
    };
    Ok(problem.map_or(Outcome::Pass, |problem| {
        let path = &wanted.path;
        Outcome::fail(
            format!("{path}: {problem}"),
            format!("look at `stat {path}`"),
        )
    }))
}

fn first_problem(
    looker: &Looker,
    wanted: &FileParameters,
    found: &Status,
) -> Result<Option<String>, Error> {
    if let Some(kind) = wanted.kind
        && in_system(kind) != found.kind
    {
        return Ok(Some(format!("it is no {}", in_words(kind))));
    }
    if let Some(mode) = &wanted.mode
        && u32::from_str_radix(mode, 8) != Ok(found.mode)
    {
        return Ok(Some(format!("its mode is {:04o}, not {mode}", found.mode)));
    }
    let owners = [
        ("owner", &wanted.owner, found.uid, Source::Users),
        ("group", &wanted.group, found.gid, Source::Groups),
    ];
    for (word, wanted, found, names) in owners {
        if let Some(wanted) = wanted
            && !is_called(looker, names, found, wanted)?
        {
            return Ok(Some(format!("its {word} is {found}, not {wanted}")));
        }
    }
    if let Some(minimum) = wanted.minimum_size
        && found.size < minimum.0
    {
        let size = found.size;
        return Ok(Some(format!("it has {size} bytes, {minimum} are required")));
    }
    wrong_content(looker.context.system, wanted)
}

/// Whether this number is meant by a name of passwd(5) or group(5), or by the number itself.
fn is_called(looker: &Looker, names: Source, number: u32, wanted: &str) -> Result<bool, Error> {
    let number = number.to_string();
    if number == wanted {
        return Ok(true);
    }
    let named = |line: &str| {
        let mut fields = line.split(':');
        fields.next() == Some(wanted) && fields.nth(1) == Some(number.as_str())
    };
    Ok(looker.text(names)?.lines().any(named))
}

fn wrong_content(system: &Root, wanted: &FileParameters) -> Result<Option<String>, Error> {
    let path = Path::new(&wanted.path);
    if let Some(target) = &wanted.target {
        let found = system.read_link(path)?;
        if found != Path::new(target) {
            return Ok(Some(format!("it points to {}", found.display())));
        }
    }
    if wanted.contains.is_empty() {
        return Ok(None);
    }
    let content = system.read(path)?;
    let content = String::from_utf8_lossy(&content);
    let missing = wanted.contains.iter().find(|text| !content.contains(*text));
    Ok(missing.map(|text| format!("\"{text}\" is not in it")))
}

fn in_system(kind: FileKind) -> sys::FileKind {
    match kind {
        FileKind::File => sys::FileKind::File,
        FileKind::Directory => sys::FileKind::Directory,
        FileKind::Symlink => sys::FileKind::Symlink,
        FileKind::BlockDevice => sys::FileKind::BlockDevice,
        FileKind::CharacterDevice => sys::FileKind::CharacterDevice,
        FileKind::Fifo => sys::FileKind::Fifo,
        FileKind::Socket => sys::FileKind::Socket,
    }
}

fn in_words(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "regular file",
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::BlockDevice => "block device",
        FileKind::CharacterDevice => "character device",
        FileKind::Fifo => "named pipe",
        FileKind::Socket => "socket",
    }
}
