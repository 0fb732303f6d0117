//! Filling in a step template: `{name}` in its strings becomes a value.

use serde_json::Value;

use super::{Action, Error, StepSpec, json, parse};

/// The names and values of one repetition.
pub type Values<'a> = [(&'a str, &'a str)];

/// The step with every `{…}` in its strings replaced, and its paths held to their types.
///
/// # Errors
/// When a `{…}` names no value, or the filled-in step makes no sense.
pub fn fill_in(file: &str, at: &str, step: &StepSpec, values: &Values) -> Result<Action, Error> {
    let refuse = |problem: String| Error::Sense {
        file: file.into(),
        at: at.into(),
        problem,
    };
    let mut tree = json::tree(step).map_err(|cause| refuse(cause.to_string()))?;
    fill_in_value(&mut tree, values).map_err(&refuse)?;
    let text = json::text(&tree).map_err(|cause| refuse(cause.to_string()))?;
    parse::document(file, &text).map_err(|error| match error {
        // Its line and column are those of the text with the values, which nobody has written.
        Error::Parse {
            at: inside,
            problem,
            ..
        } => Error::Sense {
            file: file.into(),
            at: format!("{at}.{}", inside.trim_end_matches(": ")),
            problem,
        },
        other => other,
    })
}

fn fill_in_value(json: &mut Value, values: &Values) -> Result<(), String> {
    match json {
        Value::String(text) => {
            *text = fill_in_text(text, values)?;
            Ok(())
        }
        Value::Array(items) => items
            .iter_mut()
            .try_for_each(|item| fill_in_value(item, values)),
        Value::Object(fields) => fields
            .values_mut()
            .try_for_each(|field| fill_in_value(field, values)),
        _ => Ok(()),
    }
}

fn fill_in_text(text: &str, values: &Values) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| format!("\"{text}\" lacks a closing brace"))?;
        let known = values.iter().find(|(known, _)| *known == name);
        let (_, value) = known.ok_or_else(|| {
            let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
            format!(
                "\"{{{name}}}\" has no value here; there are {}",
                names.join(", ")
            )
        })?;
        filled.push_str(before);
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::fill_in;
    use crate::documents::plan::STAGING;
    use crate::documents::step::Snapshot;
    use crate::documents::{StepSpec, json};
    use serde_json::{Value, json};

    fn snapshot(from: &str, to: &str) -> StepSpec {
        StepSpec::Snapshot(Snapshot {
            from: from.into(),
            to: to.into(),
        })
    }

    fn filled(step: &StepSpec, values: &[(&str, &str)]) -> Result<Value, String> {
        let filled = fill_in("v.json", "steps[0].do", step, values);
        filled
            .map(|action| json::tree(&action).unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn names_become_values() {
        let step = snapshot("/", "{staging}/{name}");
        let filled = filled(&step, &[("name", "@home"), ("staging", STAGING)]);
        let wanted = json!({"snapshot": {"from": "/", "to": ".rootshift/new/@home"}});
        assert_eq!(filled.unwrap(), wanted);
    }

    #[test]
    fn a_value_is_never_filled_in_again() {
        let step = snapshot("/{name}", "{staging}/@");
        let filled = filled(&step, &[("name", "{name}"), ("staging", STAGING)]);
        assert_eq!(filled.unwrap()["snapshot"]["from"], "/{name}");
    }

    #[test]
    fn an_unknown_name_and_an_open_brace_are_refused() {
        for (text, part) in [
            ("{nmae}", "\"{nmae}\" has no value here"),
            ("{name", "closing brace"),
        ] {
            let refused = filled(&snapshot("/", text), &[("name", "@")]);
            assert!(refused.unwrap_err().contains(part));
        }
    }

    #[test]
    fn what_a_value_makes_of_a_path_is_named_where_the_document_has_it() {
        let refused = filled(&snapshot("/", "{name}"), &[("name", "@")]).unwrap_err();
        let begin = "v.json: steps[0].do.snapshot.to: \"@\" is not below the staging place";
        assert!(refused.starts_with(begin), "{refused}");
    }
}
