//! What EFI's variables tell of the program that started this kernel.

use std::path::{Path, PathBuf};

use crate::sys::Root;

const VARIABLES: &str = "sys/firmware/efi/efivars";
/// The vendor of the firmware's own variables (UEFI specification 3.3).
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// The vendor of those that boot loaders leave (systemd's Boot Loader Interface).
const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// Every variable's file begins with its attributes.
const ATTRIBUTES: usize = 4;
/// A node of a device path that is a file's path: its type and subtype.
const FILE_PATH: [u8; 2] = [4, 4];

/// Whether the machine was started by EFI.
#[must_use]
pub fn is_efi(system: &Root) -> bool {
    matches!(system.exists(Path::new("sys/firmware/efi")), Ok(true))
}

/// The name that the last loader gave itself, as `systemd-boot 257`; a unified kernel image gives
/// its stub's. None where none told.
#[must_use]
pub fn loader_name(system: &Root) -> Option<String> {
    let told = |name| {
        let text = utf16(&variable(system, name, LOADER)?);
        (!text.is_empty()).then_some(text)
    };
    told("LoaderInfo").or_else(|| told("StubInfo"))
}

/// The program that the firmware started, relative to the EFI system partition, as
/// `EFI/debian/shimx64.efi`.
#[must_use]
pub fn started_program(system: &Root) -> Option<PathBuf> {
    let path = file_path(&variable(system, &current_entry(system)?, GLOBAL)?)?;
    Some(PathBuf::from(
        path.trim_start_matches('\\').replace('\\', "/"),
    ))
}

/// The variables by which the firmware chooses what it starts, as far as they can be read: each as
/// its file and its value.
#[must_use]
pub(super) fn choices(system: &Root) -> Vec<(PathBuf, Vec<u8>)> {
    let current = current_entry(system);
    let names = ["BootOrder"].into_iter().chain(current.as_deref());
    let read = |name: &str| Some((file_of(name, GLOBAL), variable(system, name, GLOBAL)?));
    names.filter_map(read).collect()
}

/// The variable of the entry that this boot came by.
fn current_entry(system: &Root) -> Option<String> {
    let current = variable(system, "BootCurrent", GLOBAL)?;
    let [low, high] = current.as_slice() else {
        return None;
    };
    Some(format!("Boot{:04X}", u16::from_le_bytes([*low, *high])))
}

fn file_of(name: &str, vendor: &str) -> PathBuf {
    Path::new(VARIABLES).join(format!("{name}-{vendor}"))
}

fn variable(system: &Root, name: &str, vendor: &str) -> Option<Vec<u8>> {
    let bytes = system.read(&file_of(name, vendor)).ok()?;
    bytes.get(ATTRIBUTES..).map(<[u8]>::to_vec)
}

/// Of a load option: attributes (4 bytes), the length of its device path (2), its description up
/// to a zero, the device path.
fn file_path(option: &[u8]) -> Option<String> {
    let mut description = option.get(6..)?.chunks_exact(2);
    let length = description.position(|unit| unit == [0, 0])?;
    let mut nodes = option.get(6 + 2 * (length + 1)..)?;
    loop {
        let [kind, subtype, low, high, ..] = nodes else {
            return None;
        };
        let size = usize::from(u16::from_le_bytes([*low, *high]));
        if [*kind, *subtype] == FILE_PATH {
            return Some(utf16(nodes.get(4..size)?));
        }
        nodes = nodes.get(size.max(4)..)?;
    }
}

/// Up to the first zero.
fn utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|unit| match unit {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    });
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
pub(super) mod tests {
    use super::{ATTRIBUTES, GLOBAL, LOADER, VARIABLES, loader_name, started_program};
    use crate::sys::Root;
    use std::fs;
    use std::path::Path;

    fn units(text: &str) -> Vec<u8> {
        let units = text.encode_utf16().chain([0]);
        units.flat_map(u16::to_le_bytes).collect()
    }

    fn set(folder: &Path, name: &str, vendor: &str, value: &[u8]) {
        let folder = folder.join(VARIABLES);
        fs::create_dir_all(&folder).unwrap();
        let bytes = [&[6; ATTRIBUTES], value].concat();
        fs::write(folder.join(format!("{name}-{vendor}")), bytes).unwrap();
    }

    /// As if a loader of this name had run.
    pub(in crate::bootchain) fn name_loader(folder: &Path, name: &str) {
        set(folder, "LoaderInfo", LOADER, &units(name));
    }

    /// As if the firmware had started this program.
    pub(in crate::bootchain) fn start(folder: &Path, program: &str) {
        set(folder, "BootCurrent", GLOBAL, &[0x0a, 0]);
        let path = units(program);
        let size = u8::try_from(path.len() + 4).unwrap();
        // A partition, the file, the end.
        let partition = [&[4, 1, 42, 0][..], &[9; 38]].concat();
        let nodes = [&partition[..], &[4, 4, size, 0], &path, &[0x7f, 0xff, 4, 0]].concat();
        let option = [&[1, 0, 0, 0, 0, 0][..], &units("debian"), &nodes].concat();
        set(folder, "Boot000A", GLOBAL, &option);
    }

    #[test]
    fn the_firmware_tells_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let system = Root::open(folder.path()).unwrap();
        assert_eq!(
            (loader_name(&system), started_program(&system)),
            (None, None)
        );
        name_loader(folder.path(), "systemd-boot 257.9");
        start(folder.path(), "\\EFI\\debian\\shimx64.efi");
        assert_eq!(loader_name(&system).as_deref(), Some("systemd-boot 257.9"));
        let started = started_program(&system).unwrap();
        assert_eq!(started, Path::new("EFI/debian/shimx64.efi"));
        set(folder.path(), "Boot000A", GLOBAL, &[1, 0, 0]);
        assert_eq!(started_program(&system), None);
    }
}
