//! The lines of the new fstab, one mount at a time.

use super::line::{self, Line};
use super::{Entry, Fstab, SubvolumeMount};
use crate::bootcfg::mount_options;
use crate::fault::mutant;

/// How fstab may name the file system.
pub(super) struct Identity<'a> {
    uuid: &'a str,
    names: Vec<String>,
}

impl<'a> Identity<'a> {
    pub(super) fn new(uuid: &'a str, aliases: &[String]) -> Self {
        let mut names: Vec<String> = aliases
            .iter()
            .map(|alias| line::normal_source(alias))
            .collect();
        names.push(line::normal_source(&format!("UUID={uuid}")));
        Self { uuid, names }
    }

    pub(super) fn source(&self) -> String {
        format!("UUID={}", self.uuid)
    }

    pub(super) fn matches(&self, entry: &Entry) -> bool {
        self.names(&entry.source)
    }

    pub(super) fn names(&self, source: &str) -> bool {
        mutant::ANY_DEVICE || self.names.contains(&line::normal_source(source))
    }
}

/// The lines of the result: the old ones, some edited, and new ones after some of them.
pub(super) struct Plan {
    lines: Vec<Line>,
    /// New lines, with their mount points, after the old line of that number; 0 is the top.
    added: Vec<Vec<(String, Line)>>,
    /// Mount points, each with the number of the old line after which its children may stand.
    places: Vec<(String, usize)>,
    ending: String,
}

impl Plan {
    pub(super) fn new(old: &Fstab) -> Self {
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
    pub(super) fn edit(
        &mut self,
        entry: &Entry,
        identity: &Identity<'_>,
        mount: &SubvolumeMount<'_>,
    ) -> Line {
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
    pub(super) fn add(
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
        self.places.push((mount_point, place));
        line
    }

    /// The old line after which a mount may stand: the last one that mounts a parent of it, for
    /// `mount -a` goes through the file from top to bottom.
    fn place_for(&self, mount_point: &str) -> usize {
        let is_parent = |other: &str| {
            let inside = mount_point.strip_prefix(other);
            inside.is_some_and(|inside| other == "/" || inside.starts_with('/'))
        };
        let parents = self.places.iter().filter(|(other, _)| is_parent(other));
        let places = parents.map(|(_, place)| *place);
        places.max().unwrap_or(self.lines.len())
    }

    pub(super) fn into_text(self) -> String {
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
pub(super) fn shared_options(root: &Line) -> String {
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

pub(super) fn with_options(template: &Line, options: &str) -> Line {
    let mut line = template.clone();
    line.set_field(3, options);
    line
}

/// The `/` line of a file that has none.
pub(super) fn default_line() -> Line {
    Line::parse("UUID=x / btrfs defaults 0 0\n")
}
