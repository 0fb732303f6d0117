//! The layout: which subvolume of which file system is mounted where. Stated once per batch.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Error, Origin};

/// The layout of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// One entry a file system; the first holds `/`.
    pub filesystems: Vec<FilesystemLayout>,
}

/// The subvolumes of one file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FilesystemLayout {
    /// A remark for people; it has no effect.
    #[serde(rename = "$comment", default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The file system that is mounted here today.
    pub mounted_at: String,
    /// How it comes to be, where that is no btrfs yet; left out, it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Origin>,
    /// The subvolumes it shall have.
    pub subvolumes: Vec<SubvolumeLayout>,
}

/// One subvolume and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SubvolumeLayout {
    /// A remark for people; it has no effect.
    #[serde(rename = "$comment", default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Its name at the top level, as `@home`.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = "^[A-Za-z0-9@_][A-Za-z0-9@_.-]{0,199}$"))
    )]
    pub name: String,
    /// Where it is mounted, as `/home`.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = r"^(/|(/(?!\.{1,2}(/|$))[^/\s,\\\x00]+)+)$"))
    )]
    pub mount_point: String,
    /// Options of this mount alone, as `noatime`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Files are written in place: less fragmentation of images and databases, and neither
    /// checksums nor compression. Only for files made from then on, in its root and in new
    /// directories there: btrfs takes the mark for empty files only (chattr(1), `C`), so what is
    /// there keeps what it has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_copy_on_write: bool,
    /// `zstd` or `none`, whatever the mount options say; likewise only for what is made from then
    /// on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<String>,
}

impl Default for Layout {
    /// `@` and `@home`: what Timeshift, grub-btrfs and most guides want (facts boot.md 5).
    fn default() -> Self {
        let subvolumes = vec![
            SubvolumeLayout::new("@", "/"),
            SubvolumeLayout::new("@home", "/home"),
        ];
        Self {
            filesystems: vec![FilesystemLayout::new("/", subvolumes)],
        }
    }
}

impl SubvolumeLayout {
    /// A subvolume with nothing but its name and its place.
    #[must_use]
    pub fn new(name: impl Into<String>, mount_point: impl Into<String>) -> Self {
        Self {
            comment: None,
            name: name.into(),
            mount_point: mount_point.into(),
            options: Vec::new(),
            no_copy_on_write: false,
            compression: None,
        }
    }
}

impl Layout {
    /// The root file system's part.
    #[must_use]
    pub fn root(&self) -> Option<&FilesystemLayout> {
        self.filesystems
            .iter()
            .find(|filesystem| filesystem.mounted_at == "/")
    }

    /// Says what is wrong with it: every problem at once.
    #[must_use]
    pub fn problems(&self, file: &str) -> Vec<Error> {
        let mut problems = Vec::new();
        if self.root().is_none() {
            problems.push(sense(
                file,
                "layout.filesystems",
                "none of them is mounted at \"/\"",
            ));
        }
        let mut mount_points = Vec::new();
        let mut devices = Vec::new();
        for (index, filesystem) in self.filesystems.iter().enumerate() {
            let at = format!("layout.filesystems[{index}]");
            let names: Vec<&str> = filesystem.from.iter().flat_map(Origin::names).collect();
            if let Some(name) = names.iter().find(|name| devices.contains(*name)) {
                let what = format!("{name} is used by an earlier one; each makes one file system");
                problems.push(sense(file, &format!("{at}.from"), &what));
            }
            devices.extend(names);
            problems.extend(filesystem.problems(file, &at, &mut mount_points));
            problems.extend(
                self.misplaced(index, filesystem)
                    .map(|what| sense(file, &at, &what)),
            );
        }
        problems
    }

    /// Those of its file systems that are no btrfs yet.
    pub fn to_be_made(&self) -> impl Iterator<Item = (&FilesystemLayout, &Origin)> {
        let all = self.filesystems.iter();
        all.filter_map(|one| Some((one, one.from.as_ref()?)))
    }

    /// All file systems but the root's.
    pub fn others(&self) -> impl Iterator<Item = &FilesystemLayout> {
        self.filesystems
            .iter()
            .filter(|filesystem| filesystem.mounted_at != "/")
    }

    /// What belongs to a file system is below its mount point, and below no deeper one of another.
    fn misplaced(&self, index: usize, filesystem: &FilesystemLayout) -> Option<String> {
        let place = &filesystem.mounted_at;
        let mut earlier = self.filesystems.iter().take(index);
        if earlier.any(|other| other.mounted_at == *place) {
            return Some(format!("a second file system mounted at \"{place}\""));
        }
        let holder = |path: &str| {
            let holds = |other: &&FilesystemLayout| Path::new(path).starts_with(&other.mounted_at);
            let depth =
                |other: &&FilesystemLayout| Path::new(&other.mounted_at).components().count();
            self.filesystems.iter().filter(holds).max_by_key(depth)
        };
        let strays = |one: &&SubvolumeLayout| {
            holder(&one.mount_point).is_none_or(|holder| holder.mounted_at != *place)
        };
        let stray = filesystem.subvolumes.iter().find(strays)?;
        Some(format!(
            "{} is not in the file system mounted at \"{place}\"",
            stray.mount_point
        ))
    }
}

impl FilesystemLayout {
    /// The subvolumes of the file system that is mounted here.
    #[must_use]
    pub fn new(mounted_at: impl Into<String>, subvolumes: Vec<SubvolumeLayout>) -> Self {
        Self {
            comment: None,
            mounted_at: mounted_at.into(),
            from: None,
            subvolumes,
        }
    }

    /// The subvolume mounted where the file system is mounted today.
    #[must_use]
    pub fn main(&self) -> Option<&SubvolumeLayout> {
        self.subvolumes
            .iter()
            .find(|subvolume| subvolume.mount_point == self.mounted_at)
    }

    /// All others: each is split off.
    pub fn split_off(&self) -> impl Iterator<Item = &SubvolumeLayout> {
        self.subvolumes
            .iter()
            .filter(|subvolume| subvolume.mount_point != self.mounted_at)
    }

    /// A mount point as a path inside the file system as it is mounted today: `/models` of
    /// `/ml/models` where it is mounted at `/ml`, `/` of `/ml` itself.
    #[must_use]
    pub fn inside<'p>(&self, mount_point: &'p str) -> &'p str {
        let base = self.mounted_at.trim_end_matches('/');
        match mount_point.strip_prefix(base) {
            Some("") => "/",
            Some(inside) => inside,
            None => mount_point,
        }
    }

    fn problems(&self, file: &str, at: &str, mount_points: &mut Vec<String>) -> Vec<Error> {
        let mut problems = Vec::new();
        if let Some((key, what)) = self.from.as_ref().and_then(Origin::problem) {
            problems.push(sense(file, &format!("{at}.from.{key}"), &what));
        }
        if self.main().is_none() {
            let what = format!("no subvolume is mounted at \"{}\"", self.mounted_at);
            problems.push(sense(file, at, &what));
        }
        let mut names = Vec::new();
        for (index, subvolume) in self.subvolumes.iter().enumerate() {
            let at = format!("{at}.subvolumes[{index}]");
            let mut say = |what: String| problems.push(sense(file, &at, &what));
            if let Some(what) = bad_name(&subvolume.name) {
                say(what);
            }
            if let Some(what) = bad_mount_point(&subvolume.mount_point) {
                say(what);
            }
            if let Some(what) = belongs_to_the_root(&subvolume.mount_point) {
                say(what);
            }
            if let Some(what) = subvolume.bad_properties() {
                say(what);
            }
            if names.contains(&subvolume.name) {
                say(format!("a second subvolume \"{}\"", subvolume.name));
            }
            if mount_points.contains(&subvolume.mount_point) {
                say(format!(
                    "a second subvolume mounted at \"{}\"",
                    subvolume.mount_point
                ));
            }
            names.push(subvolume.name.clone());
            mount_points.push(subvolume.mount_point.clone());
        }
        problems
    }
}

impl SubvolumeLayout {
    fn bad_properties(&self) -> Option<String> {
        match self.compression.as_deref() {
            None | Some("none") => None,
            Some("zstd") if self.no_copy_on_write => {
                Some("no_copy_on_write and compression exclude each other (btrfs(5))".into())
            }
            Some("zstd") => None,
            Some(other) => Some(format!(
                "compression \"{other}\": write \"zstd\" or \"none\""
            )),
        }
    }
}

/// Between the name of a subvolume that a rollback kept and its number.
const ROLLED_BACK: &str = ".rolled-back-";

/// Whether a subvolume's name needs no quoting anywhere: a comma or a blank can't be told in mount
/// options (facts boot.md T48).
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "@_-.".contains(c);
    !name.is_empty()
        && name.len() <= 200
        && name.chars().all(allowed)
        && !name.starts_with(['.', '-'])
}

fn bad_name(name: &str) -> Option<String> {
    if name.contains(ROLLED_BACK) {
        return Some(format!(
            "\"{name}\" can't be a subvolume's name: a rollback names so what it keeps"
        ));
    }
    (!is_plain_name(name)).then(|| {
        format!("\"{name}\" can't be a subvolume's name: use letters, digits, @ _ - . only")
    })
}

fn bad_mount_point(path: &str) -> Option<String> {
    let plain = path.starts_with('/')
        && !path.contains(char::is_whitespace)
        && !path.contains(['\0', ',', '\\'])
        && (path == "/"
            || path
                .split('/')
                .skip(1)
                .all(|part| !part.is_empty() && part != "." && part != ".."));
    (!plain).then(|| format!("\"{path}\" is no mount point: write an absolute path, as \"/home\""))
}

/// What has to be there before fstab is read: the boot loader's files, init, its libraries and its
/// configuration; and what no disk holds.
fn belongs_to_the_root(path: &str) -> Option<String> {
    const NEEDED: [&str; 12] = [
        "/boot", "/etc", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/dev", "/proc",
        "/run", "/sys",
    ];
    const APART: [&str; 2] = ["/usr/local", "/usr/src"];
    let is_in = |place: &&str| Path::new(path).starts_with(place);
    let needed = NEEDED.iter().find(|place| is_in(place))?;
    (!APART.iter().any(is_in)).then(|| {
        format!(
            "{path} can't be split off: {needed} is needed before fstab is read; leave it in the \
             subvolume that is mounted at /"
        )
    })
}

fn sense(file: &str, at: &str, problem: &str) -> Error {
    Error::Sense {
        file: file.into(),
        at: at.into(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{FilesystemLayout, Layout, SubvolumeLayout};

    fn layout(subvolumes: &[(&str, &str)]) -> Layout {
        let subvolumes = subvolumes
            .iter()
            .map(|(name, mount_point)| SubvolumeLayout::new(*name, *mount_point))
            .collect();
        Layout {
            filesystems: vec![FilesystemLayout::new("/", subvolumes)],
        }
    }

    fn said(layout: &Layout) -> String {
        let problems: Vec<String> = layout
            .problems("b.json")
            .iter()
            .map(ToString::to_string)
            .collect();
        problems.join("\n")
    }

    #[test]
    fn the_default_is_sound() {
        assert_eq!(said(&Layout::default()), "");
    }

    #[test]
    fn each_mistake_is_found() {
        for (subvolumes, part) in [
            (vec![("@home", "/home")], "no subvolume is mounted at \"/\""),
            (vec![("@", "/"), ("@", "/home")], "a second subvolume \"@\""),
            (
                vec![("@", "/"), ("@a", "/a"), ("@b", "/a")],
                "a second subvolume mounted at \"/a\"",
            ),
            (
                vec![("@", "/"), ("a,b", "/a")],
                "\"a,b\" can't be a subvolume's name",
            ),
            (vec![("@", "/"), ("..", "/a")], "\"..\" can't be"),
            (vec![("@", "/"), ("@x", "/a/../b")], "is no mount point"),
            (vec![("@", "/"), ("@x", "home")], "is no mount point"),
            (
                vec![("@", "/"), ("@x", "/boot")],
                "/boot can't be split off",
            ),
            (vec![("@", "/"), ("@x", "/etc/x")], "/etc is needed before"),
            (vec![("@", "/"), ("@x", "/usr")], "/usr can't be split off"),
            (
                vec![("@", "/"), ("@.rolled-back-1", "/srv")],
                "a rollback names so what it keeps",
            ),
        ] {
            assert!(said(&layout(&subvolumes)).contains(part), "{subvolumes:?}");
        }
    }

    #[test]
    fn what_only_looks_like_a_system_directory_may_be_split_off() {
        for place in [
            "/usr/local",
            "/usr/src/x",
            "/bootleg",
            "/etc2",
            "/var",
            "/opt",
        ] {
            assert_eq!(said(&layout(&[("@", "/"), ("@x", place)])), "", "{place}");
        }
    }

    #[test]
    fn a_layout_without_root_is_refused() {
        assert!(
            said(&Layout {
                filesystems: vec![]
            })
            .contains("mounted at \"/\"")
        );
    }
}
