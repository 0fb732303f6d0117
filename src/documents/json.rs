//! JSON out. One writer for all types: each further one would be compiled for every type again.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

/// Longer lists get a line for each item.
const WIDTH: usize = 60;

/// The value as compact JSON.
///
/// # Errors
/// When it has no JSON form; rootshift's own types all have one.
pub fn text(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(value)
}

/// A tree of JSON, of whatever kind.
///
/// # Errors
/// When it is no JSON.
pub fn parse(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// The value as a tree of JSON.
///
/// # Errors
/// When it has no JSON form; rootshift's own types all have one.
pub fn tree(value: &impl Serialize) -> Result<Value, serde_json::Error> {
    parse(&text(value)?)
}

/// Whether a terminal would do something else than show it: control characters, and those that
/// turn the direction of writing around.
#[must_use]
pub fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text as it can be shown to a terminal: control characters are written as in JSON, but for
/// those in `kept`.
#[must_use]
pub fn visible(text: &str, kept: &[char]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for (at, c) in text.char_indices() {
        if is_control(c) && !kept.contains(&c) {
            shown.push_str(text.get(done..at).unwrap_or_default());
            // Writing to a String can't fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
            done = at + c.len_utf8();
        }
    }
    shown.push_str(text.get(done..).unwrap_or_default());
    shown
}

/// Compact JSON with a line for each value, as people write it; short lists of strings and numbers
/// stay on one line.
#[must_use]
pub fn indented(compact: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(compact.len() * 2);
    let mut depth = 0_usize;
    let mut flat = false;
    let mut rest = compact;
    while let Some((sign, after)) = rest.split_first() {
        rest = after;
        match sign {
            b'"' => {
                let (string, after) = rest.split_at(end_of_string(rest));
                text.push(b'"');
                text.extend_from_slice(string);
                rest = after;
            }
            b'{' | b'[' => {
                flat = stays_on_one_line(*sign, rest);
                depth += 1;
                text.push(*sign);
                new_line(&mut text, if flat { None } else { Some(depth) }, b"");
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut text, if flat { None } else { Some(depth) }, b"");
                text.push(*sign);
                flat = false;
            }
            b',' => {
                text.push(b',');
                new_line(&mut text, if flat { None } else { Some(depth) }, b" ");
            }
            b':' => text.extend_from_slice(b": "),
            other => text.push(*other),
        }
    }
    text.push(b'\n');
    text
}

/// Looks no further than such a line is wide: the list may be the whole document.
fn stays_on_one_line(opening: u8, rest: &[u8]) -> bool {
    match rest.first() {
        Some(b'}' | b']') => true,
        Some(b'{' | b'[') => false,
        _ => opening == b'[' && rest.iter().take(WIDTH).any(|sign| *sign == b']'),
    }
}

fn new_line(text: &mut Vec<u8>, depth: Option<usize>, else_this: &[u8]) {
    match depth {
        None => text.extend_from_slice(else_this),
        Some(depth) => {
            text.push(b'\n');
            text.resize(text.len() + 2 * depth, b' ');
        }
    }
}

/// Bytes up to and with the closing quote.
fn end_of_string(text: &[u8]) -> usize {
    let mut escaped = false;
    let closing = text.iter().position(|byte| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    });
    closing.map_or(text.len(), |closing| closing + 1)
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, indented, visible};

    #[test]
    fn values_stand_on_lines_of_their_own_and_short_lists_do_not() {
        let compact = br#"{"a":{"b":[1,"x, {\"y\"}"],"c":[]},"d":[{"e":true},{}]}"#;
        let text = String::from_utf8(indented(compact)).unwrap();
        let wanted = "{\n  \"a\": {\n    \"b\": [1, \"x, {\\\"y\\\"}\"],\n    \"c\": []\n  },\n  \
                      \"d\": [\n    {\n      \"e\": true\n    },\n    {}\n  ]\n}\n";
        assert_eq!(text, wanted);
    }

    #[test]
    fn a_list_stays_on_one_line_as_far_as_a_line_goes() {
        let list = |length: usize| format!("[{}]", "1".repeat(length));
        let lines = |text: &str| indented(text.as_bytes()).split(|b| *b == b'\n').count() - 1;
        assert_eq!(lines(&list(WIDTH - 1)), 1);
        assert_eq!(lines(&list(WIDTH)), 3);
    }

    /// Read to its end at each of its items it takes minutes.
    #[test]
    fn a_document_of_100_000_items_is_read_once() {
        let compact = format!("[{}{{\"name\":\"\"}}]", "{\"name\":\"\"},".repeat(100_000));
        let text = indented(compact.as_bytes());
        let lines = text.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines, 1 + 3 * 100_001 + 1);
    }

    #[test]
    fn what_is_no_control_character_is_shown_as_it_is() {
        assert_eq!(visible("", &[]), "");
        assert_eq!(visible("größe", &[]), "größe");
        assert_eq!(visible("\u{1b}[2J\tü\n", &['\n']), "\\u001b[2J\\u0009ü\n");
        assert_eq!(visible("a\u{202e}b\u{7f}", &[]), "a\\u202eb\\u007f");
    }

    proptest::proptest! {
        #[test]
        fn blanks_are_all_that_is_added(text in r#"[a-c\[\]{},:"\\ ]{0,40}"#, number: i64) {
            let value = serde_json::json!([{ "a": [text.clone(), number, { "b": [[1], [], text] }] }]);
            let compact = value.to_string();
            let read: serde_json::Value = serde_json::from_slice(&indented(compact.as_bytes())).unwrap();
            proptest::prop_assert_eq!(read, value);
        }
    }
}
