//! Hard links that a split into subvolumes would break.

use std::path::{Path, PathBuf};

use super::Error;
use super::walk::{Boundary, Decision, Found, Order, Visitor, walk};
use crate::sys::{Root, sorted};

/// One of a file's several names. Ordered so that those of one file stand together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    device: u64,
    inode: u64,
    /// How many the file has.
    links: u64,
    path: PathBuf,
}

/// Counts names within one directory.
struct Census<'a> {
    /// The directory, relative to the root.
    base: &'a Path,
    /// All directories that become subvolumes.
    split: &'a [PathBuf],
    met: Vec<Name>,
}

impl Visitor for Census<'_> {
    fn visit(&mut self, found: &Found<'_>) -> Result<Decision, Error> {
        let status = found.status;
        if status.is_directory() {
            let nested_split = self.split.contains(&self.base.join(found.path));
            let pass = nested_split || found.boundary() == Boundary::Mount;
            return Ok(if pass {
                Decision::Pass
            } else {
                Decision::Enter
            });
        }
        if status.links > 1 {
            self.met.push(Name {
                device: status.device,
                inode: status.inode,
                links: status.links,
                path: self.base.join(found.path),
            });
        }
        Ok(Decision::Pass)
    }
}

/// Files inside one of the directories (each a future subvolume) of which another name lies
/// outside it, sorted. A directory of the list that lies inside another counts as outside of it.
/// Directories that are missing are passed over; other mounts are not entered.
pub fn straddling_hard_links(root: &Root, directories: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let inside = |path: &PathBuf| path.strip_prefix("/").unwrap_or(path).to_path_buf();
    let split: Vec<PathBuf> = directories.iter().map(inside).collect();
    let mut straddling = Vec::new();
    for base in &split {
        if !root
            .resolved_status(base)?
            .is_some_and(|status| status.is_directory())
        {
            continue;
        }
        let mut census = Census {
            base,
            split: &split,
            met: Vec::new(),
        };
        let start = root.within(base)?.directory(Path::new(""))?;
        walk(start, Order::Stored, &mut census)?;
        let met = sorted(census.met);
        for family in met.chunk_by(|a, b| (a.device, a.inode) == (b.device, b.inode)) {
            let met = u64::try_from(family.len()).unwrap_or(u64::MAX);
            let outside = family.iter().filter(|name| met < name.links);
            straddling.extend(outside.map(|name| name.path.clone()));
        }
    }
    Ok(sorted(straddling))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn straddling(folder: &Path, directories: &[&str]) -> Vec<String> {
        let root = Root::open(folder).unwrap();
        let directories: Vec<PathBuf> = directories.iter().map(PathBuf::from).collect();
        let found = straddling_hard_links(&root, &directories).unwrap();
        found
            .iter()
            .map(|path| path.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn only_families_with_a_name_outside_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("home/a")).unwrap();
        fs::create_dir_all(path("var/log")).unwrap();
        fs::write(path("home/within"), "x").unwrap();
        fs::hard_link(path("home/within"), path("home/a/within")).unwrap();
        fs::write(path("home/out"), "x").unwrap();
        fs::hard_link(path("home/out"), path("home/a/out")).unwrap();
        fs::hard_link(path("home/out"), path("outside")).unwrap();
        assert_eq!(
            straddling(folder.path(), &["/home"]),
            ["home/a/out", "home/out"]
        );
        assert!(straddling(folder.path(), &["/var/log", "/missing"]).is_empty());
    }

    #[test]
    fn a_nested_split_directory_is_outside() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("var/log")).unwrap();
        fs::write(path("var/a"), "x").unwrap();
        fs::hard_link(path("var/a"), path("var/log/a")).unwrap();
        assert!(straddling(folder.path(), &["/var"]).is_empty());
        assert_eq!(
            straddling(folder.path(), &["/var", "/var/log"]),
            ["var/a", "var/log/a"]
        );
    }
}
