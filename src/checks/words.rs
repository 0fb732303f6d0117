//! `kernel-command-line`, `grub-entry`, `initramfs`: words and file names that are there or not.

use std::time::Duration;

use super::initramfs_tools::images;
use super::known::Source;
use super::{CheckContext, Error, Looker, Outcome};
use crate::bootcfg::cmdline::CommandLine;
use crate::bootcfg::grub_config::BootEntry;
use crate::documents::check::Words;
use crate::sys::process::run_within;

/// Long enough to unpack an image of a slow machine.
const LISTING: Duration = Duration::from_secs(60);

pub(super) fn command_line(looker: &Looker, wanted: &Words) -> Result<Outcome, Error> {
    let line = CommandLine::parse(looker.text(Source::CommandLine)?);
    let problem = first_problem(wanted, &|word| has_word(&line, word));
    Ok(problem.map_or(Outcome::Pass, |problem| {
        Outcome::fail(
            format!("the kernel's command line {problem}"),
            "look at /proc/cmdline and /etc/default/grub; then `update-grub` and a restart",
        )
    }))
}

pub(super) fn grub_entry(looker: &Looker, wanted: &Words) -> Result<Outcome, Error> {
    let menu = looker.boot_menu()?;
    let entry = match &wanted.title {
        Some(title) => menu.entries.iter().find(|entry| entry.title == *title),
        None => menu.default(),
    };
    let Some(entry) = entry else {
        let title = wanted.title.as_deref().unwrap_or_default();
        return Ok(Outcome::fail(
            format!("/boot/grub/grub.cfg has no menu entry \"{title}\""),
            "run `update-grub`",
        ));
    };
    let problem = first_problem(wanted, &|word| entry_has(entry, word));
    Ok(problem.map_or(Outcome::Pass, |problem| {
        Outcome::fail(
            format!(
                "/boot/grub/grub.cfg: the entry \"{}\" {problem}",
                entry.title
            ),
            "look at /etc/default/grub and run `update-grub`",
        )
    }))
}

pub(super) fn initramfs(context: &CheckContext, wanted: &Words) -> Result<Outcome, Error> {
    let images = images(context.system)?;
    if images.is_empty() {
        return Ok(Outcome::fail(
            "there is no initramfs image in /boot",
            "run `update-initramfs -c -k all`",
        ));
    }
    for (image, _) in images {
        let path = context.system.path().join("boot").join(&image);
        let path = path.to_string_lossy();
        let listed = run_within(context.system, "lsinitramfs", &[&path], LISTING)?;
        if !listed.success() {
            let problem = format!("{path} can't be listed: {}", listed.stderr_tail);
            return Err(Error::Malformed(problem));
        }
        let names = String::from_utf8_lossy(&listed.stdout);
        let holds = |file: &str| names.lines().any(|name| is_file(name, file));
        if let Some(problem) = first_problem(wanted, &holds) {
            return Ok(Outcome::fail(
                format!("/boot/{image} {problem}"),
                "run `update-initramfs -u -k all` and look at what it says",
            ));
        }
    }
    Ok(Outcome::Pass)
}

fn first_problem(wanted: &Words, has: &dyn Fn(&str) -> bool) -> Option<String> {
    let missing = wanted.contains.iter().find(|word| !has(word));
    let unwanted = wanted.lacks.iter().find(|word| has(word));
    match (missing, unwanted) {
        (Some(word), _) => Some(format!("lacks {word}")),
        (None, Some(word)) => Some(format!("contains {word}")),
        (None, None) => None,
    }
}

/// A name alone means the argument with a value or without; `name=value` also one of several
/// values, as `rootflags=subvol=@` in `rootflags=noatime,subvol=@`.
fn has_word(line: &CommandLine, word: &str) -> bool {
    if line.arguments().any(|argument| argument == word) {
        return true;
    }
    match word.split_once('=') {
        None => line.contains(word),
        Some((name, part)) => line
            .all(name)
            .iter()
            .any(|value| *value == part || value.split(',').any(|value| value == part)),
    }
}

fn entry_has(entry: &BootEntry, word: &str) -> bool {
    let mut files = entry.linux.iter().chain(&entry.initrd);
    files.any(|file| file == word) || has_word(&entry.arguments, word)
}

/// `usr/bin` is a symlink's target in newer images and a directory of its own in older ones.
fn is_file(name: &str, wanted: &str) -> bool {
    let wanted = wanted.trim_start_matches('/');
    let before = name.strip_suffix(wanted);
    before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
}
