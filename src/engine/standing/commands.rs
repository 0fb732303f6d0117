//! Commands that can be copied as they stand.

use super::{Act, Facts, Kept};
use crate::engine::{Stage, State};

/// Where the top level is mounted by hand.
const HAND: &str = "/mnt";

/// How this machine's commands are written.
pub(super) struct Commands {
    pub sudo: bool,
}

impl Commands {
    /// One line: the commands one after the other, each only if the one before went well.
    pub fn line(&self, commands: &[&str]) -> String {
        let prefix = if self.sudo { "sudo " } else { "" };
        let lines = commands.iter().map(|command| format!("{prefix}{command}"));
        lines.collect::<Vec<_>>().join(" && ")
    }

    /// Lines with the top level of this file system mounted around them.
    pub fn on_the_top_level(&self, uuid: &str, inside: Vec<String>) -> Vec<String> {
        let mount = format!("mount -o subvolid=5 UUID={uuid} {HAND}");
        let mut lines = vec![self.line(&[&mount])];
        lines.extend(inside.iter().map(|command| self.line(&[command])));
        lines.push(self.line(&[&format!("umount {HAND}")]));
        lines
    }
}

/// A path below the mount made by hand, as a shell takes it.
pub(super) fn by_hand(path: &str) -> String {
    quoted(&format!("{HAND}/{path}"))
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@._/-:+=".contains(c);
    if word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// How to delete what a rollback kept, once nobody wants it any more.
pub(super) fn kept_aside(facts: &Facts, state: &State, commands: &Commands) -> Option<Act> {
    let uuid = facts.uuid.filter(|_| state.stage == Stage::RolledBack)?;
    if facts.kept.is_empty() {
        return None;
    }
    let lines = deleting(facts.kept);
    Some(Act {
        what: "Look at what was kept aside; when you want none of it any more, delete it:".into(),
        commands: commands.on_the_top_level(uuid, lines),
    })
}

/// The kernel refuses to delete a default subvolume, what is locked, and what can only be read or
/// lies in such a one.
fn deleting(kept: &[Kept]) -> Vec<String> {
    let mut lines = Vec::new();
    for one in kept {
        let path = by_hand(&one.path);
        if one.is_default {
            lines.push(format!("btrfs subvolume set-default 5 {HAND}"));
        }
        if one.is_read_only {
            lines.push(format!("btrfs property set -ts {path} ro false"));
        }
        if one.is_locked {
            lines.push(format!("chattr -ia {path}"));
        }
    }
    let delete = |one: &Kept| format!("btrfs subvolume delete {}", by_hand(&one.path));
    lines.extend(kept.iter().map(delete));
    lines
}
