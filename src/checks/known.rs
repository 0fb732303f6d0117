//! What many checks look at: each source is read once for all checks of one look.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::path::Path;

use super::names::Kind;
use super::{Error, Looker, services};
use crate::bootcfg::fstab::Fstab;
use crate::bootcfg::grub_config::{BootEntry, boot_entries, default_entry};
use crate::sys::network;

/// What was asked for already.
#[derive(Debug, Default)]
pub(super) struct Known {
    texts: [OnceCell<String>; 5],
    names: [OnceCell<Vec<String>>; 6],
    units: OnceCell<Vec<OsString>>,
    fstab: OnceCell<Fstab>,
    menu: OnceCell<Menu>,
    default_route: OnceCell<bool>,
}

/// Files that several checks read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    CommandLine,
    Filesystems,
    Memory,
    Users,
    Groups,
}

/// The menu of grub.cfg.
#[derive(Debug)]
pub(super) struct Menu {
    pub(super) entries: Vec<BootEntry>,
    default: Option<usize>,
}

impl Menu {
    fn of(text: &str) -> Self {
        let entries = boot_entries(text);
        let default = default_entry(text, &entries)
            .and_then(|found| entries.iter().position(|entry| std::ptr::eq(entry, found)));
        Self { entries, default }
    }

    /// The entry that boots when nobody chooses one.
    pub(super) fn default(&self) -> Option<&BootEntry> {
        self.entries.get(self.default?)
    }
}

/// A failure to read is not kept: the next check tries again.
fn once<'a, T>(cell: &'a OnceCell<T>, read: &dyn Fn() -> Result<T, Error>) -> Result<&'a T, Error> {
    if let Some(known) = cell.get() {
        return Ok(known);
    }
    let read = read()?;
    Ok(cell.get_or_init(|| read))
}

impl Looker<'_> {
    pub(super) fn text(&self, source: Source) -> Result<&str, Error> {
        let [command_line, memory, users, groups, filesystems] = &self.known.texts;
        let (cell, path) = match source {
            Source::CommandLine => (command_line, "proc/cmdline"),
            Source::Filesystems => (filesystems, "proc/filesystems"),
            Source::Memory => (memory, "proc/meminfo"),
            Source::Users => (users, "etc/passwd"),
            Source::Groups => (groups, "etc/group"),
        };
        let read = || Ok(self.context.system.read_text(Path::new(path))?);
        Ok(once(cell, &read)?)
    }

    pub(super) fn names(&self, kind: Kind) -> Result<&[String], Error> {
        let [filesystems, ports, processes, users, groups, packages] = &self.known.names;
        let cell = match kind {
            Kind::Filesystem => filesystems,
            Kind::Port => ports,
            Kind::Process => processes,
            Kind::User => users,
            Kind::Group => groups,
            Kind::Package => packages,
        };
        Ok(once(cell, &|| kind.read(self))?)
    }

    /// The units that systemd can find.
    pub(super) fn units(&self) -> Result<&[OsString], Error> {
        Ok(once(&self.known.units, &|| {
            services::units(self.context.system)
        })?)
    }

    /// The system's fstab; none is an empty one.
    pub(super) fn fstab(&self) -> Result<&Fstab, Error> {
        once(
            &self.known.fstab,
            &|| match self.context.system.read_text(Path::new("etc/fstab")) {
                Ok(text) => Ok(Fstab::parse(&text)),
                Err(error) if error.is_not_found() => Ok(Fstab::parse("")),
                Err(error) => Err(error.into()),
            },
        )
    }

    pub(super) fn boot_menu(&self) -> Result<&Menu, Error> {
        once(&self.known.menu, &|| {
            let path = Path::new("boot/grub/grub.cfg");
            Ok(Menu::of(&self.context.system.read_text(path)?))
        })
    }

    pub(super) fn has_default_route(&self) -> Result<bool, Error> {
        let found = once(&self.known.default_route, &|| {
            let proc = self.context.system.within(Path::new("proc"))?;
            Ok(network::has_default_route(&proc)?)
        });
        found.copied()
    }
}
