//! Replacements in a text that leave every other byte alone.

use std::ops::Range;

use crate::sys::sorted;

/// One replacement. An empty range inserts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    /// The bytes to replace.
    pub range: Range<usize>,
    /// What takes their place.
    pub replacement: String,
}

impl Edit {
    pub(super) fn new(range: Range<usize>, replacement: impl Into<String>) -> Self {
        Self {
            range,
            replacement: replacement.into(),
        }
    }
}

/// The text with all edits made, in any order. Where two overlap, the later one loses what they
/// share if it only deletes, and is left out otherwise; so are ranges outside the text.
pub(super) fn apply(text: &str, edits: Vec<Edit>) -> String {
    let numbered = edits.into_iter().enumerate();
    let keyed =
        numbered.map(|(number, edit)| (edit.range.start, edit.range.end, number, edit.replacement));
    let mut result = String::with_capacity(text.len() + 64);
    let mut position = 0;
    for (start, end, _, replacement) in sorted(keyed.collect()) {
        let range = start..end;
        let start = if replacement.is_empty() {
            range.start.max(position)
        } else {
            range.start
        };
        let Some(kept) = text.get(position..start) else {
            continue;
        };
        if range.end < start || !text.is_char_boundary(range.end) {
            continue;
        }
        result.push_str(kept);
        result.push_str(&replacement);
        position = range.end;
    }
    result.push_str(text.get(position..).unwrap_or_default());
    result
}

/// The range of a word that is taken out, together with the blanks that would be left doubled:
/// those before it, or, for the first word of its place, those after it.
pub(super) fn removal(text: &str, word: &Range<usize>) -> Range<usize> {
    let before = text.get(..word.start).unwrap_or_default();
    let after = text.get(word.end..).unwrap_or_default();
    let blank = |c: char| c == ' ' || c == '\t';
    let start = before.trim_end_matches(blank).len();
    if start < word.start {
        return start..word.end;
    }
    word.start..word.end + (after.len() - after.trim_start_matches(blank).len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_apply_in_any_order_and_overlaps_are_dropped() {
        let edits = vec![
            Edit::new(4..5, "E"),
            Edit::new(0..1, "A"),
            Edit::new(1..1, "+"),
        ];
        assert_eq!(apply("abcdef", edits), "A+bcdEf");
        let edits = vec![Edit::new(0..3, "X"), Edit::new(2..4, "Y")];
        assert_eq!(apply("abcdef", edits), "Xdef");
        assert_eq!(
            apply("abcdef", vec![Edit::new(0..3, ""), Edit::new(2..4, "")]),
            "ef"
        );
        assert_eq!(apply("ab", vec![Edit::new(1..9, "Z")]), "ab");
    }

    #[test]
    fn removal_takes_one_run_of_blanks() {
        assert_eq!(removal("a  bb  c", &(3..5)), 1..5);
        assert_eq!(removal("bb c", &(0..2)), 0..3);
        assert_eq!(removal("\"bb\"", &(1..3)), 1..3);
    }
}
