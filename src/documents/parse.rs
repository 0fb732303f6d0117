//! Strict JSON parsing with an error that says where and what instead.

use serde::de::DeserializeOwned;

use super::strict::Strict;
use super::{Error, place};

/// Documents are small; a larger file is a mistake.
pub const SIZE_LIMIT: usize = 1024 * 1024;

/// Parses `bytes` as a `T`. Unknown keys, missing keys, duplicate keys and trailing text are
/// errors, and so is a list where an object is wanted.
///
/// # Errors
/// [`Error::Parse`] with line, column, the path inside the document and the nearest known name.
pub fn document<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<T, Error> {
    let refuse = |line, column, at: String, problem: String| Error::Parse {
        file: file.to_owned(),
        line,
        column,
        at,
        hint: hint(&problem),
        problem,
    };
    if bytes.len() > SIZE_LIMIT {
        let problem = format!(
            "{} bytes is more than any document ({SIZE_LIMIT})",
            bytes.len()
        );
        return Err(refuse(1, 1, String::new(), problem));
    }
    read(bytes).map_err(|error| {
        // The column of a syntax error counts the wrong sign too, which is at no place yet.
        let read = error.column().saturating_sub(error.is_syntax().into());
        let at = match place::path(bytes, error.line(), read) {
            top if top.is_empty() => top,
            path => format!("{path}: "),
        };
        let problem = without_place(&error.to_string());
        refuse(error.line(), error.column(), at, problem)
    })
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = T::deserialize(Strict(&mut reader))?;
    reader.end()?;
    Ok(value)
}

fn without_place(message: &str) -> String {
    match message.rfind(" at line ") {
        Some(end) => message.get(..end).unwrap_or(message).to_owned(),
        None => message.to_owned(),
    }
}

/// `unknown field \`x\`, expected one of \`a\`, \`b\`` gets the nearest of the expected names.
fn hint(problem: &str) -> String {
    let mut quoted = problem.split('`').skip(1).step_by(2);
    let Some(unknown) = quoted.next().filter(|_| problem.starts_with("unknown ")) else {
        return String::new();
    };
    match nearest(unknown, quoted) {
        Some(name) => format!("; did you mean `{name}`?"),
        None => String::new(),
    }
}

/// The name nearest to `unknown`, when one is near enough to be meant.
pub fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
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
            "b.json:3:13: phases[0].reqiured: unknown field `reqiured`, expected `required`; \
             did you mean `required`?"
        );
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
            ("", "b.json:1:0: EOF"),
            ("{\"phases\": [", "EOF while parsing"),
            ("{\"phases\": 3}", "invalid type: integer"),
            ("{\"phases\": [], \"phases\": []}", "duplicate field"),
            ("{\"phases\": []} x", "trailing characters"),
            ("{}", "missing field `phases`"),
        ] {
            assert!(message(text).contains(part), "{text}: {}", message(text));
        }
    }

    #[test]
    fn an_object_is_not_a_list_of_its_values() {
        // Twelve bytes are read before the list begins.
        assert_eq!(
            message("{\"phases\": [[true]]}"),
            "b.json:1:12: phases[0]: invalid type: sequence, expected struct Inner"
        );
        let list = document::<crate::documents::CheckSpec>("c.json", b"{\"memory\": [\"4 GB\"]}");
        assert!(list.is_err(), "{list:?}");
    }

    #[test]
    fn deep_nesting_and_large_files_are_refused() {
        assert!(message(&"[".repeat(10_000)).contains("invalid type"));
        let deep = format!("{{\"phases\": {}", "[".repeat(10_000));
        assert!(!message(&deep).is_empty());
        assert!(message(&" ".repeat(2 * super::SIZE_LIMIT)).contains("more than any document"));
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
