//! Strict JSON parsing with an error that says where and what instead.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Error;
use super::json::visible;
use super::place::{self, Flaw};
use super::reader::{Node, Path};

/// Documents are small; a larger file is a mistake.
pub const SIZE_LIMIT: usize = 1024 * 1024;

/// What is said at most of a text that is wrong, in bytes: a whole document may be one.
const MESSAGE_LIMIT: usize = 2000;
/// A longer name is nobody's mistyping.
const NAME_LIMIT: usize = 64;

/// Parses `bytes` as a `T`. Unknown keys, missing keys, duplicate keys, lists in the place of
/// objects and trailing text are errors.
///
/// # Errors
/// [`Error::Parse`] with line, column, the path inside the document and the nearest known name.
pub fn document<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<T, Error> {
    let tree = tree(file, bytes)?;
    let path = Path::default();
    let value = T::deserialize(Node::top(&tree, &path));
    value.map_err(|error| misfit(file, bytes, path, &error))
}

/// The same for what people write: neither is there a control character in any string of it, so
/// its names can be shown as they are, and its paths given to the kernel.
///
/// # Errors
/// As [`document`].
pub fn written<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<T, Error> {
    let value = document(file, bytes)?;
    without(place::control_character(bytes), file, bytes)?;
    Ok(value)
}

fn tree(file: &str, bytes: &[u8]) -> Result<Value, Error> {
    is_text(file, bytes)?;
    let tree = serde_json::from_slice(bytes).map_err(|error| unreadable(file, bytes, &error))?;
    without(place::duplicate_key(bytes), file, bytes)?;
    Ok(tree)
}

fn without(flaw: Option<Flaw>, file: &str, bytes: &[u8]) -> Result<(), Error> {
    flaw.map_or(Ok(()), |flaw| Err(refused(file, bytes, flaw)))
}

/// An error that names a path in this document, with the line and column of it.
#[must_use]
pub fn placed(bytes: &[u8], error: Error) -> Error {
    let Error::Sense { file, at, problem } = error else {
        return error;
    };
    let flaw = Flaw {
        offset: place::find(bytes, &at),
        path: at,
        problem,
    };
    refused(&file, bytes, flaw)
}

/// Refuses what can't be JSON whatever is in it.
///
/// # Errors
/// [`Error::Parse`].
pub fn is_text(file: &str, bytes: &[u8]) -> Result<(), Error> {
    let flaw = |offset, problem: String| {
        let path = place::path_at(bytes, offset);
        Err(refused(
            file,
            bytes,
            Flaw {
                offset,
                path,
                problem,
            },
        ))
    };
    if bytes.len() > SIZE_LIMIT {
        return Err(too_large(file, bytes.len() as u64));
    }
    if bytes.starts_with("\u{feff}".as_bytes()) {
        let what = "the document begins with a byte order mark; save it as UTF-8 without one";
        return flaw(0, what.into());
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        let at = error.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        return flaw(
            at,
            format!("not UTF-8: the byte {byte:#04x}; save the document as UTF-8"),
        );
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return flaw(0, "the document is empty".into());
    }
    Ok(())
}

/// Refuses a document of this many bytes.
#[must_use]
pub fn too_large(file: &str, size: u64) -> Error {
    let problem = format!("{size} bytes are more than any document has ({SIZE_LIMIT})");
    no_document(file, &problem)
}

/// Refuses a file as a whole.
#[must_use]
pub fn no_document(file: &str, problem: &str) -> Error {
    parse_error(file, (1, 1), "", problem, String::new())
}

/// What is no JSON, with the place where it ceases to be.
fn unreadable(file: &str, bytes: &[u8], error: &serde_json::Error) -> Error {
    // The column of a syntax error counts the wrong sign too, which is at no place yet.
    let read = error.column().saturating_sub(error.is_syntax().into());
    let path = place::path(bytes, error.line(), read);
    let problem = in_words(&error.to_string());
    let place = (error.line(), error.column().max(1));
    parse_error(file, place, &path, &problem, String::new())
}

/// What is JSON and not what was asked for.
fn misfit(file: &str, bytes: &[u8], path: Path, error: &serde_json::Error) -> Error {
    let (path, problem) = (path.into_text(), error.to_string());
    let place = place::line_and_column(bytes, place::find(bytes, &path));
    parse_error(file, place, &path, &problem, hint(&problem))
}

fn refused(file: &str, bytes: &[u8], flaw: Flaw) -> Error {
    let place = place::line_and_column(bytes, flaw.offset);
    parse_error(file, place, &flaw.path, &flaw.problem, String::new())
}

fn parse_error(
    file: &str,
    place: (usize, usize),
    path: &str,
    problem: &str,
    hint: String,
) -> Error {
    let at = match short(path) {
        top if top.is_empty() => top,
        path => format!("{path}: "),
    };
    let (line, column) = place;
    Error::Parse {
        file: visible(file, &[]),
        line,
        column,
        at,
        problem: short(problem),
        hint,
    }
}

/// One line that can be shown: the begin and the end of what is too long.
fn short(text: &str) -> String {
    let text = visible(text, &[]);
    let end = text.len().saturating_sub(MESSAGE_LIMIT / 2);
    if end <= MESSAGE_LIMIT / 2 {
        return text;
    }
    let begin = boundary(&text, MESSAGE_LIMIT / 4);
    let (begin, end) = (text.get(..begin), text.get(boundary(&text, end)..));
    format!("{}…{}", begin.unwrap_or_default(), end.unwrap_or_default())
}

/// The last place up to `at` where a character ends.
fn boundary(text: &str, at: usize) -> usize {
    let ends = (0..=at).rev().find(|at| text.is_char_boundary(*at));
    ends.unwrap_or_default()
}

/// serde_json's message without its place, and in words of JSON.
fn in_words(message: &str) -> String {
    let message = match message.rfind(" at line ") {
        Some(end) => message.get(..end).unwrap_or(message),
        None => message,
    };
    match message.strip_prefix("EOF while parsing ") {
        Some(what) => format!(
            "the document ends in the middle of {what}; it was cut off, or a bracket is not closed"
        ),
        None => message.to_owned(),
    }
}

/// `unknown field \`x\`, expected one of \`a\`, \`b\`` gets the nearest of the expected names.
fn hint(problem: &str) -> String {
    let named = problem.strip_prefix("unknown ").and_then(|rest| {
        // What is unknown may hold quotes of its own; the names that are expected hold none.
        let (unknown, expected) = rest.rsplit_once("`, expected ")?;
        let (_, unknown) = unknown.split_once('`')?;
        nearest(unknown, expected.split('`').skip(1).step_by(2))
    });
    match named {
        Some(name) => format!("; did you mean `{name}`?"),
        None => String::new(),
    }
}

/// The name nearest to `unknown`, when one is near enough to be meant.
pub fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .filter(|_| unknown.len() <= NAME_LIMIT)
        .map(|name| {
            (
                edit_distance(&unknown.to_ascii_lowercase(), &name.to_ascii_lowercase()),
                name,
            )
        })
        .min()
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
        .map(|(_, name)| name)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, left) in a.chars().enumerate() {
        let mut diagonal = line;
        let mut before = line + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(&b) {
            let changed = diagonal + usize::from(left != *right);
            diagonal = *cell;
            *cell = changed.min(diagonal + 1).min(before + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{document, edit_distance, nearest};
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[allow(dead_code)]
        phases: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[allow(dead_code)]
        required: bool,
    }

    fn message(text: &str) -> String {
        document::<Sample>("b.json", text.as_bytes())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_the_nearest_name() {
        let text = "{\n \"phases\": [\n  {\"reqiured\": true}]}";
        assert_eq!(
            message(text),
            "b.json:3:16: phases[0].reqiured: unknown field `reqiured`, expected `required`; \
             did you mean `required`?"
        );
    }

    /// Found by fuzzing.
    #[test]
    fn a_key_with_quotes_in_it_is_not_taken_for_known_names() {
        for key in [
            "x``requir",
            "`, expected one of `requires",
            "requires`\u{7f}",
        ] {
            let text = format!("{{\"phases\": [{{\"{key}\": true}}]}}");
            let said = message(&text);
            assert!(!said.contains(char::is_control), "{said:?}");
            let near = said.ends_with("did you mean `required`?");
            assert!(
                near == key.starts_with("requ") && near == said.contains("did you"),
                "{said}"
            );
        }
    }

    #[test]
    fn a_wrong_sign_is_named_with_the_place_before_it() {
        assert_eq!(
            message("{\"phases\": [{\"required\": true}, {]}"),
            "b.json:1:34: phases[1]: key must be a string"
        );
        assert_eq!(
            message("{\"phases\": [{\"required\": yes}]}"),
            "b.json:1:26: phases[0].required: expected value"
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("", "b.json:1:1: the document is empty"),
            (
                "{\"phases\": [",
                "the document ends in the middle of a list",
            ),
            ("{\"phases\": 3}", "invalid type: integer"),
            ("{\"phases\": [], \"phases\": []}", "duplicate key `phases`"),
            ("{\"phases\": []} x", "trailing characters"),
            ("{}", "missing field `phases`"),
        ] {
            assert!(message(text).contains(part), "{text}: {}", message(text));
        }
    }

    #[test]
    fn an_object_is_not_a_list_of_its_values() {
        assert_eq!(
            message("{\"phases\": [[true]]}"),
            "b.json:1:13: phases[0]: invalid type: sequence, expected struct Inner"
        );
        let list = document::<crate::documents::CheckSpec>("c.json", b"{\"memory\": [\"4 GB\"]}");
        assert!(list.is_err(), "{list:?}");
    }

    #[test]
    fn deep_nesting_and_large_files_are_refused() {
        assert!(message(&"[".repeat(10_000)).contains("recursion limit exceeded"));
        let deep = format!("{{\"phases\": {}", "[".repeat(10_000));
        assert!(!message(&deep).is_empty());
        assert!(message(&" ".repeat(super::SIZE_LIMIT + 1)).contains("more than any document has"));
    }

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(
            nearest("Name", ["name", "version"].into_iter()),
            Some("name")
        );
        assert_eq!(nearest("zzzzzz", ["name", "version"].into_iter()), None);
    }
}
