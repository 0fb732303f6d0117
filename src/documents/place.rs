//! Where in a document a line and column are, as a path: `phases[1].viScripts[0]`.
//!
//! Only for messages. (serde_path_to_error keeps the path while reading, for which every type's
//! parser is compiled once more: 70 KiB.)

/// What encloses the place.
enum Inside<'a> {
    /// An object; the last key that was read.
    Object(Option<&'a [u8]>),
    /// A list; the index of the last item.
    List(usize),
}

/// The path of what ends at this line and column, counted as serde_json does: lines from 1, and
/// the bytes of the line that were read. Empty at the top.
pub(super) fn path(document: &[u8], line: usize, column: usize) -> String {
    let lines = document.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines.take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    let read = document.get(..before.saturating_add(column));
    in_words(&enclosing(read.unwrap_or(document)))
}

/// What is open at the end of `rest`, outermost first.
fn enclosing(mut rest: &[u8]) -> Vec<Inside<'_>> {
    let mut open = Vec::new();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, open.last_mut()) {
            (b'{', _) => open.push(Inside::Object(None)),
            (b'[', _) => open.push(Inside::List(0)),
            (b'}' | b']', _) => {
                open.pop();
            }
            (b',', Some(Inside::List(index))) => *index += 1,
            (b',', Some(Inside::Object(key))) => *key = None,
            (b'"', inside) => {
                let (text, after) = rest.split_at(length_of_string(rest));
                rest = after.get(1..).unwrap_or_default();
                if let Some(Inside::Object(key @ None)) = inside {
                    *key = Some(text);
                }
            }
            _ => {}
        }
    }
    open
}

/// Bytes up to the closing quote.
fn length_of_string(text: &[u8]) -> usize {
    let mut escaped = false;
    let closing = text.iter().position(|byte| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    });
    closing.unwrap_or(text.len())
}

fn in_words(enclosing: &[Inside]) -> String {
    let mut path = String::new();
    for inside in enclosing {
        match inside {
            Inside::List(index) => path.push_str(&format!("[{index}]")),
            Inside::Object(None) => {}
            Inside::Object(Some(key)) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&String::from_utf8_lossy(key));
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::path;
    use crate::documents::{Batch, CheckSpec, StepSpec, ViScript};
    use serde::de::DeserializeOwned;
    use std::collections::HashMap;

    #[test]
    fn places_are_named() {
        for (read, named) in [
            ("", ""),
            ("{", ""),
            ("{\"a\"", "a"),
            ("{\"a\": {\"b\": [", "a.b[0]"),
            ("{\"a\": {\"b\": [1, {\"c\": 2", "a.b[1].c"),
            ("{\"a\": {\"b\": [1, {\"c\": 2}", "a.b[1]"),
            ("{\"a\": [[1], [2, [", "a[1][1][0]"),
            ("{\"a\": \"{[,\\\"\", \"b\": \"x", "b"),
            ("{\"a\": {\"b\": 1},", ""),
            ("]}", ""),
        ] {
            assert_eq!(path(read.as_bytes(), 1, read.len()), named, "{read}");
        }
    }

    #[test]
    fn the_place_is_on_the_line_and_in_the_column() {
        let text = b"{\"a\":\n [1,\n 2], \"b\": 3}";
        assert_eq!(path(text, 2, 3), "a[0]");
        assert_eq!(path(text, 3, 2), "a[1]");
        assert_eq!(path(text, 3, 10), "b");
        assert_eq!(path(text, 99, 99), "");
    }

    /// Spoils the text at each of its bytes and holds the path against serde_path_to_error's, for
    /// JSON that is not what its type asks for.
    fn agrees<T: DeserializeOwned>(text: &str) {
        let mut refused = 0;
        for at in 0..text.len() {
            for change in ["", "0", "x", "\"", "{", "[", ",", "[]", "null,"] {
                let mut bytes = text.as_bytes().to_vec();
                bytes.splice(at..=at, change.bytes());
                let mut reader = serde_json::Deserializer::from_slice(&bytes);
                let parsed: Result<T, _> = serde_path_to_error::deserialize(&mut reader);
                let Some(error) = parsed.err().filter(|error| error.inner().is_data()) else {
                    continue;
                };
                refused += 1;
                let cause = error.inner();
                let expected = match error.path().to_string() {
                    top if top == "." => String::new(),
                    path => path,
                };
                let found = path(&bytes, cause.line(), cause.column());
                // They differ in whether a variant's name is part of the path to it.
                let near = found.starts_with(&expected) || expected.starts_with(&found);
                let same = found == expected || near && cause.to_string().contains("variant");
                assert!(same, "{found} is not {expected}: {cause}");
            }
        }
        assert!(refused > 20);
    }

    #[test]
    fn paths_are_those_of_serde_path_to_error() {
        agrees::<Batch>(include_str!("../../batches/flat-to-subvolumes.json"));
        agrees::<ViScript>(include_str!("../../viscripts/btrfs_root_viScript.json"));
        agrees::<ViScript>(include_str!(
            "../../viscripts/system_validation_viScript.json"
        ));
        agrees::<CheckSpec>(r#"{"memory": {"minimum": "4 GB"}}"#);
        agrees::<StepSpec>(r#"{"snapshot": {"from": "/", "to": "a"}}"#);
        agrees::<HashMap<String, Vec<(i64, Option<u32>)>>>(r#"{"a": [[1, 2]], "b": [[-3, null]]}"#);
    }
}
