//! `/etc/default/grub` and `/etc/default/grub.d/*.cfg`: shell assignments that grub-mkconfig
//! sources.

mod shell;

use super::cmdline::merge_root_flags;
use super::edit::{self, Edit};
use super::{Error, mount_options};
use shell::{Token, Word};
use std::ops::Range;

/// The text made fit for a root in `subvolume`; `None` if it is fit already.
///
/// In every `GRUB_CMDLINE_LINUX…` assignment `rootfstype=ext…` goes, and so does `rootflags=`
/// unless it holds more than a choice of a subvolume: grub-mkconfig's 10_linux adds its own
/// `rootflags=subvol=…` *before* the user's, and initramfs-tools obeys the last one only (facts
/// boot.md D9), so what remains is written as `rootflags=subvol=<subvolume>,<rest>`.
///
/// Every other byte stays. Values that only a shell can compute are an error if they hold one of
/// the two options, and are left alone otherwise.
pub fn set_subvolume(text: &str, subvolume: &str) -> Result<Option<String>, Error> {
    mount_options::check_root_subvolume(subvolume)?;
    let mut edits = Vec::new();
    for word in shell::words(text) {
        if let Some(variable) = kernel_line_variable(text, &word)? {
            edits.extend(value_edits(text, &word, variable, subvolume)?);
        }
    }
    Ok((!edits.is_empty()).then(|| edit::apply(text, edits)))
}

/// The name of the variable, if the word assigns arguments of the kernel.
fn kernel_line_variable<'t>(text: &'t str, word: &Word) -> Result<Option<&'t str>, Error> {
    let raw = text.get(word.span.clone()).unwrap_or_default();
    let name = raw.split_once('=').map_or("", |(name, _)| name);
    if word.unterminated && mentions_root_options(raw) {
        return Err(opaque(word, name, "a quote is never closed"));
    }
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let ours = name.starts_with("GRUB_CMDLINE_LINUX") && name.chars().all(plain);
    Ok(ours.then_some(name))
}

fn value_edits(
    text: &str,
    word: &Word,
    variable: &str,
    subvolume: &str,
) -> Result<Vec<Edit>, Error> {
    let start = word.span.start + variable.len() + 1;
    if word.computed(text).any(mentions_root_options) {
        return Err(opaque(
            word,
            variable,
            "a command or a variable computes it",
        ));
    }
    let (mut flags, mut types) = (Vec::new(), Vec::new());
    for token in word.tokens(start) {
        match kind(text, &token) {
            Kind::Other => {}
            Kind::Flags => flags.push(token),
            Kind::ExtType => types.push(token),
            Kind::Opaque => {
                let reason = "quotes, escapes or a variable are part of it";
                return Err(opaque(word, variable, reason));
            }
        }
    }
    let mut edits = Vec::new();
    if let Some((first, merged)) = merged_flags(&flags, subvolume) {
        // Each may stand in quotes of its own kind.
        if flags.len() > 1 && !merged.chars().all(is_plain) {
            let reason = "several of them hold signs that a shell reads";
            return Err(opaque(word, variable, reason));
        }
        if first.text != merged {
            edits.push(Edit::new(first.span.clone(), merged));
        }
        flags.remove(0);
    }
    let inside = word.content(start);
    for token in flags.iter().chain(&types) {
        let range = clamped(edit::removal(text, &token.span), &inside);
        // It would escape what follows once the blank is gone.
        if text
            .get(..range.start)
            .is_some_and(|before| before.ends_with('\\'))
        {
            return Err(opaque(word, variable, "a backslash stands before it"));
        }
        edits.push(Edit::new(range, ""));
    }
    Ok(edits)
}

/// The first `rootflags=` and what it becomes, if more than a subvolume was asked for.
fn merged_flags<'t>(flags: &'t [Token], subvolume: &str) -> Option<(&'t Token, String)> {
    let values = flags
        .iter()
        .filter_map(|token| token.text.strip_prefix("rootflags="));
    let merged = merge_root_flags(&values.collect::<Vec<&str>>(), subvolume);
    let more = merged != merge_root_flags(&[], subvolume);
    flags
        .first()
        .filter(|_| more)
        .map(|first| (first, format!("rootflags={merged}")))
}

enum Kind {
    Flags,
    ExtType,
    /// One of the two options, but not in plain text.
    Opaque,
    Other,
}

fn kind(text: &str, token: &Token) -> Kind {
    let bare = token.text.trim_start_matches(['"', '\'']);
    let plain = !token.computed && text.get(token.span.clone()) == Some(token.text.as_str());
    let kind = match bare {
        _ if bare.starts_with("rootflags=") => Kind::Flags,
        _ if bare.starts_with("rootfstype=ext") => Kind::ExtType,
        _ if !plain && mentions_root_options(bare) => Kind::Opaque,
        _ => return Kind::Other,
    };
    let plain = plain && bare == token.text;
    if plain { kind } else { Kind::Opaque }
}

/// Means the same to a shell in every kind of quotes, and without.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "@_-.+:/=,%".contains(c)
}

fn mentions_root_options(text: &str) -> bool {
    text.contains("rootflags=") || text.contains("rootfstype=")
}

fn clamped(range: Range<usize>, to: &Range<usize>) -> Range<usize> {
    range.start.max(to.start)..range.end.min(to.end)
}

fn opaque(word: &Word, variable: &str, reason: &'static str) -> Error {
    let variable = if variable.is_empty() {
        "the file"
    } else {
        variable
    };
    Error::OpaqueAssignment {
        line: word.line,
        variable: variable.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests;
