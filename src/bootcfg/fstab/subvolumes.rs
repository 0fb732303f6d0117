//! Turns the line of `/` into lines for the subvolumes of the same file system.

use super::line::{self, Line};
use super::{Entry, Fstab};
use crate::bootcfg::{Error, mount_options};
use std::collections::{HashMap, HashSet};

/// A subvolume and where it is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubvolumeMount<'a> {
    /// The mount point, absolute.
    pub mount_point: &'a str,
    /// The subvolume, from the top level, without a leading slash.
    pub subvolume: &'a str,
    /// Options for this mount in addition to those of the file system.
    pub options: &'a [String],
}

/// The new fstab for a file system whose root becomes the subvolumes in `mounts`, of which the
/// first is `/`.
///
/// * The `/` line must name the file system: as `UUID=<filesystem_uuid>`, by
///   `/dev/disk/by-uuid`, or by one of `source_aliases` (`LABEL=…`, `PARTUUID=…`, `/dev/…`). It
///   becomes `UUID=<filesystem_uuid>` (Timeshift knows only that and `/dev/…`, facts boot.md 4.1),
///   type `btrfs`, pass 0, with `subvol=` in its options and neither `subvolid=` nor options that
///   only ext knows. An existing `/dev/disk/by-uuid` name stays.
/// * Without a `/` line (gpt-auto, some cloud images) one is added at the end with `defaults`.
/// * Each further subvolume gets a line in the columns of the `/` line, after it and after every
///   line that mounts a parent directory, with the same options. Options that are about the one
///   mount and not the file system (`x-…`, `nofail`, `noauto`, `user`, `comment=`) are not copied.
/// * A line that already mounts the same file system at that place is edited where it stands and
///   keeps its own options.
///
/// Everything else stays byte for byte: comments, swap, bind mounts, other file systems.
/// The result edited again with the same arguments does not change.
pub fn to_subvolumes(
    old: &Fstab,
    filesystem_uuid: &str,
    source_aliases: &[String],
    mounts: &[SubvolumeMount<'_>],
) -> Result<String, Error> {
    check_layout(mounts)?;
    let identity = Identity::new(filesystem_uuid, source_aliases);
    let existing = existing_entries(old, mounts)?;
    let mut plan = Plan::new(old);
    let Some((root_mount, others)) = mounts.split_first() else {
        return Ok(old.to_string());
    };
    let template = match existing.get("/") {
        Some(root) if !identity.matches(root) => {
            return Err(Error::ForeignRoot {
                line: root.line,
                device: root.source.clone(),
                expected: identity.source(),
            });
        }
        Some(root) => plan.edit(root, &identity, root_mount),
        None => plan.add(&default_line(), &identity, root_mount),
    };
    let shared = shared_options(&template);
    for mount in others {
        match existing.get(line::normal_path(mount.mount_point).as_str()) {
            Some(entry) if identity.matches(entry) => {
                plan.edit(entry, &identity, mount);
            }
            Some(entry) => {
                return Err(Error::MountPointTaken {
                    line: entry.line,
                    mount_point: entry.mount_point.clone(),
                    device: entry.source.clone(),
                });
            }
            None => {
                plan.add(&with_options(&template, &shared), &identity, mount);
            }
        }
    }
    Ok(plan.into_text())
}

/// How fstab may name the file system.
struct Identity<'a> {
    uuid: &'a str,
    names: HashSet<String>,
}

impl<'a> Identity<'a> {
    fn new(uuid: &'a str, aliases: &[String]) -> Self {
        let mut names: HashSet<String> = aliases
            .iter()
            .map(|alias| line::normal_source(alias))
            .collect();
        names.insert(line::normal_source(&format!("UUID={uuid}")));
        Self { uuid, names }
    }

    fn source(&self) -> String {
        format!("UUID={}", self.uuid)
    }

    fn matches(&self, entry: &Entry) -> bool {
        self.names.contains(&line::normal_source(&entry.source))
    }
}

/// The lines of the result: the old ones, some edited, and new ones after some of them.
struct Plan {
    lines: Vec<Line>,
    /// New lines, with their mount points, after the old line of that number; 0 is the top.
    added: Vec<Vec<(String, Line)>>,
    /// Mount point to the number of the old line after which its children may stand.
    places: HashMap<String, usize>,
    ending: String,
}

impl Plan {
    fn new(old: &Fstab) -> Self {
        let places = old
            .entries()
            .map(|entry| (line::normal_path(&entry.mount_point), entry.line));
        let ending = old.lines.first().map_or("\n", |line| match line.ending() {
            "\r\n" => "\r\n",
            _ => "\n",
        });
        Self {
            lines: old.lines.clone(),
            added: vec![Vec::new(); old.lines.len() + 1],
            places: places.collect(),
            ending: ending.to_owned(),
        }
    }

    /// Edits the line of an entry and returns it.
    fn edit(&mut self, entry: &Entry, identity: &Identity<'_>, mount: &SubvolumeMount<'_>) -> Line {
        let Some(line) = self.lines.get_mut(entry.line - 1) else {
            return default_line();
        };
        let own_name =
            line::normal_source(&entry.source) == line::normal_source(&identity.source());
        let plain = entry.source.starts_with("/dev/") || entry.source == identity.source();
        if !(own_name && plain) {
            line.set_field(0, &identity.source());
        }
        line.set_field(2, "btrfs");
        let options: Vec<&str> = entry.options.iter().map(String::as_str).collect();
        line.set_field(3, &options_field(&options, mount));
        if entry.pass.is_some_and(|pass| pass != 0) {
            line.set_field(5, "0");
        }
        line.clone()
    }

    /// Adds a line like `template` for a mount and returns it.
    fn add(
        &mut self,
        template: &Line,
        identity: &Identity<'_>,
        mount: &SubvolumeMount<'_>,
    ) -> Line {
        let mount_point = line::normal_path(mount.mount_point);
        let options = template.field(3).map(line::options).unwrap_or_default();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let values = [
            identity.source(),
            line::encode(&mount_point),
            "btrfs".to_owned(),
            options_field(&options, mount),
            "0".to_owned(),
            "0".to_owned(),
        ];
        let line = template.like(&values, &self.ending);
        let place = self.place_for(&mount_point);
        if let Some(added) = self.added.get_mut(place) {
            let below = format!("{}/", mount_point.trim_end_matches('/'));
            let child = added
                .iter()
                .position(|(other, _)| other.starts_with(&below));
            added.insert(
                child.unwrap_or(added.len()),
                (mount_point.clone(), line.clone()),
            );
        }
        self.places.insert(mount_point, place);
        line
    }

    /// The old line after which a mount may stand: the last one that mounts a parent of it, for
    /// `mount -a` goes through the file from top to bottom.
    fn place_for(&self, mount_point: &str) -> usize {
        let parents = mount_point
            .match_indices('/')
            .map(|(at, _)| mount_point.get(..at.max(1)));
        let places = parents
            .flatten()
            .filter_map(|parent| self.places.get(parent));
        places.copied().max().unwrap_or(self.lines.len())
    }

    fn into_text(self) -> String {
        let mut text = String::new();
        let mut added = self.added.into_iter();
        let push = |text: &mut String, lines: Option<Vec<(String, Line)>>| {
            for (_, line) in lines.into_iter().flatten() {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push_str(&self.ending);
                }
                line.write(text);
            }
        };
        push(&mut text, added.next());
        for line in self.lines {
            line.write(&mut text);
            push(&mut text, added.next());
        }
        text
    }
}

/// `/` first, absolute paths, no mount point twice, names that mount options can express.
fn check_layout(mounts: &[SubvolumeMount<'_>]) -> Result<(), Error> {
    let layout = |reason: String| Err(Error::Layout { reason });
    if mounts
        .first()
        .is_none_or(|mount| line::normal_path(mount.mount_point) != "/")
    {
        return layout("its first mount is not `/`".to_owned());
    }
    let mut seen = HashSet::new();
    for SubvolumeMount {
        mount_point,
        subvolume,
        options,
    } in mounts
    {
        if !mount_point.starts_with('/') {
            return layout(format!("mount point {mount_point:?} is not absolute"));
        }
        if !seen.insert(line::normal_path(mount_point)) {
            return layout(format!("it mounts {mount_point} twice"));
        }
        // Facts boot.md T48: neither can be expressed in the options of a mount.
        if subvolume.trim_matches('/').is_empty() || subvolume.contains([',', '"', '\0']) {
            return layout(format!(
                "subvolume name {subvolume:?} cannot stand in mount options"
            ));
        }
        if let Some(option) = options
            .iter()
            .find(|option| mount_options::is_subvolume(option))
        {
            return layout(format!(
                "option {option} of {mount_point} contradicts its subvolume"
            ));
        }
    }
    Ok(())
}

/// The entries for the mount points of the layout. A second line for one of them, or a malformed
/// one (which libmount drops but others read), is an error.
fn existing_entries<'f>(
    old: &'f Fstab,
    mounts: &[SubvolumeMount<'_>],
) -> Result<HashMap<String, &'f Entry>, Error> {
    let wanted: HashSet<String> = mounts
        .iter()
        .map(|mount| line::normal_path(mount.mount_point))
        .collect();
    let mut found: HashMap<String, &Entry> = HashMap::new();
    for entry in old.entries() {
        let mount_point = line::normal_path(&entry.mount_point);
        if !wanted.contains(&mount_point) {
            continue;
        }
        if let Some(first) = found.insert(mount_point, entry) {
            let (first, second) = (first.line, entry.line);
            let mount_point = entry.mount_point.clone();
            return Err(Error::SeveralEntries {
                first,
                second,
                mount_point,
            });
        }
    }
    for (number, reason) in old.malformed() {
        let fields = old.lines.get(number - 1).and_then(|line| line.field(1));
        let mount_point = line::decode(fields.unwrap_or_default());
        if wanted.contains(&line::normal_path(&mount_point)) {
            return Err(Error::MalformedEntry {
                line: number,
                mount_point,
                reason,
            });
        }
    }
    Ok(found)
}

/// The options with `subvol=` where a choice of a subvolume stood, else at the end, and the extra
/// options of the mount after the existing ones.
fn options_field(existing: &[&str], mount: &SubvolumeMount<'_>) -> String {
    let subvolume = format!("subvol={}", mount.subvolume);
    let extra = mount
        .options
        .iter()
        .flat_map(|options| mount_options::split(options));
    let stands = existing
        .iter()
        .any(|option| mount_options::is_subvolume(option));
    let all = existing.iter().copied().chain(extra);
    let kept = all.filter(|option| !mount_options::is_ext_only(option));
    let renamed = kept.map(|option| match mount_options::is_subvolume(option) {
        true => subvolume.as_str(),
        false => option,
    });
    let mut options = mount_options::unique(renamed);
    if options.is_empty() {
        options.push("defaults");
    }
    if !stands {
        options.push(&subvolume);
    }
    line::encode(&options.join(","))
}

/// The options of the `/` line that the other subvolumes take over: all of them were in force
/// there until now, except those that say how this one mount is brought up.
fn shared_options(root: &Line) -> String {
    let options = root.field(3).map(line::options).unwrap_or_default();
    let own = [
        "auto", "noauto", "nofail", "user", "users", "nouser", "owner", "group",
    ];
    let shared = options.iter().map(String::as_str).filter(|option| {
        let bare = !option.starts_with("x-") && !option.starts_with("X-");
        bare && !option.starts_with("comment=") && !own.contains(option)
    });
    line::encode(&shared.collect::<Vec<&str>>().join(","))
}

fn with_options(template: &Line, options: &str) -> Line {
    let mut line = template.clone();
    line.set_field(3, options);
    line
}

/// The `/` line of a file that has none.
fn default_line() -> Line {
    Line::parse("UUID=x / btrfs defaults 0 0\n")
}
