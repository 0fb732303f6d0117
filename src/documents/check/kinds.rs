//! A check as JSON: an object with one key, its kind, and the kind's parameters in it.

use std::fmt;
use std::mem::discriminant;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::{CheckSpec, Size};
use crate::documents::record::{Fill, Record, Shown};

/// Names, and what each is with nothing asked.
macro_rules! kinds {
    ($($name:literal $blank:expr;)*) => {
        /// The kinds by the names that documents use.
        pub(super) const KINDS: &[&str] = &[$($name),*];
        const BLANKS: &[fn() -> CheckSpec] = &[$(|| $blank),*];
    };
}

kinds! {
    "flat-btrfs-root" CheckSpec::FlatBtrfsRoot {};
    "names-free" CheckSpec::NamesFree {};
    "nested-subvolumes" CheckSpec::NestedSubvolumes {};
    "free-space" CheckSpec::FreeSpace(Default::default());
    "device-statistics" CheckSpec::DeviceStatistics(Default::default());
    "no-hibernation-image" CheckSpec::NoHibernationImage {};
    "nothing-immutable" CheckSpec::NothingImmutable {};
    "no-straddling-links" CheckSpec::NoStraddlingLinks {};
    "no-swap-file" CheckSpec::NoSwapFile {};
    "boot-loader" CheckSpec::BootLoader {};
    "initramfs-tools" CheckSpec::InitramfsTools {};
    "commands" CheckSpec::Commands(Default::default());
    "kernel-filesystems" CheckSpec::KernelFilesystems(Default::default());
    "memory" CheckSpec::Memory { minimum: Size(0) };
    "boot-chain" CheckSpec::BootChain {};
    "fstab-names-layout" CheckSpec::FstabNamesLayout {};
    "subvolumes-in-place" CheckSpec::SubvolumesInPlace {};
    "layout-mounted" CheckSpec::LayoutMounted {};
    "root-flags" CheckSpec::RootFlags {};
    "mount" CheckSpec::Mount(Default::default());
    "filesystem" CheckSpec::Filesystem(Default::default());
    "fstab-entry" CheckSpec::FstabEntry(Default::default());
    "subvolume" CheckSpec::Subvolume(Default::default());
    "property" CheckSpec::Property(Default::default());
    "file" CheckSpec::File(Default::default());
    "grub-entry" CheckSpec::GrubEntry(Default::default());
    "kernel-command-line" CheckSpec::KernelCommandLine(Default::default());
    "initramfs" CheckSpec::Initramfs(Default::default());
    "service" CheckSpec::Service(Default::default());
    "no-failed-units" CheckSpec::NoFailedUnits {};
    "socket" CheckSpec::Socket(Default::default());
    "ports" CheckSpec::Ports(Default::default());
    "processes" CheckSpec::Processes(Default::default());
    "users" CheckSpec::Users(Default::default());
    "groups" CheckSpec::Groups(Default::default());
    "packages" CheckSpec::Packages(Default::default());
    "kernel-parameter" CheckSpec::KernelParameter(Default::default());
    "network" CheckSpec::Network {};
    "command-output" CheckSpec::CommandOutput(Default::default());
    "docker-storage" CheckSpec::DockerStorage {};
}

impl CheckSpec {
    /// The names of all kinds.
    #[must_use]
    pub fn kinds() -> &'static [&'static str] {
        KINDS
    }

    /// The kind's name in documents.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        let mut known = KINDS.iter().zip(BLANKS);
        let own = known.find(|(_, blank)| discriminant(&blank()) == discriminant(self));
        own.map_or("", |(name, _)| name)
    }

    /// Its parameters, if it has any.
    fn record(&mut self) -> Option<&mut dyn Record> {
        Some(match self {
            Self::FreeSpace(asked) => asked,
            Self::DeviceStatistics(asked) => asked,
            Self::Memory { minimum } => minimum,
            Self::Commands(asked)
            | Self::KernelFilesystems(asked)
            | Self::Ports(asked)
            | Self::Processes(asked)
            | Self::Users(asked)
            | Self::Groups(asked)
            | Self::Packages(asked) => asked,
            Self::Mount(asked) | Self::Filesystem(asked) | Self::FstabEntry(asked) => asked,
            Self::Subvolume(asked) | Self::Property(asked) => asked,
            Self::File(asked) => asked,
            Self::GrubEntry(asked) | Self::KernelCommandLine(asked) | Self::Initramfs(asked) => {
                asked
            }
            Self::Service(asked) => asked,
            Self::Socket(asked) => asked,
            Self::KernelParameter(asked) => asked,
            Self::CommandOutput(asked) => asked,
            _ => return None,
        })
    }
}

impl<'de> Deserialize<'de> for CheckSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CheckVisitor)
    }
}

impl Serialize for CheckSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut check = self.clone();
        let mut map = serializer.serialize_map(Some(1))?;
        match check.record() {
            Some(parameters) => map.serialize_entry(self.kind(), &Shown::of(parameters))?,
            None => map.serialize_entry(self.kind(), &Shown::of(&mut Nothing))?,
        }
        map.end()
    }
}

struct CheckVisitor;

impl<'de> Visitor<'de> for CheckVisitor {
    type Value = CheckSpec;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object with one key, the kind of the check")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<CheckSpec, A::Error> {
        let one = "a check has one key, its kind";
        let Some(mut check) = map.next_key_seed(KindName)? else {
            return Err(A::Error::custom(one));
        };
        match check.record() {
            Some(parameters) => map.next_value_seed(Fill(parameters))?,
            None => map.next_value_seed(Fill(&mut Nothing))?,
        }
        match map.next_key_seed(KindName)? {
            None => Ok(check),
            Some(_) => Err(A::Error::custom(one)),
        }
    }
}

/// The kind, with nothing asked yet.
struct KindName;

impl<'de> DeserializeSeed<'de> for KindName {
    type Value = CheckSpec;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<CheckSpec, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KindName {
    type Value = CheckSpec;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the kind of a check")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<CheckSpec, E> {
        let mut known = KINDS.iter().zip(BLANKS);
        let found = known.find(|(name, _)| **name == text);
        let (_, blank) = found.ok_or_else(|| E::unknown_variant(text, KINDS))?;
        Ok(blank())
    }
}

/// A kind without parameters.
struct Nothing;

impl Record for Nothing {
    fn keys(&self) -> &'static [&'static str] {
        &[]
    }

    fn required(&self) -> usize {
        0
    }

    fn slot(&mut self, _index: usize) -> Option<crate::documents::record::Slot<'_>> {
        None
    }
}
