//! Paths as GRUB takes them: with or without a device in front.

/// `/boot/…`, or one of the links that Debian keeps in `/`.
pub(super) fn is_boot_path(path: &str) -> bool {
    path.starts_with("/boot/")
        || ["/vmlinuz", "/vmlinuz.old", "/initrd.img", "/initrd.img.old"].contains(&path)
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// `$root`: named or left out.
    Root,
    /// A disk by name, which may or may not be ours.
    Named,
    /// Not an absolute path at all.
    None,
}

pub(super) struct Path<'a> {
    pub device: Device,
    pub path: &'a str,
}

impl<'a> Path<'a> {
    /// Takes `(device)/path` apart.
    pub(super) fn of(value: &'a str) -> Self {
        let (device, path) = match value.strip_prefix('(').and_then(|v| v.split_once(')')) {
            Some(("$root" | "${root}", path)) => (Device::Root, path),
            Some((_, path)) => (Device::Named, path),
            None => (Device::Root, value),
        };
        let device = if path.starts_with('/') {
            device
        } else {
            Device::None
        };
        Self { device, path }
    }
}

/// The rest of a path that is below a subvolume, with its slash.
pub(super) fn below<'p>(path: &'p str, subvolume: &str) -> Option<&'p str> {
    let rest = path.strip_prefix('/')?.strip_prefix(subvolume)?;
    rest.starts_with('/').then_some(rest)
}
