//! Where in a document's text a value stands.

/// One part of a path into a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// A key of an object.
    Key(&'a str),
    /// An item of a list, from 0.
    Item(usize),
}

/// A value's place: line and column from 1, and the line's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Characters of the value on this line.
    pub width: usize,
    /// The line.
    pub text: String,
}

/// The place of the value at `path`; of the deepest part of it that exists.
#[must_use]
pub fn locate(text: &str, path: &[Part]) -> Place {
    let mut at = skip_blanks(text, 0);
    for part in path {
        match enter(text, at, part) {
            Some(inner) => at = inner,
            None => break,
        }
    }
    place(text, at, end_of_value(text, at))
}

/// The same for a path as messages write it: `steps[0].do.snapshot.to`.
#[must_use]
pub fn locate_written(text: &str, path: &str) -> Place {
    let parts = path.split('.').flat_map(|part| {
        let (key, items) = part.split_once('[').unwrap_or((part, ""));
        let items = items.split(['[', ']']).filter_map(|item| item.parse().ok());
        [Part::Key(key)].into_iter().chain(items.map(Part::Item))
    });
    locate(text, &parts.collect::<Vec<Part>>())
}

fn place(text: &str, start: usize, end: usize) -> Place {
    let before = text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text
        .get(line_start..)
        .unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default();
    let line_end = line_start + line.len();
    let count = |from: usize, to: usize| text.get(from..to).map_or(0, |part| part.chars().count());
    Place {
        line: before.matches('\n').count() + 1,
        column: count(line_start, start) + 1,
        width: count(start, end.min(line_end)).max(1),
        text: line.to_owned(),
    }
}

/// Where the value of a key or item begins, inside the object or list that begins at `at`.
fn enter(text: &str, at: usize, part: &Part) -> Option<usize> {
    let opening = byte(text, at)?;
    let mut at = skip_blanks(text, at + 1);
    let mut index = 0;
    while !matches!(byte(text, at)?, b'}' | b']') {
        let mut value = at;
        let mut key = "";
        if opening == b'{' {
            let end = end_of_value(text, at);
            key = text.get(at + 1..end - 1)?;
            value = skip_blanks(text, skip_blanks(text, end) + 1);
        }
        let found = match part {
            Part::Key(wanted) => opening == b'{' && key == *wanted,
            Part::Item(wanted) => opening == b'[' && index == *wanted,
        };
        if found {
            return Some(value);
        }
        at = skip_blanks(text, end_of_value(text, value));
        if byte(text, at) == Some(b',') {
            at = skip_blanks(text, at + 1);
        }
        index += 1;
    }
    None
}

fn end_of_value(text: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(sign) = byte(text, at) {
        match sign {
            b'"' => {
                at = end_of_string(text, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return if depth == 1 { at + 1 } else { at },
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return at,
            sign if depth == 0 && sign.is_ascii_whitespace() => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

fn end_of_string(text: &str, start: usize) -> usize {
    let mut at = start + 1;
    while let Some(sign) = byte(text, at) {
        match sign {
            b'\\' => at += 1,
            b'"' => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at.min(text.len())
}

fn skip_blanks(text: &str, mut at: usize) -> usize {
    while byte(text, at).is_some_and(|sign| sign.is_ascii_whitespace()) {
        at += 1;
    }
    at
}

fn byte(text: &str, at: usize) -> Option<u8> {
    text.as_bytes().get(at).copied()
}

#[cfg(test)]
mod tests {
    use super::Part::{Item, Key};
    use super::{Place, locate, locate_written};

    const TEXT: &str = "{\n  \"a\": [1, {\"b\": \"x,]\\\"y\"}],\n  \"c\": true\n}";

    fn found(path: &[super::Part]) -> (usize, usize, usize) {
        let Place {
            line,
            column,
            width,
            ..
        } = locate(TEXT, path);
        (line, column, width)
    }

    #[test]
    fn values_are_found_where_they_stand() {
        assert_eq!(found(&[Key("c")]), (3, 8, 4));
        assert_eq!(found(&[Key("a"), Item(0)]), (2, 9, 1));
        assert_eq!(found(&[Key("a"), Item(1), Key("b")]), (2, 18, 8));
    }

    #[test]
    fn a_written_path_leads_to_the_same_place() {
        assert_eq!(
            locate_written(TEXT, "a[1].b"),
            locate(TEXT, &[Key("a"), Item(1), Key("b")])
        );
        assert_eq!(
            locate_written(TEXT, "a[7]"),
            locate(TEXT, &[Key("a"), Item(7)])
        );
    }

    #[test]
    fn what_does_not_exist_is_placed_at_the_deepest_part_that_does() {
        assert_eq!(found(&[Key("a"), Item(7)]), (2, 8, 20));
        assert_eq!(found(&[Key("z")]).0, 1);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = locate(&text, &[Key("a"), Item(0), Key("b")]);
            let _ = locate_written("{\"a\": [1]}", &text);
        }
    }
}
