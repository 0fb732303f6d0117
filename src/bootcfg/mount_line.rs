//! What mounts a file system beside fstab: systemd's mount units and the maps of autofs.

use super::fstab::Entry;
use super::mount_options;

/// One wish to mount something, wherever it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountLine {
    /// What is mounted: `UUID=…`, a device, a path.
    pub source: String,
    /// Where.
    pub at: String,
    /// The type of the file system; empty where it is not said.
    pub fstype: String,
    /// The options.
    pub options: Vec<String>,
}

/// A choice of a subvolume among mount options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// By its path from the top level, without slashes at its ends.
    Path(String),
    /// By its id.
    Id(u64),
}

impl MountLine {
    /// The subvolume that the options choose: the last one counts, as for the kernel.
    #[must_use]
    pub fn subvolume(&self) -> Option<Chosen> {
        let chosen = self.options.iter().rev().find_map(|option| {
            if let Some(path) = option.strip_prefix("subvol=") {
                let parts = path.trim_matches('"').split('/');
                let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
                return Some(Chosen::Path(parts.join("/")));
            }
            let id = option.strip_prefix("subvolid=")?.trim_matches('"');
            Some(Chosen::Id(number(id)?))
        })?;
        match chosen {
            Chosen::Path(path) if path.is_empty() => None,
            // The kernel takes 0 for the top level.
            Chosen::Id(0 | 5) => None,
            chosen => Some(chosen),
        }
    }

    /// Whether it shows a directory that is there already at another place.
    #[must_use]
    pub fn is_bind(&self) -> bool {
        let options = self.options.iter();
        let mut names = options.map(|option| option.trim_start_matches("x-"));
        names.any(|name| name == "bind" || name == "rbind")
    }
}

impl From<&Entry> for MountLine {
    fn from(entry: &Entry) -> Self {
        Self {
            source: entry.source.clone(),
            at: entry.mount_point.clone(),
            fstype: entry.fstype.clone(),
            options: entry.options.clone(),
        }
    }
}

/// Decimal, octal or hexadecimal, as C writes it: the kernel takes each.
fn number(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16).ok();
    }
    match text.strip_prefix('0') {
        Some(digits) if !digits.is_empty() => u64::from_str_radix(digits, 8).ok(),
        _ => text.parse().ok(),
    }
}

/// The mount of a unit, from its texts: the unit first, then its drop-ins in their order
/// (systemd.mount(5)). `None` when none of them says what is mounted where.
#[must_use]
pub fn of_unit(texts: &[String]) -> Option<MountLine> {
    let mut line = MountLine::default();
    for text in texts {
        let mut is_mount = false;
        for assignment in text.replace("\\\n", " ").lines().map(str::trim) {
            if assignment.starts_with('[') {
                is_mount = assignment == "[Mount]";
            }
            let Some((key, value)) = assignment.split_once('=').filter(|_| is_mount) else {
                continue;
            };
            let value = value.trim().trim_matches('"');
            match key.trim() {
                "What" => line.source = unescaped(value),
                "Where" => line.at = unescaped(value),
                "Type" => value.clone_into(&mut line.fstype),
                "Options" if value.is_empty() => line.options.clear(),
                "Options" => line.options.extend(split(value)),
                _ => {}
            }
        }
    }
    (!line.source.is_empty() && !line.at.is_empty()).then_some(line)
}

fn split(options: &str) -> impl Iterator<Item = String> {
    mount_options::split(options).into_iter().map(str::to_owned)
}

/// systemd writes a blank as `\x20`, and `%` twice.
fn unescaped(value: &str) -> String {
    value.replace("%%", "%").replace("\\x20", " ")
}

/// A line of autofs's master map (auto.master(5)): where, which map, with which options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterLine {
    /// The directory below which its keys are mounted; `/-` for keys that are whole paths.
    pub at: String,
    /// The file of the map, as it is written there.
    pub map: String,
    /// Options of all its mounts.
    pub options: Vec<String>,
}

/// The lines of a master map that name a file.
#[must_use]
pub fn of_autofs_master(text: &str) -> Vec<MasterLine> {
    let mut lines = Vec::new();
    for line in autofs_lines(text) {
        let mut words = line.split_whitespace();
        let (Some(at), Some(map)) = (words.next(), words.next()) else {
            continue;
        };
        let map = map.rsplit(':').next().unwrap_or(map);
        if at.starts_with('/') && !map.starts_with('-') {
            lines.push(MasterLine {
                at: at.to_owned(),
                map: map.to_owned(),
                options: words.filter_map(autofs_options).flatten().collect(),
            });
        }
    }
    lines
}

/// The mounts of local devices in a map of autofs (autofs(5)), for this line of the master map.
#[must_use]
pub fn of_autofs_map(text: &str, master: &MasterLine) -> Vec<MountLine> {
    let mut mounts = Vec::new();
    for line in autofs_lines(text) {
        let mut words = line.split_whitespace();
        let Some(key) = words.next() else { continue };
        let mut options = master.options.clone();
        for word in words {
            if let Some(own) = autofs_options(word) {
                options.extend(own);
            }
            let Some(device) = word.strip_prefix(':').filter(|path| path.starts_with('/')) else {
                continue;
            };
            let fstype = options.iter().find_map(|one| one.strip_prefix("fstype="));
            mounts.push(MountLine {
                source: device.to_owned(),
                at: match key.starts_with('/') {
                    true => key.to_owned(),
                    false => format!("{}/{key}", master.at.trim_end_matches('/')),
                },
                fstype: fstype.unwrap_or_default().to_owned(),
                options: options.clone(),
            });
        }
    }
    mounts
}

fn autofs_lines(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(['#', '+']));
    lines.map(str::to_owned).collect()
}

fn autofs_options(word: &str) -> Option<Vec<String>> {
    Some(split(word.strip_prefix('-')?).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(options: &[&str]) -> MountLine {
        MountLine {
            options: options.iter().map(|one| (*one).to_owned()).collect(),
            ..MountLine::default()
        }
    }

    #[test]
    fn the_subvolume_of_mount_options() {
        let path = |path: &str| Some(Chosen::Path(path.into()));
        for (options, chosen) in [
            (&["noatime", "subvol=/data"][..], path("data")),
            (&["subvol=a//b/"], path("a/b")),
            (&["subvol=\"a,b\""], path("a,b")),
            (&["subvol=x", "subvol=y"], path("y")),
            (&["subvolid=257"], Some(Chosen::Id(257))),
            (&["subvolid=0x101"], Some(Chosen::Id(257))),
            (&["subvolid=0401"], Some(Chosen::Id(257))),
            (&["subvolid=5"], None),
            (&["subvolid=0"], None),
            (&["subvol=/"], None),
            (&["noatime"], None),
        ] {
            assert_eq!(with(options).subvolume(), chosen, "{options:?}");
        }
        assert!(with(&["bind"]).is_bind() && !with(&["x"]).is_bind());
    }

    #[test]
    fn a_mount_unit_with_a_drop_in() {
        let unit = "[Unit]\nWhat=no\n[Mount]\nWhat=/dev/disk/by-label/a\\x20b\nWhere=/srv/data\n\
                    Type=btrfs\nOptions=noatime,\\\nsubvol=old\n[Install]\nWantedBy=x\n";
        let drop_in = "[Mount]\nOptions=\nOptions=subvol=data\n";
        let line = of_unit(&[unit.into(), drop_in.into()]).unwrap();
        assert_eq!(line.source, "/dev/disk/by-label/a b");
        assert_eq!(
            (line.at.as_str(), line.fstype.as_str()),
            ("/srv/data", "btrfs")
        );
        assert_eq!(line.options, ["subvol=data"]);
        assert_eq!(of_unit(&["[Mount]\nWhere=/x\n".into()]), None);
        assert_eq!(of_unit(&[]), None);
    }

    #[test]
    fn maps_of_autofs() {
        let master = of_autofs_master(
            "# x\n/misc file:/etc/auto.misc --timeout=5 -noatime\n/net -hosts\n+auto.master\n/- auto.direct\n",
        );
        assert_eq!(master.len(), 2);
        assert_eq!(master[0].map, "/etc/auto.misc");
        let map =
            "data -fstype=btrfs,subvol=data \\\n  :/dev/sda2\ncd -ro :/dev/cdrom\nnfs host:/x\n";
        let lines = of_autofs_map(map, &master[0]);
        assert_eq!(lines.len(), 2);
        assert_eq!(
            (lines[0].source.as_str(), lines[0].at.as_str()),
            ("/dev/sda2", "/misc/data")
        );
        assert_eq!(lines[0].fstype, "btrfs");
        assert_eq!(lines[0].subvolume(), Some(Chosen::Path("data".into())));
        let direct = of_autofs_map("/srv/x -fstype=btrfs,subvolid=9 :/dev/sda2\n", &master[1]);
        assert_eq!(direct[0].at, "/srv/x");
    }
}
