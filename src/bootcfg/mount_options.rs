//! Comma-separated mount options, and which of them only ext file systems know.

use super::Error;
use crate::sys::sorted;

/// Options without a value that btrfs refuses and ext2, ext3 or ext4 take (fs/ext4/super.c); a
/// root line with one of them stays mounted read-only (facts boot.md D8). Each was tried against
/// btrfs on Linux 6.18: all of these fail, while acl, noacl, barrier, nobarrier, discard,
/// nodiscard, iversion, lazytime and nolazytime are taken and are therefore absent.
const EXT_FLAGS: &[&str] = &[
    "abort",
    "auto_da_alloc",
    "bh",
    "block_validity",
    "bsddf",
    "bsdgroups",
    "dax",
    "debug",
    "delalloc",
    "dioread_lock",
    "dioread_nolock",
    "fast_commit",
    "grpid",
    "grpquota",
    "i_version",
    "init_itable",
    "inlinecrypt",
    "journal_async_commit",
    "journal_checksum",
    "lockd",
    "mblk_io_submit",
    "minixdf",
    "no_mbcache",
    "no_prefetch_block_bitmaps",
    "noauto_da_alloc",
    "nobh",
    "noblock_validity",
    "nocheck",
    "nodelalloc",
    "nogrpid",
    "noi_version",
    "noinit_itable",
    "nojournal_checksum",
    "noload",
    "nombcache",
    "nomblk_io_submit",
    "noquota",
    "norecovery",
    "noreservation",
    "nouid32",
    "nouser_xattr",
    "nowarn_on_error",
    "oldalloc",
    "orlov",
    "prefetch_block_bitmaps",
    "prjquota",
    "quota",
    "reservation",
    "sysvgroups",
    "test_dummy_encryption",
    "user_xattr",
    "usrquota",
    "warn_on_error",
];

/// The same for options with a value. `barrier=1` fails though `barrier` does not.
const EXT_SETTINGS: &[&str] = &[
    "barrier",
    "check",
    "data",
    "data_err",
    "dax",
    "errors",
    "grpjquota",
    "grpquota",
    "init_itable",
    "inode_readahead_blks",
    "journal",
    "journal_dev",
    "journal_ioprio",
    "journal_path",
    "jqfmt",
    "max_batch_time",
    "max_dir_size_kb",
    "mb_optimize_scan",
    "min_batch_time",
    "resgid",
    "resuid",
    "sb",
    "stripe",
    "test_dummy_encryption",
    "usrjquota",
    "usrquota",
];

/// Whether the option means something to ext2, ext3 or ext4 and makes a btrfs mount fail.
pub(super) fn is_ext_only(option: &str) -> bool {
    match option.split_once('=') {
        Some((name, _)) => EXT_SETTINGS.contains(&name),
        None => EXT_FLAGS.contains(&option),
    }
}

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

/// Splits at commas, but not inside double quotes, as libmount does (SELinux contexts hold commas).
/// Empty options vanish.
pub(super) fn split(options: &str) -> Vec<&str> {
    let mut quoted = false;
    let at_comma = |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    };
    options
        .split(at_comma)
        .filter(|option| !option.is_empty())
        .collect()
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
    fn quotes_protect_commas() {
        let options = "rw,context=\"a:c1,c2\",,noatime,";
        assert_eq!(split(options), ["rw", "context=\"a:c1,c2\"", "noatime"]);
    }

    #[test]
    fn ext_only_options_are_told_from_those_that_btrfs_takes() {
        let refused = "errors=remount-ro data=ordered barrier=1 user_xattr usrquota nodelalloc \
                       journal_checksum stripe=32 noauto_da_alloc init_itable=10";
        for option in refused.split_whitespace() {
            assert!(is_ext_only(option), "{option}");
        }
        let taken = "acl barrier nobarrier commit=5 discard noatime nodiratime lazytime \
                     compress=zstd x-data=1 defaults subvol=data";
        for option in taken.split_whitespace() {
            assert!(!is_ext_only(option), "{option}");
        }
    }

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
