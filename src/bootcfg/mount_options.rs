//! Comma-separated mount options, as fstab and kernel command lines have them.

use super::Error;
pub(super) use crate::documents::mount_options::{is_ext_only, split};
use crate::sys::sorted;

/// Whether the option chooses a subvolume.
pub(super) fn is_subvolume(option: &str) -> bool {
    option.starts_with("subvol=") || option.starts_with("subvolid=")
}

/// Whether every double quote is closed.
pub(super) fn is_balanced(options: &str) -> bool {
    options.matches('"').count().is_multiple_of(2)
}

/// Whether a layout may ask for the option: no subvolume of its own, no quote left open.
pub(super) fn is_usable(option: &str) -> bool {
    is_balanced(option) && !split(option).into_iter().any(is_subvolume)
}

/// The options with `subvol=<subvolume>` as the only choice of a subvolume, at the front, and the
/// rest in order, without ext-only options and repetitions.
pub(super) fn with_subvolume_first<'a>(
    existing: impl IntoIterator<Item = &'a str>,
    subvolume: &str,
) -> String {
    let mut result = format!("subvol={subvolume}");
    for option in unique(
        existing
            .into_iter()
            .filter(|o| !is_subvolume(o) && !is_ext_only(o)),
    ) {
        result.push(',');
        result.push_str(option);
    }
    result
}

/// The options without repetitions, each where it stood first.
pub(super) fn unique<'a>(options: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let numbered = options.into_iter().enumerate();
    let mut options = sorted(numbered.map(|(at, option)| (option, at)).collect());
    options.dedup_by_key(|(option, _)| *option);
    let in_place = options.into_iter().map(|(option, at)| (at, option));
    let in_place = sorted(in_place.collect()).into_iter();
    in_place.map(|(_, option)| option).collect()
}

/// Refuses names for a root subvolume that a kernel command line, GRUB or a shell would read as
/// something else. A comma cannot be expressed in mount options at all (facts boot.md T48).
pub(super) fn check_root_subvolume(name: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@_-.+:~/".contains(c);
    let reason = if name.trim_matches('/').is_empty() {
        "it is empty"
    } else if !name.chars().all(plain) {
        "only ASCII letters, digits and @ _ - . + : ~ / are safe there"
    } else if name.starts_with('/') || name.ends_with('/') {
        "it starts or ends with a slash"
    } else {
        return Ok(());
    };
    Err(Error::SubvolumeName {
        name: name.to_owned(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_need_quoting_are_refused() {
        for name in ["@", "@rootfs", "system/current", "a.b-c+d~1"] {
            assert_eq!(check_root_subvolume(name), Ok(()), "{name}");
        }
        for name in ["", "/", "a,b", "a b", "/@", "@/", "@'", "$x", "über", "a\n"] {
            assert!(check_root_subvolume(name).is_err(), "{name:?}");
        }
    }
}
