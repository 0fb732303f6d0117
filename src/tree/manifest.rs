//! A record of everything in a tree.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::walk::{Boundary, Decision, Found, Order, Visitor, walk};
use super::{Error, content, text};
use crate::sys::{Directory, FileKind, Root, Status, Time, attributes};

/// Files up to this size are read at once; larger ones in such pieces.
const PIECE: usize = 256 << 10;
const EPOCH: Time = Time {
    seconds: 0,
    nanoseconds: 0,
};

/// What to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Go into subvolumes of the same mount; otherwise they are recorded as empty directories.
    pub cross_subvolumes: bool,
    /// Hash the content of regular files.
    pub contents: bool,
    /// Record where the holes of sparse files are.
    pub holes: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cross_subvolumes: false,
            contents: true,
            holes: false,
        }
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the tree's root, which itself has the empty path.
    pub path: PathBuf,
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, 0o7777 at most.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes; 0 for directories, whose size is the file system's own matter.
    pub size: u64,
    /// Last change of the content; 1970 for the stub of a subvolume, whose time is made up.
    pub modified: Time,
    /// With ACLs, capabilities and btrfs properties.
    pub attributes: BTreeMap<OsString, Vec<u8>>,
    /// The flags that `lsattr` shows.
    pub flags: u32,
    /// Number of names; 1 for directories.
    pub links: u64,
    /// The first path of its hard-link family, when it is not that first path itself.
    pub linked_to: Option<PathBuf>,
    /// Where a symlink points.
    pub target: Option<PathBuf>,
    /// What a device node is.
    pub special_device: Option<u64>,
    /// XXH3-128 of a regular file's content.
    pub content: Option<u128>,
    /// XXH3-64 of where its data and holes are; `None` for a file without holes.
    pub holes: Option<u64>,
}

/// A record of everything in a tree, sorted by path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    pub(super) entries: Vec<Entry>,
}

impl Manifest {
    /// Records everything below `root`, and `root` itself under the empty path. Never goes into
    /// another mount: what is mounted is recorded as an empty directory.
    pub fn of(root: &Root, options: Options) -> Result<Self, Error> {
        let start = root.directory(Path::new(""))?;
        let mut top = bare(Path::new(""), &start.status()?);
        add_attributes(&mut top, &start)?;
        let mut recorder = Recorder {
            options,
            entries: vec![top],
            families: HashMap::new(),
            piece: vec![0; PIECE],
        };
        walk(start, Order::Sorted, &mut recorder)?;
        Ok(Self {
            entries: recorder.entries,
        })
    }

    /// The entries, sorted by path, parents before what is in them; the first is the root.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of a path.
    #[must_use]
    pub fn get(&self, path: &Path) -> Option<&Entry> {
        self.entries.get(self.position(path).ok()?)
    }

    /// Hangs another tree into this one, as a mount would: the empty directory at `at` gives way
    /// to the other's entries, and the other's root to that directory's path.
    pub fn graft(&mut self, at: &Path, other: Self) -> Result<(), Error> {
        let at = at.strip_prefix("/").unwrap_or(at);
        let failed = |problem| Error::Graft {
            path: at.to_path_buf(),
            problem,
        };
        let place = self
            .position(at)
            .map_err(|_| failed("there is no such entry"))?;
        let is_directory = self
            .entries
            .get(place)
            .is_some_and(|entry| entry.kind == FileKind::Directory);
        if !is_directory {
            return Err(failed("it is not a directory"));
        }
        if self
            .entries
            .get(place + 1)
            .is_some_and(|next| next.path.starts_with(at))
        {
            return Err(failed("the directory is not empty"));
        }
        let below = |path: &Path| {
            if path.as_os_str().is_empty() {
                at.to_path_buf()
            } else {
                at.join(path)
            }
        };
        let grafted = other.entries.into_iter().map(|mut entry| {
            entry.path = below(&entry.path);
            entry.linked_to = entry.linked_to.map(|first| below(&first));
            entry
        });
        self.entries.splice(place..=place, grafted);
        Ok(())
    }

    /// A compact text: a line an entry, in ASCII.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::write(&self.entries)
    }

    /// The manifest that [`Manifest::to_text`] wrote.
    pub fn from_text(text: &str) -> Result<Self, Error> {
        Ok(Self {
            entries: text::read(text)?,
        })
    }

    fn position(&self, path: &Path) -> Result<usize, usize> {
        self.entries
            .binary_search_by(|entry| entry.path.as_path().cmp(path))
    }
}

/// Writes down what the walk shows.
struct Recorder {
    options: Options,
    entries: Vec<Entry>,
    /// Where in `entries` the first name of a file with several is.
    families: HashMap<(u64, u64), usize>,
    piece: Vec<u8>,
}

impl Visitor for Recorder {
    fn visit(&mut self, found: &Found<'_>) -> Result<Decision, Error> {
        let mut entry = bare(found.path, found.status);
        let boundary = found.boundary();
        match found.status.kind {
            FileKind::Directory if found.is_stub() => entry.modified = EPOCH,
            // What is mounted may be anything, also something that hangs when it is opened.
            FileKind::Directory if boundary == Boundary::Mount => {}
            FileKind::Directory => {
                add_attributes(&mut entry, &found.parent.open_directory(found.name)?)?;
            }
            _ if self.is_further_name(&mut entry, found.status) => {}
            FileKind::File => self.add_file(&mut entry, found)?,
            _ => add_special(&mut entry, found)?,
        }
        self.entries.push(entry);
        let enter = match boundary {
            Boundary::None => true,
            Boundary::Subvolume => self.options.cross_subvolumes,
            Boundary::Mount => false,
        };
        Ok(if enter {
            Decision::Enter
        } else {
            Decision::Pass
        })
    }
}

impl Recorder {
    /// A further name of a file that is recorded already takes over what was found out there.
    fn is_further_name(&mut self, entry: &mut Entry, status: &Status) -> bool {
        if status.links < 2 {
            return false;
        }
        let next = self.entries.len();
        let first = *self
            .families
            .entry((status.device, status.inode))
            .or_insert(next);
        let Some(first) = self.entries.get(first) else {
            return false;
        };
        let path = std::mem::take(&mut entry.path);
        *entry = Entry {
            path,
            linked_to: Some(first.path.clone()),
            ..first.clone()
        };
        true
    }

    fn add_file(&mut self, entry: &mut Entry, found: &Found<'_>) -> Result<(), Error> {
        let file = found.parent.open_entry(found.name)?;
        let shown = found.parent.path().join(found.name);
        entry.flags = attributes::flags_of(&file, &shown)?.bits;
        entry.attributes = attributes::extended_attributes_of(&file, &shown)?
            .into_iter()
            .collect();
        if self.options.holes {
            entry.holes = content::holes(&file, entry.size, &shown)?;
        }
        if self.options.contents {
            entry.content = Some(content::hash(&file, entry.size, &mut self.piece, &shown)?);
        }
        Ok(())
    }
}

fn bare(path: &Path, status: &Status) -> Entry {
    let is_directory = status.is_directory();
    Entry {
        path: path.to_path_buf(),
        kind: status.kind,
        mode: status.mode,
        uid: status.uid,
        gid: status.gid,
        size: if is_directory { 0 } else { status.size },
        modified: status.modified,
        attributes: BTreeMap::new(),
        flags: 0,
        links: if is_directory { 1 } else { status.links },
        linked_to: None,
        target: None,
        special_device: None,
        content: None,
        holes: None,
    }
}

fn add_attributes(entry: &mut Entry, directory: &Directory) -> Result<(), Error> {
    entry.flags = attributes::flags_of(directory, directory.path())?.bits;
    entry.attributes = attributes::extended_attributes_of(directory, directory.path())?
        .into_iter()
        .collect();
    Ok(())
}

/// Symlinks, devices, pipes, sockets: nothing that may be opened.
fn add_special(entry: &mut Entry, found: &Found<'_>) -> Result<(), Error> {
    entry.attributes = attributes::extended_attributes_at(found.parent, found.name)?
        .into_iter()
        .collect();
    match entry.kind {
        FileKind::Symlink => entry.target = Some(found.parent.read_link(found.name)?),
        FileKind::CharacterDevice | FileKind::BlockDevice => {
            entry.special_device = Some(found.status.special_device);
        }
        _ => {}
    }
    Ok(())
}
