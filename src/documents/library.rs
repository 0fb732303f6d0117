//! Where batches and viScripts are found.

use std::path::{Path, PathBuf};

use super::{Batch, Error, ViScript};
use crate::sys::{self, Root};

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
}

impl Bundle {
    /// Loads the batch `name`: a file's path, or the name of an installed batch. Its viScripts are
    /// looked for beside it, then in `viscripts/` beside and above it, then among the installed.
    ///
    /// # Errors
    /// The first document that is missing or can't be used.
    pub fn load(system: &Root, name: Option<&str>) -> Result<Self, Error> {
        let (folder, file, bytes) = find_batch(system, name.unwrap_or(DEFAULT_BATCH))?;
        let batch = Batch::parse(&file, &bytes)?;
        let mut viscripts: Vec<(String, ViScript)> = Vec::new();
        for name in batch.phases.iter().flat_map(|phase| &phase.viscripts) {
            if viscripts.iter().any(|(known, _)| known == name) {
                continue;
            }
            let bytes = find_viscript(system, folder.as_deref(), name)?;
            viscripts.push((name.clone(), ViScript::parse(name, &bytes)?));
        }
        Ok(Self { batch, viscripts })
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

/// A path of the caller's is read as the caller sees it; a bare name only inside the system.
fn find_batch(system: &Root, name: &str) -> Result<FoundBatch, Error> {
    if name.contains('/') || name.ends_with(".json") {
        let path = Path::new(name);
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let file = path.file_name().unwrap_or_default();
        let bytes = Root::open(&folder)?.read(Path::new(file))?;
        return Ok((Some(folder), name.to_owned(), bytes));
    }
    let path = Path::new(INSTALLED)
        .join("batches")
        .join(format!("{name}.json"));
    match system.read(&path) {
        Ok(bytes) => Ok((None, path.display().to_string(), bytes)),
        Err(error) if error.is_not_found() => Err(Error::NotFound {
            kind: "batch",
            name: name.into(),
            searched: vec![path],
        }),
        Err(error) => Err(error.into()),
    }
}

fn find_viscript(system: &Root, beside: Option<&Path>, name: &str) -> Result<Vec<u8>, Error> {
    let mut searched = Vec::new();
    if let Some(folder) = beside {
        for folder in [
            folder.to_owned(),
            folder.join("viscripts"),
            folder.join("../viscripts"),
        ] {
            let found = Root::open(&folder).and_then(|root| root.read(Path::new(name)));
            if let Some(bytes) = unless_missing(found)? {
                return Ok(bytes);
            }
            searched.push(folder);
        }
    }
    let installed = Path::new(INSTALLED).join("viscripts");
    if let Some(bytes) = unless_missing(system.read(&installed.join(name)))? {
        return Ok(bytes);
    }
    searched.push(installed);
    Err(Error::NotFound {
        kind: "viScript",
        name: name.into(),
        searched,
    })
}

fn unless_missing(found: sys::Result<Vec<u8>>) -> Result<Option<Vec<u8>>, Error> {
    match found {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
