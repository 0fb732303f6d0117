//! Reads the menu: what each entry would boot, and which entry is the default.

use super::{SearchTarget, loads_initrd, loads_kernel, search_target};
use crate::bootcfg::cmdline::CommandLine;
use crate::bootcfg::grub_script::{self, Command, MenuLabel, Word};

/// What a menu entry boots. Variables are not expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntry {
    /// The title.
    pub title: String,
    /// The path of the kernel as written, quotes resolved; none for chainloaders and the like.
    pub linux: Option<String>,
    /// The arguments of the kernel.
    pub arguments: CommandLine,
    /// The paths of the initrds.
    pub initrd: Vec<String>,
    /// The UUID of the file system that GRUB looks the paths up on, if the entry searches by UUID.
    pub search_uuid: Option<String>,
    /// The line of the `menuentry`, from 1.
    pub line: usize,
    /// How `default` can name it inside its menu.
    pub label: MenuLabel,
    /// The submenus it is in, outermost first.
    pub submenus: Vec<MenuLabel>,
}

/// The menu entries in order, those of submenus too. Of several kernels in one entry (`if` … `else`)
/// the first counts, of several searches the last. A text that GRUB would refuse gives the entries
/// that are whole.
pub fn boot_entries(text: &str) -> Vec<BootEntry> {
    grub_script::parse(text)
        .entries
        .into_iter()
        .map(boot_entry)
        .collect()
}

/// A line that starts a kernel. Variables are not expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelLine {
    /// The path of the kernel as written, quotes resolved.
    pub path: String,
    /// The arguments of the kernel.
    pub arguments: CommandLine,
    /// Whether it is Xen that starts it.
    pub by_xen: bool,
    /// The title of its menu entry.
    pub title: String,
    /// The line of the entry's `menuentry`, from 1.
    pub line: usize,
}

/// All lines of all menu entries that start a kernel, in order.
pub fn kernel_lines(text: &str) -> Vec<KernelLine> {
    let mut lines = Vec::new();
    for entry in grub_script::parse(text).entries {
        for command in entry.body.iter().filter(|command| loads_kernel(command)) {
            let (path, arguments) = kernel_words(Some(command));
            let name = command.first().map_or("", |word| word.value.as_str());
            lines.push(KernelLine {
                path: path.unwrap_or_default(),
                arguments,
                by_xen: name.starts_with("module"),
                title: entry.label.title.clone(),
                line: entry.line,
            });
        }
    }
    lines
}

/// The path and the arguments of a command that loads a kernel.
fn kernel_words(kernel: Option<&Command>) -> (Option<String>, CommandLine) {
    let mut words = kernel
        .into_iter()
        .flatten()
        .skip(1)
        .skip_while(|w| w.value.starts_with("--"));
    let path = words.next().map(|word| word.value.clone());
    let arguments: Vec<String> = words.map(argument).collect();
    (path, CommandLine::parse(&arguments.join(" ")))
}

fn boot_entry(entry: grub_script::Entry) -> BootEntry {
    let kernel = entry.body.iter().find(|command| loads_kernel(command));
    let (linux, arguments) = kernel_words(kernel);
    let initrds = entry.body.iter().filter(|command| loads_initrd(command));
    let initrd = initrds
        .flat_map(|command| command.iter().skip(1))
        .filter(|w| is_path(w));
    let mut searches = entry
        .body
        .iter()
        .filter_map(|command| match search_target(command)? {
            SearchTarget::Uuid(uuid) => Some(uuid.to_owned()),
            _ => None,
        });
    BootEntry {
        title: entry.label.title.clone(),
        linux,
        arguments,
        initrd: initrd.map(|word| word.value.clone()).collect(),
        search_uuid: searches.next_back(),
        line: entry.line,
        label: entry.label,
        submenus: entry.submenus,
    }
}

fn is_path(word: &Word) -> bool {
    !word.value.starts_with("--")
}

/// As GRUB hands it to the kernel: quotes and backslashes escaped (but for `\x20` and its like), all
/// of it quoted if there is a blank in it (grub-core/lib/cmdline.c).
fn argument(word: &Word) -> String {
    let mut text = String::new();
    let mut rest = word.value.chars();
    while let Some(c) = rest.next() {
        if matches!(c, '\'' | '"') || (c == '\\' && !is_code(rest.as_str())) {
            text.push('\\');
        }
        text.push(c);
    }
    match text.contains(' ') {
        true => format!("\"{text}\""),
        false => text,
    }
}

/// Whether this, after a backslash, names a character by its code.
fn is_code(rest: &str) -> bool {
    let digits = rest.strip_prefix('x').and_then(|rest| rest.get(..2));
    digits.is_some_and(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()))
}

/// The entry that boots if nobody touches a key and no one-time choice is stored: the last
/// `set default=…` outside the menu, by number, title or id, `>` leading into submenus.
/// A value that is known only at boot (`${saved_entry}`), one that names nothing, and none at all
/// mean the first entry, as in GRUB. A submenu as default means its first entry.
pub fn default_entry<'a>(text: &str, entries: &'a [BootEntry]) -> Option<&'a BootEntry> {
    let script = grub_script::parse(text);
    let value = script
        .top
        .iter()
        .filter_map(|command| default_value(command))
        .next_back();
    let path = value
        .filter(|value| !value.contains('$'))
        .map(split_path)
        .unwrap_or_default();
    let mut candidates: Vec<&BootEntry> = entries.iter().collect();
    for (depth, wanted) in path.iter().enumerate() {
        let here: Vec<&BootEntry> = candidates
            .iter()
            .copied()
            .filter(|entry| names(entry, depth, wanted))
            .collect();
        if here.is_empty() {
            break;
        }
        candidates = here;
    }
    candidates.first().copied()
}

fn default_value(command: &Command) -> Option<&str> {
    match command.as_slice() {
        [set, value, ..] if set.value == "set" => value.value.strip_prefix("default="),
        [value] => value.value.strip_prefix("default="),
        _ => None,
    }
}

/// `>` separates levels; `>>` is a `>` in a title.
fn split_path(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = value.chars().peekable();
    while let Some(c) = characters.next() {
        if c == '>' && characters.next_if_eq(&'>').is_none() {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

fn names(entry: &BootEntry, depth: usize, wanted: &str) -> bool {
    let Some(label) = entry.submenus.iter().chain([&entry.label]).nth(depth) else {
        return false;
    };
    match wanted.trim().parse::<usize>() {
        Ok(index) => label.index == index,
        Err(_) => label.title == wanted || label.id.as_deref() == Some(wanted),
    }
}
