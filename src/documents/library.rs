//! Where batches and viScripts are found.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::lint::Source;
use super::{Batch, Error, ViScript, parse};
use crate::sys::error::Failure;
use crate::sys::{self, Root, process};

/// Where the package puts them.
pub const INSTALLED: &str = "/usr/share/rootshift";
/// The batch that is meant when none is named.
pub const DEFAULT_BATCH: &str = "flat-to-subvolumes";

/// A batch with the viScripts that it names, in their order, each once.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The batch.
    pub batch: Batch,
    /// File name and text of each viScript.
    pub viscripts: Vec<(String, ViScript)>,
    /// What all of them are made from, for `lint`; the batch first.
    pub sources: Vec<Source>,
}

impl Bundle {
    /// Loads the batch `name`: a file's path, or the name of an installed batch. Its viScripts are
    /// looked for beside it, then in `viscripts/` beside and above it, then among the installed.
    ///
    /// For root, a document counts only when nobody but root can change it, as in sudo: its owner
    /// is root, and neither its group nor others may write to it or replace it.
    ///
    /// # Errors
    /// The first document that is missing or can't be used.
    pub fn load(system: &Root, name: Option<&str>) -> Result<Self, Error> {
        let (folder, file, bytes) = find_batch(system, name.unwrap_or(DEFAULT_BATCH))?;
        let batch = Batch::parse(&file, &bytes)?;
        let mut sources = vec![Source::new(file, &bytes)];
        let mut viscripts: Vec<(String, ViScript)> = Vec::new();
        for name in batch.phases.iter().flat_map(|phase| &phase.viscripts) {
            if viscripts.iter().any(|(known, _)| known == name) {
                continue;
            }
            let bytes = find_viscript(system, folder.as_deref(), name)?;
            viscripts.push((name.clone(), ViScript::parse(name, &bytes)?));
            sources.push(Source::new(name.clone(), &bytes));
        }
        Ok(Self {
            batch,
            viscripts,
            sources,
        })
    }

    /// A batch of this one viScript, for looking at its checks alone.
    ///
    /// # Errors
    /// When the document is missing or can't be used.
    pub fn of_viscript(system: &Root, path: &str) -> Result<Self, Error> {
        let (_, file, bytes) = find_batch(system, path)?;
        let script = ViScript::parse(&file, &bytes)?;
        let name = Path::new(&file).file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        Ok(Self {
            batch: Batch::of_viscript(&script.name, &name),
            sources: vec![Source::new(name.clone(), &bytes)],
            viscripts: vec![(name, script)],
        })
    }

    /// The viScript of this file name.
    #[must_use]
    pub fn viscript(&self, name: &str) -> Option<&ViScript> {
        self.viscripts
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, script)| script)
    }
}

type FoundBatch = (Option<PathBuf>, String, Vec<u8>);

/// Reads a document as the caller sees it, whoever may change it.
///
/// # Errors
/// When it can't be read, or can't be a document whatever is in it.
pub fn read(path: &str) -> Result<Vec<u8>, Error> {
    read_as_seen(Path::new(path), path, false)
}

/// The caller's symlinks lead where they lead for the caller.
fn read_as_seen(path: &Path, shown: &str, guarded: bool) -> Result<Vec<u8>, Error> {
    let real = std::fs::canonicalize(path);
    let real = real.map_err(|cause| sys::Error::call("open", path, cause))?;
    let (folder, name) = (real.parent(), real.file_name());
    let folder = Root::open(folder.unwrap_or(Path::new("/")))?;
    read_in(&folder, Path::new(name.unwrap_or_default()), shown, guarded)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Reads no more of a file than a document can have; `/dev/zero` and pipes not at all.
fn read_in(root: &Root, path: &Path, shown: &str, guarded: bool) -> Result<Vec<u8>, Error> {
    let unreadable = |cause| sys::Error::call("read", Path::new(shown), cause);
    let file = root
        .open_read(path)
        .map_err(|error| match error.failure() {
            Failure::Malformed { problem, .. } => parse::no_document(shown, problem),
            _ => Error::from(error),
        })?;
    let status = file.metadata().map_err(unreadable)?;
    if guarded {
        only_root_can_change(&file, &status, shown)?;
    }
    let limit = parse::SIZE_LIMIT as u64;
    if status.len() > limit {
        return Err(parse::too_large(shown, status.len()));
    }
    let size = usize::try_from(status.len()).unwrap_or_default();
    let mut bytes = Vec::with_capacity(size);
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}

const ANYBODY_WRITES: u32 = 0o002;
const GROUP_OR_ANYBODY_WRITES: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// sudo's rule (sudoers(5)): what root acts on is root's, and stays as root wrote it. (An ACL that
/// lets somebody else write shows in the group's bit, acl(5).)
fn only_root_can_change(file: &File, status: &Metadata, shown: &str) -> Result<(), Error> {
    let folder = real_folder(file, shown);
    let looked = std::fs::metadata(&folder);
    let around = looked.map_err(|cause| sys::Error::call("look at", &folder, cause))?;
    let (owner, folder) = (status.uid(), folder.display());
    let problem = if owner != 0 {
        format!("it belongs to user {owner}; make it root's: `chown root: {shown}`")
    } else if status.mode() & GROUP_OR_ANYBODY_WRITES != 0 {
        format!("others than root may write to it; `chmod go-w {shown}`")
    } else if around.mode() & (ANYBODY_WRITES | STICKY) == ANYBODY_WRITES {
        format!("anybody may replace it, as {folder} is; `chmod o-w {folder}`")
    } else {
        return Ok(());
    };
    Err(Error::Unguarded {
        file: shown.to_owned(),
        problem,
    })
}

/// Where the file really lies, symlinks followed, by the kernel's own account.
fn real_folder(file: &File, shown: &str) -> PathBuf {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let folder = path.ok().and_then(|path| path.parent().map(Path::to_owned));
    folder.unwrap_or_else(|| folder_of(Path::new(shown)).to_owned())
}

/// A path of the caller's is read as the caller sees it; a bare name only inside the system.
fn find_batch(system: &Root, name: &str) -> Result<FoundBatch, Error> {
    if name.contains('/') || name.ends_with(".json") {
        let path = Path::new(name);
        let bytes = read_as_seen(path, name, is_root())?;
        return Ok((Some(folder_of(path).to_owned()), name.to_owned(), bytes));
    }
    let path = Path::new(INSTALLED)
        .join("batches")
        .join(format!("{name}.json"));
    match read_in(system, &path, &path.to_string_lossy(), is_root()) {
        Ok(bytes) => Ok((None, path.display().to_string(), bytes)),
        Err(Error::System(error)) if error.is_not_found() => Err(Error::NotFound {
            kind: "batch",
            name: name.into(),
            searched: vec![path],
        }),
        Err(error) => Err(error),
    }
}

fn is_root() -> bool {
    process::effective_user_is_root()
}

fn find_viscript(system: &Root, beside: Option<&Path>, name: &str) -> Result<Vec<u8>, Error> {
    let mut searched = Vec::new();
    if let Some(folder) = beside {
        for folder in [
            folder.to_owned(),
            folder.join("viscripts"),
            folder.join("../viscripts"),
        ] {
            let path = folder.join(name);
            let found = read_as_seen(&path, &path.to_string_lossy(), is_root());
            if let Some(bytes) = unless_missing(found)? {
                return Ok(bytes);
            }
            searched.push(folder);
        }
    }
    let installed = Path::new(INSTALLED).join("viscripts");
    let path = installed.join(name);
    let found = read_in(system, &path, &path.to_string_lossy(), is_root());
    if let Some(bytes) = unless_missing(found)? {
        return Ok(bytes);
    }
    searched.push(installed);
    Err(Error::NotFound {
        kind: "viScript",
        name: name.into(),
        searched,
    })
}

fn unless_missing(found: Result<Vec<u8>, Error>) -> Result<Option<Vec<u8>>, Error> {
    match found {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Error::System(error)) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
