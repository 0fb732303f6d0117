//! How a file system of the layout comes to be that is no btrfs yet.

use serde::{Deserialize, Serialize};

use super::viscript::RiskLevel;

/// How a btrfs of the layout comes to be, where something else is mounted today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Origin {
    /// An ext4 is turned into btrfs in its place, by btrfs-convert; it keeps its UUID.
    Convert {
        /// A remark for people; it has no effect.
        #[serde(rename = "$comment", default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
        /// The ext4 that is mounted there today: `UUID=…`, or a device, as `/dev/sda2`.
        #[cfg_attr(feature = "schema", schemars(regex(pattern = DEVICE)))]
        filesystem: String,
    },
    /// The files of an ext4 are copied to another btrfs, which is mounted there from then on.
    Copy {
        /// A remark for people; it has no effect.
        #[serde(rename = "$comment", default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
        /// The ext4 that is mounted there today: `UUID=…`, or a device, as `/dev/sda2`.
        #[cfg_attr(feature = "schema", schemars(regex(pattern = DEVICE)))]
        filesystem: String,
        /// The empty btrfs that takes them: `UUID=…`, or a device, as `/dev/sdb1`.
        #[cfg_attr(feature = "schema", schemars(regex(pattern = DEVICE)))]
        target: String,
    },
}

/// What [`is_device`] takes, as the schema says it.
#[cfg(feature = "schema")]
const DEVICE: &str = r"^(UUID=[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|/dev(/(?!\.{1,2}(/|$))[A-Za-z0-9_.:+@-]+)+)$";

impl Origin {
    /// What it is made of.
    #[must_use]
    pub fn filesystem(&self) -> &str {
        match self {
            Self::Convert { filesystem, .. } | Self::Copy { filesystem, .. } => filesystem,
        }
    }

    /// The other btrfs, where there is one.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Convert { .. } => None,
            Self::Copy { target, .. } => Some(target),
        }
    }

    /// Both of them.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        [self.filesystem()].into_iter().chain(self.target())
    }

    /// How much is at stake, on the one scale (docs/documents.md): what is copied stays.
    #[must_use]
    pub fn risk(&self) -> RiskLevel {
        match self {
            Self::Convert { .. } => RiskLevel::Critical,
            Self::Copy { .. } => RiskLevel::High,
        }
    }

    /// Programs that it takes.
    #[must_use]
    pub fn commands(&self) -> &'static [&'static str] {
        match self {
            Self::Convert { .. } => &["btrfs-convert"],
            Self::Copy { .. } => &[],
        }
    }

    /// As documents write it.
    #[must_use]
    pub fn way(&self) -> &'static str {
        match self {
            Self::Convert { .. } => "convert",
            Self::Copy { .. } => "copy",
        }
    }

    /// What is wrong with its names: where, and the problem.
    pub(super) fn problem(&self) -> Option<(String, String)> {
        let (filesystem, target) = (self.filesystem(), self.target());
        let at = |key: &str| format!("{}.{key}", self.way());
        if let Some(problem) = bad_device(filesystem) {
            return Some((at("filesystem"), problem));
        }
        if let Some(problem) = target.and_then(bad_device) {
            return Some((at("target"), problem));
        }
        if target.is_some_and(|target| target.eq_ignore_ascii_case(filesystem)) {
            let problem =
                "it would be copied onto itself; name another file system, or \"convert\"";
            return Some((at("target"), problem.to_owned()));
        }
        None
    }
}

fn bad_device(name: &str) -> Option<String> {
    (!is_device(name)).then(|| {
        format!("\"{name}\" names no file system: write UUID=… (lsblk -f lists them) or /dev/…")
    })
}

/// `UUID=…` or the path of a device.
#[must_use]
pub fn is_device(name: &str) -> bool {
    if let Some(uuid) = name.strip_prefix("UUID=") {
        let lengths = uuid.split('-').map(str::len);
        let digit = |c: char| c == '-' || c.is_ascii_hexdigit();
        return lengths.eq([8, 4, 4, 4, 12]) && uuid.chars().all(digit);
    }
    let plain = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_.:+@-".contains(c);
        !["", ".", ".."].contains(&part) && part.chars().all(allowed)
    };
    let parts = name.strip_prefix("/dev/").map(|path| path.split('/'));
    parts.is_some_and(|mut parts| parts.all(plain))
}

#[cfg(test)]
mod tests {
    use super::{Origin, is_device};

    #[test]
    fn file_systems_are_named_by_uuid_or_by_device() {
        for name in [
            "UUID=5a1f3c0e-9d2b-4c7e-8f60-0123456789ab",
            "UUID=5A1F3C0E-9D2B-4C7E-8F60-0123456789AB",
            "/dev/sda2",
            "/dev/disk/by-id/nvme-eui.0025_38-part2",
            "/dev/mapper/vg-root",
        ] {
            assert!(is_device(name), "{name}");
        }
        for name in [
            "",
            "UUID=",
            "UUID=5a1f3c0e",
            "UUID=5a1f3c0e-9d2b-4c7e-8f60-0123456789ag",
            "UUID=5a1f3c0e9d2b4c7e8f600123456789ab",
            "LABEL=root",
            "sda2",
            "/dev",
            "/dev/",
            "/dev//sda",
            "/dev/../etc/passwd",
            "/dev/sda 2",
            "/home/disk.img",
        ] {
            assert!(!is_device(name), "{name}");
        }
    }

    #[test]
    fn a_copy_onto_itself_is_found() {
        let copy = |target: &str| Origin::Copy {
            comment: None,
            filesystem: "UUID=5a1f3c0e-9d2b-4c7e-8f60-0123456789ab".into(),
            target: target.into(),
        };
        let said = copy("UUID=5A1F3C0E-9D2B-4C7E-8F60-0123456789AB").problem();
        assert!(said.unwrap().1.contains("copied onto itself"));
        assert_eq!(copy("sdb").problem().unwrap().0, "copy.target");
        assert_eq!(copy("/dev/sdb1").problem(), None);
    }
}
