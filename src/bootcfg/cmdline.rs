//! The kernel command line.

use super::mount_options;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// A kernel command line, split as the kernel splits it (lib/cmdline.c, `next_arg`): at blanks
/// outside double quotes. Single quotes mean nothing to the kernel.
///
/// initramfs-tools splits at every blank, quoted or not, so an argument with a blank in it reaches
/// the kernel whole but its scripts in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    text: String,
    arguments: Vec<Argument>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Argument {
    raw: Range<usize>,
    name: String,
    value: Option<String>,
}

impl CommandLine {
    /// Splits the text; never fails. `to_string` gives the text back byte for byte.
    pub fn parse(text: &str) -> Self {
        let mut arguments = Vec::new();
        let mut start = None;
        let mut quoted = false;
        for (at, c) in text.char_indices() {
            quoted ^= c == '"';
            if !is_space(c) || quoted {
                start.get_or_insert(at);
            } else if let Some(start) = start.take() {
                arguments.push(argument(text, start..at));
            }
        }
        if let Some(start) = start {
            arguments.push(argument(text, start..text.len()));
        }
        Self {
            text: text.to_owned(),
            arguments,
        }
    }

    /// The text as it was parsed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The value of the last `name=value`, without its quotes. For most options, and for
    /// `rootflags=` in initramfs-tools, the last one counts (facts boot.md D9).
    pub fn value(&self, name: &str) -> Option<&str> {
        self.all(name).pop()
    }

    /// All values of `name=value`, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self
            .arguments
            .iter()
            .filter(|argument| argument.name == name);
        named
            .filter_map(|argument| argument.value.as_deref())
            .collect()
    }

    /// Whether the name occurs, with a value or without.
    pub fn contains(&self, name: &str) -> bool {
        self.arguments.iter().any(|argument| argument.name == name)
    }

    /// Each argument as it stands in the text, quotes and all.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.arguments
            .iter()
            .filter_map(|argument| self.text.get(argument.raw.clone()))
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// One value for `rootflags=` (without that name) that mounts the subvolume: `subvol=…` first, then
/// what the existing values hold, in order, without their own choice of a subvolume, without
/// options that only ext file systems know, without repetitions. A leading `-o `, as initramfs-tools
/// keeps in `ROOTFLAGS`, is dropped. A quote that is left open is closed at the end of its value, as
/// the kernel takes it, so that it does not close in the next one.
///
/// Write the result in place of *all* existing `rootflags=`: initramfs-tools obeys only the last.
pub fn merge_root_flags(existing: &[&str], subvolume: &str) -> String {
    let bare = existing.iter().map(|flags| {
        let flags = flags.trim();
        let bare = flags
            .strip_prefix("-o")
            .filter(|rest| rest.starts_with(is_space))
            .unwrap_or(flags);
        match mount_options::is_balanced(bare) {
            true => Cow::Borrowed(bare),
            false => Cow::Owned(format!("{bare}\"")),
        }
    });
    let bare: Vec<Cow<'_, str>> = bare.collect();
    let options = bare.iter().flat_map(|flags| mount_options::split(flags));
    let options = options.map(str::trim);
    mount_options::with_subvolume_first(options.filter(|option| !option.is_empty()), subvolume)
}

/// What the kernel's `isspace` takes for a blank, in ASCII.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

fn argument(text: &str, raw: Range<usize>) -> Argument {
    let whole = text.get(raw.clone()).unwrap_or_default();
    let unquoted = match whole.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').unwrap_or(rest),
        None => whole,
    };
    let (name, value) = match unquoted.split_once('=') {
        Some((name, value)) => (name, Some(without_quotes(value))),
        None => (unquoted, None),
    };
    Argument {
        raw,
        name: name.to_owned(),
        value: value.map(str::to_owned),
    }
}

fn without_quotes(value: &str) -> &str {
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').unwrap_or(rest),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_keep_blanks_together() {
        let line = CommandLine::parse("ro  dyndbg=\"file a.c +p\" \"x y=1 2\" quiet\n");
        let arguments: Vec<&str> = line.arguments().collect();
        assert_eq!(
            arguments,
            ["ro", "dyndbg=\"file a.c +p\"", "\"x y=1 2\"", "quiet"]
        );
        assert_eq!(line.value("dyndbg"), Some("file a.c +p"));
        assert_eq!(line.value("x y"), Some("1 2"));
        assert!(line.contains("ro") && !line.contains("rw"));
    }

    #[test]
    fn the_last_value_wins() {
        let line = CommandLine::parse("rootflags=subvol=@ ro rootflags=noatime");
        assert_eq!(line.value("rootflags"), Some("noatime"));
        assert_eq!(line.all("rootflags"), ["subvol=@", "noatime"]);
        assert_eq!(line.value("ro"), None);
    }

    #[test]
    fn root_flags_merge_into_one_value() {
        let cases: &[(&[&str], &str)] = &[
            (&[], "subvol=@"),
            (&["compress=zstd"], "subvol=@,compress=zstd"),
            (
                &["subvol=@rootfs,noatime", "subvolid=5,noatime,ssd"],
                "subvol=@,noatime,ssd",
            ),
            (
                &["-o errors=remount-ro,data=writeback,commit=30"],
                "subvol=@,commit=30",
            ),
            (&["", ",,"], "subvol=@"),
            (
                &["a,b\"c,d", "e\"f,d,\"g"],
                "subvol=@,a,b\"c,d\",e\"f,d,\"g",
            ),
            (&["a\"b", "c\"d,a"], "subvol=@,a\"b\",c\"d,a\""),
        ];
        for (existing, expected) in cases {
            assert_eq!(merge_root_flags(existing, "@"), *expected, "{existing:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_round_trips(text in any::<String>()) {
            let line = CommandLine::parse(&text);
            prop_assert_eq!(line.to_string(), text);
        }

        #[test]
        fn merging_is_idempotent(flags in "[ab=,@ \"]{0,40}", more in "[ab=,@ \"]{0,40}") {
            let once = merge_root_flags(&[&flags, &more], "@");
            prop_assert_eq!(merge_root_flags(&[&once], "@"), once);
        }
    }
}
