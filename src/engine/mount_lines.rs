//! Everything on this machine that says what is to be mounted where: fstab, mount units, autofs; and
//! what is mounted now, in every mount namespace.

use std::path::{Path, PathBuf};

use super::Error;
use crate::bootcfg::fstab::Fstab;
use crate::bootcfg::mount_line::{MasterLine, MountLine, of_autofs_map, of_autofs_master, of_unit};
use crate::sys::Root;
use crate::sys::mount::{Mount, parse_mountinfo};

const FSTAB: &str = "etc/fstab";
/// Where systemd looks for units (systemd.unit(5)); the generators' output as well.
const UNITS: [&str; 10] = [
    "etc/systemd/system",
    "etc/systemd/system.control",
    "run/systemd/system",
    "run/systemd/system.control",
    "run/systemd/transient",
    "run/systemd/generator",
    "run/systemd/generator.early",
    "run/systemd/generator.late",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
];
const EXECUTABLE: u32 = 0o111;

/// A wish to mount something, and who has it.
#[derive(Debug, Clone)]
pub(super) struct Named {
    /// As `/etc/fstab, line 4`.
    pub by: String,
    /// What and where.
    pub line: MountLine,
}

/// What is mounted now by somebody who may mount a subvolume by its name.
#[derive(Debug, Clone)]
pub(super) struct Live {
    /// Whether it is seen by the whole system, not in a service's own namespace alone.
    pub everywhere: bool,
    /// The mount.
    pub mount: Mount,
}

/// Everything that names a file system or a subvolume.
#[derive(Debug, Clone, Default)]
pub struct Mounting {
    pub(super) lines: Vec<Named>,
    pub(super) live: Vec<Live>,
}

impl Mounting {
    /// What the files of this system say; nothing of what is mounted now.
    ///
    /// # Errors
    /// When fstab or a folder of units is there and can't be read.
    pub fn of_files(system: &Root) -> Result<Self, Error> {
        let mut lines = of_fstab(system)?;
        lines.extend(of_units(system)?);
        lines.extend(of_autofs(system)?);
        let live = Vec::new();
        Ok(Self { lines, live })
    }

    /// The same with what is mounted now, by this process's /proc.
    ///
    /// # Errors
    /// When a file is there and can't be read.
    pub fn of_running(system: &Root) -> Result<Self, Error> {
        let live = live(&Root::open(Path::new("/"))?);
        let lines = Self::of_files(system)?.lines;
        Ok(Self { lines, live })
    }

    /// Whether something of the files mounts something here, or above it inside of `base`.
    pub(super) fn covers(&self, base: &str, place: &str) -> bool {
        let mut lines = self.lines.iter().map(|named| Path::new(&named.line.at));
        let deeper = |at: &Path| at.starts_with(base) && at != Path::new(base);
        lines.any(|at| deeper(at) && Path::new(place).starts_with(at))
    }
}

fn of_fstab(system: &Root) -> Result<Vec<Named>, Error> {
    let text = match system.read_text(Path::new(FSTAB)) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        read => read?,
    };
    let fstab = Fstab::parse(&text);
    let named = fstab.entries().map(|entry| Named {
        by: format!("/{FSTAB}, line {}", entry.line),
        line: entry.into(),
    });
    Ok(named.collect())
}

fn of_units(system: &Root) -> Result<Vec<Named>, Error> {
    let mut units: Vec<(String, PathBuf)> = Vec::new();
    let mut drop_ins: Vec<(String, PathBuf)> = Vec::new();
    for folder in UNITS.map(Path::new) {
        for name in names(system, folder)? {
            let path = folder.join(&name);
            if name.ends_with(".mount") {
                units.push((name, path));
            } else if let Some(unit) = name.strip_suffix(".d").filter(|of| of.ends_with(".mount")) {
                let inside = names(system, &path)?.into_iter();
                let inside = inside.filter(|one| one.ends_with(".conf"));
                drop_ins.extend(inside.map(|one| (unit.to_owned(), path.join(one))));
            }
        }
    }
    let mut found = Vec::new();
    for (name, path) in units {
        let own = drop_ins.iter().filter(|(of, _)| *of == name);
        let paths = std::iter::once(&path).chain(own.map(|(_, path)| path));
        let texts: Vec<String> = paths.filter_map(|path| text(system, path)).collect();
        if let Some(line) = of_unit(&texts) {
            let by = format!("/{}", path.display());
            found.push(Named { by, line });
        }
    }
    Ok(found)
}

/// Every map beside the master one too: programs and scripts name some by hand.
fn of_autofs(system: &Root) -> Result<Vec<Named>, Error> {
    let etc = Path::new("etc");
    let mut masters = vec![etc.join("auto.master")];
    let more = etc.join("auto.master.d");
    masters.extend(
        names(system, &more)?
            .into_iter()
            .map(|name| more.join(name)),
    );
    let texts = masters.iter().filter_map(|path| text(system, path));
    let mut lines: Vec<MasterLine> = texts.flat_map(|text| of_autofs_master(&text)).collect();
    for name in names(system, etc)? {
        let known = |line: &MasterLine| line.map.trim_start_matches("/etc/") == name;
        if name.starts_with("auto.") && name != "auto.master" && !lines.iter().any(known) {
            lines.push(MasterLine {
                at: "autofs".into(),
                map: name,
                options: Vec::new(),
            });
        }
    }
    let mut found = Vec::new();
    for line in &lines {
        let path = etc.join(&line.map);
        let mounts = text(system, &path).map(|text| of_autofs_map(&text, line));
        let by = format!("/{}", path.strip_prefix("/").unwrap_or(&path).display());
        found.extend(mounts.into_iter().flatten().map(|line| Named {
            by: by.clone(),
            line,
        }));
    }
    Ok(found)
}

/// The names in a folder that are text; none where there is no such folder.
fn names(system: &Root, folder: &Path) -> Result<Vec<String>, Error> {
    let status = system.resolved_status(folder)?;
    if !status.is_some_and(|status| status.is_directory()) {
        return Ok(Vec::new());
    }
    let names = system.list(folder)?.into_iter();
    Ok(names.filter_map(|name| name.into_string().ok()).collect())
}

/// What a file says; nothing where it is masked, gone, or a program that would have to be asked.
fn text(system: &Root, path: &Path) -> Option<String> {
    let status = system.resolved_status(path).ok().flatten()?;
    let is_program = status.mode & EXECUTABLE != 0 && path.starts_with("etc");
    if !status.is_file() || (is_program && path.extension().is_none_or(|end| end != "mount")) {
        return None;
    }
    let bytes = system.read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The mounts of every namespace in which somebody can mount a device: not of those that a user
/// has made for himself, who can only show what he sees already at another place.
fn live(machine: &Root) -> Vec<Live> {
    let link = |process: &Path, name: &str| machine.read_link(&process.join(name)).ok();
    let own = Path::new("proc/self");
    let users = link(own, "ns/user");
    let mut found = Vec::new();
    let mut seen = Vec::new();
    for (process, everywhere) in processes(machine) {
        let namespace = link(&process, "ns/mnt");
        let private = link(&process, "ns/user") != users;
        if namespace.is_none() || private || seen.contains(&namespace) {
            continue;
        }
        seen.push(namespace);
        // It may have ended.
        let text = machine.read(&process.join("mountinfo")).unwrap_or_default();
        let mounts = parse_mountinfo(&text).into_iter();
        found.extend(mounts.map(|mount| Live { everywhere, mount }));
    }
    found
}

/// This one and the first one see what the system sees.
fn processes(machine: &Root) -> Vec<(PathBuf, bool)> {
    let folder = Path::new("proc");
    let mut processes = vec![(folder.join("self"), true), (folder.join("1"), true)];
    for name in machine.list(folder).unwrap_or_default() {
        let number = name.to_string_lossy();
        if number.bytes().all(|byte| byte.is_ascii_digit()) {
            processes.push((folder.join(&name), false));
        }
    }
    processes
}
