//! Which line of a grub.cfg started the running kernel: GRUB hands on `BOOT_IMAGE=`, the path as
//! it is written there, and then the words of the line.

use crate::bootcfg::cmdline::CommandLine;
use crate::bootcfg::grub_config::{KernelLine, kernel_lines};

const BOOT_IMAGE: &str = "BOOT_IMAGE=";

/// What a command line says of who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Produced {
    /// These lines of the configuration do, counted as [`kernel_lines`] does.
    ByLines(Vec<usize>),
    /// A loader like GRUB started this kernel, and no line of the configuration says this.
    ByAnotherLine {
        /// The path of the kernel.
        kernel: String,
    },
    /// A loader that does not name the kernel, as GRUB always does.
    ByAnotherLoader,
}

/// Holds a command line against a configuration. What is only known at boot (`$name`) may be
/// anything.
#[must_use]
pub fn produced_by(line: &CommandLine, config: &str) -> Produced {
    let words: Vec<&str> = line.arguments().collect();
    let kernel = words.first().and_then(|word| word.strip_prefix(BOOT_IMAGE));
    let arguments = words.get(usize::from(kernel.is_some())..);
    let makes = |known: &KernelLine| {
        let named = match kernel {
            Some(kernel) => !known.by_xen && without_device(&known.path) == without_device(kernel),
            None => known.by_xen,
        };
        let written: Vec<&str> = known.arguments.arguments().collect();
        named && matches(&written, arguments.unwrap_or_default())
    };
    let all = kernel_lines(config);
    let found = all.iter().enumerate().filter(|(_, known)| makes(known));
    let found: Vec<usize> = found.map(|(index, _)| index).collect();
    match kernel {
        _ if !found.is_empty() => Produced::ByLines(found),
        Some(kernel) => Produced::ByAnotherLine {
            kernel: kernel.to_owned(),
        },
        None => Produced::ByAnotherLoader,
    }
}

/// `(hd0,gpt2)/boot/vmlinuz` and `($root)/boot/vmlinuz` are `/boot/vmlinuz`.
#[must_use]
pub fn without_device(path: &str) -> &str {
    match path.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((_, path)) => path,
        None => path,
    }
}

fn matches(written: &[&str], given: &[&str]) -> bool {
    let Some((word, rest)) = written.split_first() else {
        return given.is_empty();
    };
    if word.starts_with('$') {
        // Any number of words, none too.
        return (0..=given.len())
            .any(|taken| matches(rest, given.get(taken..).unwrap_or_default()));
    }
    match given.split_first() {
        Some((first, more)) => is_word(word, first) && matches(rest, more),
        None => false,
    }
}

fn is_word(written: &str, given: &str) -> bool {
    match written.split_once('$') {
        Some((before, _)) => given.starts_with(before),
        None => written == given,
    }
}

#[cfg(test)]
mod tests {
    use super::{Produced, produced_by};
    use crate::bootcfg::cmdline::CommandLine;

    const CONFIG: &str = "menuentry 'Debian' {\n linux /boot/vmlinuz-6 root=UUID=u ro  quiet\n}\n\
        submenu x {\n menuentry 'Debian (recovery)' {\n linux /boot/vmlinuz-6 root=UUID=u ro single\n}\n}\n\
        menuentry 'Ubuntu' {\n linux ($root)/boot/vmlinuz-6.8 root=UUID=u ro splash $vt_handoff x=${y} \"a b=c\"\n}\n\
        menuentry 'Quoted' {\n linux /boot/vmlinuz-q root=UUID=u ro x=\\\"y\\\"\n}\n\
        menuentry 'Xen' {\n multiboot2 /boot/xen.gz placeholder\n module2 /boot/vmlinuz-6 placeholder root=UUID=u ro\n}\n";

    fn produced(line: &str) -> Produced {
        produced_by(&CommandLine::parse(line), CONFIG)
    }

    #[test]
    fn the_line_is_found_that_started_the_kernel() {
        for (line, found) in [
            ("BOOT_IMAGE=/boot/vmlinuz-6 root=UUID=u ro quiet", 0),
            (
                "BOOT_IMAGE=(hd0,gpt2)/boot/vmlinuz-6 root=UUID=u ro quiet",
                0,
            ),
            ("BOOT_IMAGE=/boot/vmlinuz-6 root=UUID=u ro single", 1),
            (
                "BOOT_IMAGE=/boot/vmlinuz-6.8 root=UUID=u ro splash vt.handoff=7 x=1 \"a b=c\"",
                2,
            ),
            (
                "BOOT_IMAGE=(hd0,gpt1)/boot/vmlinuz-6.8 root=UUID=u ro splash x= \"a b=c\"",
                2,
            ),
            // GRUB escapes quotes in every word (grub-core/lib/cmdline.c).
            ("BOOT_IMAGE=/boot/vmlinuz-q root=UUID=u ro x=\\\"y\\\"", 3),
            ("placeholder root=UUID=u ro", 4),
        ] {
            assert_eq!(produced(line), Produced::ByLines(vec![found]), "{line}");
        }
    }

    #[test]
    fn one_word_more_or_less_is_another_line() {
        for line in [
            "BOOT_IMAGE=/boot/vmlinuz-6 root=UUID=u ro",
            "BOOT_IMAGE=/boot/vmlinuz-6 root=UUID=u ro quiet nomodeset",
            "BOOT_IMAGE=/boot/vmlinuz-7 root=UUID=u ro quiet",
            "BOOT_IMAGE=/vmlinuz root=UUID=u ro quiet",
        ] {
            assert!(
                matches!(produced(line), Produced::ByAnotherLine { .. }),
                "{line}"
            );
        }
        for line in [
            "root=UUID=u ro quiet",
            "initrd=\\initrd.img root=UUID=u ro",
            "",
        ] {
            assert_eq!(produced(line), Produced::ByAnotherLoader, "{line}");
        }
    }
}
