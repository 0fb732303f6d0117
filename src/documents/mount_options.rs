//! Mount options: which of them btrfs takes, which are the mount program's own, and which only ext
//! file systems know.

use super::parse::nearest;

/// Who reads an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The mount program, systemd, and whoever else reads fstab; the kernel never sees it.
    Fstab,
    /// The kernel, for every file system alike.
    Kernel,
    /// A security module, where one is loaded.
    Security,
    /// btrfs.
    Btrfs,
}

/// What may stand after the `=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// Nothing: it has no `=`.
    No,
    /// Anything at all, or nothing.
    Free,
    /// Something.
    Some,
    /// A number.
    Number,
    /// A number of bytes, as `2k`.
    Size,
    /// One of these.
    Words(&'static [&'static str]),
    /// One of these, or nothing.
    MaybeWords(&'static [&'static str]),
    /// A kind of compression, with a level or not.
    Compression,
}

/// All that btrfs takes today (each was tried on Linux 6.18; btrfs(5)) and mount(8) knows.
const KNOWN: &[(&str, Reader, Value)] = {
    use Reader::{Btrfs, Fstab, Kernel, Security};
    use Value::{Compression, Free, MaybeWords, No, Number, Size, Some, Words};
    &[
        ("acl", Btrfs, No),
        ("async", Kernel, No),
        ("atime", Kernel, No),
        ("auto", Fstab, No),
        ("autodefrag", Btrfs, No),
        ("barrier", Btrfs, No),
        ("comment", Fstab, Free),
        ("commit", Btrfs, Number),
        ("compress", Btrfs, Compression),
        ("compress-force", Btrfs, Compression),
        ("context", Security, Some),
        ("datacow", Btrfs, No),
        ("datasum", Btrfs, No),
        ("defaults", Fstab, No),
        ("defcontext", Security, Some),
        ("dev", Kernel, No),
        ("device", Btrfs, Some),
        ("diratime", Kernel, No),
        ("dirsync", Kernel, No),
        ("discard", Btrfs, MaybeWords(&["sync", "async"])),
        ("enospc_debug", Btrfs, No),
        ("exec", Kernel, No),
        ("fatal_errors", Btrfs, Words(&["bug", "panic"])),
        ("flushoncommit", Btrfs, No),
        ("fscontext", Security, Some),
        ("group", Fstab, No),
        ("iversion", Kernel, No),
        ("lazytime", Kernel, No),
        ("loud", Kernel, No),
        ("mand", Kernel, No),
        ("max_inline", Btrfs, Size),
        ("metadata_ratio", Btrfs, Number),
        ("noacl", Btrfs, No),
        ("noatime", Kernel, No),
        ("noauto", Fstab, No),
        ("noautodefrag", Btrfs, No),
        ("nobarrier", Btrfs, No),
        ("nodatacow", Btrfs, No),
        ("nodatasum", Btrfs, No),
        ("nodev", Kernel, No),
        ("nodiratime", Kernel, No),
        ("nodiscard", Btrfs, No),
        ("noenospc_debug", Btrfs, No),
        ("noexec", Kernel, No),
        ("nofail", Fstab, No),
        ("noflushoncommit", Btrfs, No),
        ("noiversion", Kernel, No),
        ("nolazytime", Kernel, No),
        ("nomand", Kernel, No),
        ("norelatime", Kernel, No),
        ("nospace_cache", Btrfs, No),
        ("nossd", Btrfs, No),
        ("nossd_spread", Btrfs, No),
        ("nostrictatime", Kernel, No),
        ("nosuid", Kernel, No),
        ("nosymfollow", Kernel, No),
        ("notreelog", Btrfs, No),
        ("nouser", Fstab, No),
        ("owner", Fstab, No),
        ("relatime", Kernel, No),
        ("ro", Kernel, No),
        ("rootcontext", Security, Some),
        ("rw", Kernel, No),
        ("silent", Kernel, No),
        ("skip_balance", Btrfs, No),
        ("space_cache", Btrfs, MaybeWords(&["v1", "v2"])),
        ("ssd", Btrfs, No),
        ("ssd_spread", Btrfs, No),
        ("strictatime", Kernel, No),
        ("suid", Kernel, No),
        ("symfollow", Kernel, No),
        ("sync", Kernel, No),
        ("thread_pool", Btrfs, Number),
        ("treelog", Btrfs, No),
        ("uhelper", Fstab, Some),
        ("user", Fstab, No),
        ("user_subvol_rm_allowed", Btrfs, No),
        ("users", Fstab, No),
        ("_netdev", Fstab, No),
    ]
};

/// What a layout can't ask for although a mount would take it, and why.
const NOT_HERE: &[(&str, &str)] = &[
    ("bind", OTHER_MOUNT),
    ("clear_cache", BY_HAND),
    (
        "degraded",
        "would mount half of a mirror at every boot, unseen",
    ),
    ("helper", OTHER_MOUNT),
    ("loop", OTHER_MOUNT),
    ("move", OTHER_MOUNT),
    ("norecovery", BY_HAND),
    ("nologreplay", BY_HAND),
    ("rbind", OTHER_MOUNT),
    ("recovery", BY_HAND),
    ("remount", OTHER_MOUNT),
    ("rescan_uuid_tree", BY_HAND),
    ("rescue", BY_HAND),
    ("subvol", OWN_NAME),
    ("subvolid", OWN_NAME),
    ("usebackuproot", BY_HAND),
];
const BY_HAND: &str = "is for one mount by hand, when something is damaged";
const OTHER_MOUNT: &str = "asks for another kind of mount than a subvolume's";
const OWN_NAME: &str = "is written by rootshift, from the subvolume's name";

/// Options that later kernels take, and refuse the mount before: the oldest kernel that rootshift
/// is for has 6.1 (Debian 12).
const YOUNG: &[(&str, &str)] = &[
    ("compress=zstd:-", "6.15"),
    ("compress-force=zstd:-", "6.15"),
];

/// Longest value that mount(8) can hand over (fsconfig(2): 256 bytes with the zero).
const LONGEST: usize = 255;

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
#[must_use]
pub fn is_ext_only(option: &str) -> bool {
    match option.split_once('=') {
        Some((name, _)) => EXT_SETTINGS.contains(&name),
        None => EXT_FLAGS.contains(&option),
    }
}

/// Splits at commas, but not inside double quotes, as libmount does (SELinux contexts hold commas).
/// Empty options vanish.
#[must_use]
pub fn split(options: &str) -> Vec<&str> {
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

/// Who reads an option; `None` for one that nobody knows.
#[must_use]
pub fn reader(option: &str) -> Option<Reader> {
    let name = option.split('=').next().unwrap_or_default();
    if is_for_others(name) {
        return Some(Reader::Fstab);
    }
    if NOT_HERE.iter().any(|(known, _)| *known == name) {
        return Some(Reader::Btrfs); // a line of the user's own may have it
    }
    let known = KNOWN.iter().find(|(known, _, _)| *known == name);
    known.map(|(_, reader, _)| *reader)
}

/// systemd's, and anybody's: mount(8) hands nothing of it on.
fn is_for_others(name: &str) -> bool {
    name.starts_with("x-") || name.starts_with("X-")
}

/// What is wrong with an option in a layout, and what to do. `None` when btrfs takes it.
#[must_use]
pub fn problem(option: &str) -> Option<(String, String)> {
    let (name, value) = match option.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (option, None),
    };
    let wrong = |what: String, help: &str| Some((what, help.to_owned()));
    let leave_it_out = "leave it out";
    if option.len() > LONGEST || option.contains(char::is_whitespace) || option.contains('"') {
        let what =
            format!("the mount option \"{option}\" holds a blank or a quote, or is too long");
        return wrong(what, leave_it_out);
    }
    if let Some((_, why)) = NOT_HERE.iter().find(|(known, _)| *known == name) {
        return wrong(format!("the mount option \"{name}\" {why}"), leave_it_out);
    }
    if is_ext_only(option) {
        let what = format!(
            "the mount option \"{option}\" is one that only ext2, ext3 and ext4 know: btrfs refuses \
             to mount with it"
        );
        return wrong(what, leave_it_out);
    }
    if is_for_others(name) {
        return None;
    }
    let Some((_, _, wanted)) = KNOWN.iter().find(|(known, _, _)| *known == name) else {
        return wrong(
            format!("btrfs knows no mount option \"{option}\""),
            &meant(name, value),
        );
    };
    let fits = fits(*wanted, value)?;
    wrong(
        format!("the mount option \"{option}\" can't be used"),
        &fits,
    )
}

/// The nearest option that is known.
fn meant(name: &str, value: Option<&str>) -> String {
    match (
        nearest(name, KNOWN.iter().map(|(known, _, _)| *known)),
        value,
    ) {
        (Some(near), Some(value)) => format!("did you mean \"{near}={value}\"?"),
        (Some(near), None) => format!("did you mean \"{near}\"?"),
        (None, _) => "see btrfs(5) and mount(8)".to_owned(),
    }
}

/// What a value should be, when it is not.
fn fits(wanted: Value, value: Option<&str>) -> Option<String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| digits(text) && text.parse::<u32>().is_ok();
    let (good, help) = match (wanted, value) {
        (Value::Free, _) | (Value::MaybeWords(_), None) => (true, String::new()),
        (Value::No, value) => (value.is_none(), "write it without a value".into()),
        (Value::Some, value) => (
            value.is_some_and(|value| !value.is_empty()),
            "it needs a value".into(),
        ),
        (Value::Number, value) => (value.is_some_and(number), "it needs a number".into()),
        (Value::Size, value) => (
            value.is_some_and(|text| number(text.trim_end_matches(['k', 'K', 'm', 'M']))),
            "it needs a number of bytes, as 2048 or 2k".into(),
        ),
        (Value::Words(words), value) | (Value::MaybeWords(words), value) => (
            value.is_some_and(|value| words.contains(&value)),
            format!("its value is one of {}", words.join(", ")),
        ),
        (Value::Compression, value) => (
            value.is_none_or(is_compression),
            "its value is zstd, zstd:LEVEL, zlib, zlib:LEVEL, lzo or no".into(),
        ),
    };
    (!good).then_some(help)
}

fn is_compression(value: &str) -> bool {
    match value.split_once(':') {
        None => ["zstd", "zlib", "lzo", "no", "none"].contains(&value),
        Some(("zstd", level)) => level
            .parse()
            .is_ok_and(|level: i8| (-15..=15).contains(&level)),
        Some(("zlib", level)) => level
            .parse()
            .is_ok_and(|level: i8| (1..=9).contains(&level)),
        Some(_) => false,
    }
}

/// The first kernel that takes an option, where it is younger than the oldest one in use.
#[must_use]
pub fn first_kernel(option: &str) -> Option<&'static str> {
    let found = YOUNG.iter().find(|(begin, _)| option.starts_with(begin));
    found.map(|(_, kernel)| *kernel)
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
    fn every_known_name_stands_once() {
        let mut names: Vec<&str> = KNOWN.iter().map(|(name, _, _)| *name).collect();
        assert!(!names.iter().any(|name| is_ext_only(name)));
        names.extend(NOT_HERE.iter().map(|(name, _)| *name));
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn what_btrfs_takes_has_no_problem() {
        for option in
            "compress=zstd:3 compress compress-force=zstd:-7 noatime nofail discard=async \
                       space_cache=v2 commit=120 max_inline=2k x-systemd.device-timeout=10s ssd \
                       user_subvol_rm_allowed context=system_u:object_r:home_t:s0 _netdev"
                .split_whitespace()
        {
            assert_eq!(problem(option), None, "{option}");
        }
    }

    #[test]
    fn what_btrfs_does_not_take_is_named_with_a_remedy() {
        for (option, what, help) in [
            (
                "noatme",
                "no mount option \"noatme\"",
                "did you mean \"noatime\"?",
            ),
            (
                "compres=zstd",
                "no mount option",
                "did you mean \"compress=zstd\"?",
            ),
            (
                "errors=remount-ro",
                "only ext2, ext3 and ext4 know",
                "leave it out",
            ),
            ("usrquota", "only ext2, ext3 and ext4 know", "leave it out"),
            ("subvol=@x", "is written by rootshift", "leave it out"),
            ("degraded", "half of a mirror", "leave it out"),
            ("rescue=all", "by hand", "leave it out"),
            ("compress=gzip", "can't be used", "zstd, zstd:LEVEL"),
            ("compress=zstd:99", "can't be used", "zstd, zstd:LEVEL"),
            ("commit=x", "can't be used", "a number"),
            ("ssd=1", "can't be used", "without a value"),
            ("context=\"a", "a quote", "leave it out"),
            ("no atime", "a blank", "leave it out"),
            ("=", "no mount option", "see btrfs(5)"),
        ] {
            let (said, remedy) = problem(option).unwrap_or_else(|| panic!("{option}"));
            assert!(
                said.contains(what) && remedy.contains(help),
                "{said}: {remedy}"
            );
        }
    }

    #[test]
    fn who_reads_an_option_is_known() {
        assert_eq!(reader("x-systemd.automount"), Some(Reader::Fstab));
        assert_eq!(reader("noatime"), Some(Reader::Kernel));
        assert_eq!(reader("compress=zstd"), Some(Reader::Btrfs));
        assert_eq!(reader("context=a"), Some(Reader::Security));
        assert_eq!(reader("bogus"), None);
    }
}
