//! Where in a document things are, and what serde lets pass in it.
//!
//! Only for messages, and to look a document over before it is understood.

use serde_json::{Map, Value};

use super::json::is_control;

/// What encloses a place.
enum Inside<'a> {
    /// An object: the last key that was read, as it is written, and all keys before.
    Object(Option<&'a [u8]>, Map<String, Value>),
    /// A list; the index of the last item.
    List(usize),
}

/// What was read last.
enum Token<'a> {
    /// An object's key, as it is written between its quotes.
    Key(&'a [u8]),
    /// A value that is a string, as it is written between its quotes.
    Text(&'a [u8]),
    /// An object or a list begins.
    Open,
    /// A sign of any other value.
    Value,
    /// Blanks, commas, colons, closing brackets.
    Sign,
}

/// Goes through a document, sound or not, from left to right.
struct Walk<'a> {
    rest: &'a [u8],
    open: Vec<Inside<'a>>,
}

/// Something wrong with a document that serde has nothing against.
pub(super) struct Flaw {
    /// Its offset in the document.
    pub offset: usize,
    /// Its path.
    pub path: String,
    /// What is wrong.
    pub problem: String,
}

/// The path of what ends at this line and column, counted as serde_json does: lines from 1, and
/// the bytes of the line that were read. Empty at the top.
pub(super) fn path(document: &[u8], line: usize, column: usize) -> String {
    let lines = document.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines.take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    path_at(document, before.saturating_add(column))
}

/// The path of what ends at this offset.
pub(super) fn path_at(document: &[u8], offset: usize) -> String {
    let mut walk = Walk::new(document.get(..offset).unwrap_or(document));
    while walk.next().is_some() {}
    in_words(&walk.open)
}

/// Where the value at `path` begins; where as much of the path ends as there is.
pub(super) fn find(document: &[u8], mut path: &str) -> usize {
    while !path.is_empty() {
        let mut walk = Walk::new(document);
        while let Some(token) = walk.next() {
            let (around, own) = match token {
                Token::Text(text) => (0, text.len() + 2),
                Token::Value => (0, 1),
                Token::Open => (1, 1),
                Token::Key(_) | Token::Sign => continue,
            };
            let around = walk.open.len().saturating_sub(around);
            if walk.open.get(..around).map(in_words).as_deref() == Some(path) {
                return walk.offset(document).saturating_sub(own);
            }
        }
        path = path
            .rsplit_once(['.', '['])
            .map_or("", |(around, _)| around);
    }
    let blank = |byte: &u8| byte.is_ascii_whitespace();
    document.iter().take_while(|byte| blank(byte)).count()
}

/// Line and column of an offset, both from 1, columns in characters.
pub(super) fn line_and_column(document: &[u8], offset: usize) -> (usize, usize) {
    let before = document.get(..offset).unwrap_or(document);
    let start = before.iter().rposition(|byte| *byte == b'\n');
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let on_line = before.get(start.map_or(0, |start| start + 1)..);
    // Bytes that go on with a character do not begin one.
    let begins = |byte: &&u8| **byte & 0xc0 != 0x80;
    let column = on_line.unwrap_or_default().iter().filter(begins).count();
    (line, column + 1)
}

/// The first key that an object has twice: of a map, serde would keep the last.
pub(super) fn duplicate_key(document: &[u8]) -> Option<Flaw> {
    let mut walk = Walk::new(document);
    while let Some(token) = walk.next() {
        let Token::Key(text) = token else { continue };
        let key = decoded(text);
        if let Some(Inside::Object(_, seen)) = walk.open.last_mut()
            && seen.insert(key.clone(), Value::Null).is_some()
        {
            let problem = format!("duplicate key `{key}`; keep one of them");
            return Some(walk.flaw(document, text, problem));
        }
    }
    None
}

/// The first string that could make a terminal show something else than what is there, or that no
/// path can hold. Names stand on one line; other strings may have several.
pub(super) fn control_character(document: &[u8]) -> Option<Flaw> {
    let mut walk = Walk::new(document);
    while let Some(token) = walk.next() {
        let (text, one_line) = match token {
            Token::Key(text) => (text, true),
            Token::Text(text) => (text, walk.is_in_name()),
            Token::Open | Token::Value | Token::Sign => continue,
        };
        let refused = |c: &char| is_control(*c) && (one_line || !matches!(c, '\n' | '\t'));
        if let Some(character) = decoded(text).chars().find(refused) {
            let code = u32::from(character);
            let problem =
                format!("the control character \\u{code:04x} has no place here; take it out");
            return Some(walk.flaw(document, text, problem));
        }
    }
    None
}

/// A string as it is meant: with its escapes resolved.
fn decoded(text: &[u8]) -> String {
    if text.contains(&b'\\') {
        let quoted = [b"\"", text, b"\""].concat();
        if let Ok(Value::String(text)) = serde_json::from_slice(&quoted) {
            return text;
        }
    }
    String::from_utf8_lossy(text).into_owned()
}

impl<'a> Walk<'a> {
    fn new(document: &'a [u8]) -> Self {
        let open = Vec::new();
        Self {
            rest: document,
            open,
        }
    }

    /// Reads on, over one token.
    fn next(&mut self) -> Option<Token<'a>> {
        let (byte, after) = self.rest.split_first()?;
        self.rest = after;
        match (byte, self.open.last_mut()) {
            (b'{', _) => self.open.push(Inside::Object(None, Map::new())),
            (b'[', _) => self.open.push(Inside::List(0)),
            (b'"', _) => return Some(self.string()),
            (b'}' | b']', _) => {
                self.open.pop();
            }
            (b',', Some(Inside::List(index))) => *index += 1,
            (b',', Some(Inside::Object(key, _))) => *key = None,
            _ => {}
        }
        Some(match byte {
            b'{' | b'[' => Token::Open,
            b'}' | b']' | b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => Token::Sign,
            _ => Token::Value,
        })
    }

    /// A string whose opening quote was read.
    fn string(&mut self) -> Token<'a> {
        let (text, after) = self.rest.split_at(length_of_string(self.rest));
        self.rest = after.get(1..).unwrap_or_default();
        match self.open.last_mut() {
            Some(Inside::Object(key @ None, _)) => {
                *key = Some(text);
                Token::Key(text)
            }
            _ => Token::Text(text),
        }
    }

    /// How far it was read.
    fn offset(&self, document: &[u8]) -> usize {
        document.len() - self.rest.len()
    }

    /// Whether what was just read is a name, or one of a list of names.
    fn is_in_name(&self) -> bool {
        let key = self.open.iter().rev().find_map(|inside| match inside {
            Inside::Object(key, _) => Some(key.unwrap_or_default()),
            Inside::List(_) => None,
        });
        let key = key.unwrap_or_default();
        [&b"name"[..], b"names", b"viScripts"]
            .iter()
            .any(|end| key.ends_with(end))
    }

    /// One in the string that was just read.
    fn flaw(&self, document: &[u8], text: &[u8], problem: String) -> Flaw {
        Flaw {
            offset: self.offset(document).saturating_sub(text.len() + 2),
            path: in_words(&self.open),
            problem,
        }
    }
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

fn in_words(enclosing: &[Inside<'_>]) -> String {
    let mut path = String::new();
    for inside in enclosing {
        match inside {
            Inside::List(index) => path.push_str(&format!("[{index}]")),
            Inside::Object(None, _) => {}
            Inside::Object(Some(key), _) => {
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
    use super::{duplicate_key, find, line_and_column, path};

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

    #[test]
    fn a_path_leads_back_to_its_place() {
        let text = "{\"a\":\n [1, {\"b\": \"x,]\", \"c\": {}}],\n \"ü\": \"ü\", \"d\": true}";
        for (path, line, column) in [
            ("a", 2, 2),
            ("a[0]", 2, 3),
            ("a[1]", 2, 6),
            ("a[1].b", 2, 12),
            ("a[1].c", 2, 24),
            ("ü", 3, 7),
            ("d", 3, 17),
            ("a[7].z", 2, 2),
            ("nowhere", 1, 1),
            ("", 1, 1),
        ] {
            let found = line_and_column(text.as_bytes(), find(text.as_bytes(), path));
            assert_eq!(found, (line, column), "{path}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_found_wherever_it_is() {
        let found =
            |text: &str| duplicate_key(text.as_bytes()).map(|flaw| (flaw.offset, flaw.path));
        assert_eq!(
            found(r#"{"a": {"b": 1}, "b": [{"b": 1}, {"b": "a"}]}"#),
            None
        );
        assert_eq!(found(r#"{"a": 1, "a": 2}"#), Some((9, "a".into())));
        assert_eq!(
            found(r#"[{}, {"a": {"x": 1, "y": {}, "\u0078": 2}}]"#)
                .unwrap()
                .0,
            29
        );
        assert_eq!(found(r#"{"a\"": 1, "a": 2}"#), None);
    }
}
