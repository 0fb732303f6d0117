//! `docs/reference.md`, made of the schemas: every key, every kind of step and check.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};

use super::schemas::Document;

const HEAD: &str = "# Reference

<!-- Made by `cargo xtask schema` of the program's types. Changes by hand are lost. -->

Every key of every document, every kind of step and check. What they are for is told in
[Batches and viScripts](documents.md); how to begin, in [Write your own viScript](tutorial.md). The same as
JSON Schema, for editors: `schemas/` here, `/usr/share/rootshift/schemas` where the package is installed.
Unknown keys are errors. A key with **required** for its default must be there.
";

/// Stands for a default where there is none.
const REQUIRED: &str = "**required**";

type Keys = Map<String, Value>;

/// The whole page.
pub(super) fn text(documents: &[Document]) -> Result<String> {
    let mut page = Page {
        text: HEAD.to_owned(),
        ..Page::default()
    };
    for document in documents {
        page.document(document)
            .with_context(|| format!("the reference of {}", document.title))?;
    }
    Ok(page.text)
}

#[derive(Default)]
struct Page {
    text: String,
    /// Definitions of the document at hand.
    types: Keys,
    /// What was written, under which heading.
    written: BTreeMap<String, (Value, String)>,
    /// Names of definitions that are still to be written.
    waiting: Vec<String>,
}

impl Page {
    fn document(&mut self, document: &Document) -> Result<()> {
        let schema = document.schema.as_object().context("it is no object")?;
        self.types = match schema.get("$defs") {
            Some(types) => types.as_object().cloned().context("its types")?,
            None => Keys::new(),
        };
        let name = document.title.trim_start_matches("rootshift ");
        self.line(&format!(
            "\n## {}{}\n",
            name[..1].to_uppercase(),
            &name[1..]
        ));
        self.body(schema)?;
        while !self.waiting.is_empty() {
            let name = self.waiting.remove(0);
            let schema = self.find(&name)?;
            let (_, heading) = self.written.get(&name).context("it was named before")?;
            self.line(&format!("\n### {heading}\n"));
            self.body(&schema)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn find(&self, name: &str) -> Result<Keys> {
        let found = self.types.get(name).and_then(Value::as_object);
        found.cloned().with_context(|| format!("no type {name}"))
    }

    /// What a type is: its words, then its keys, its kinds or its values.
    fn body(&mut self, schema: &Keys) -> Result<()> {
        self.line(&description(schema));
        for rule in list(schema, "allOf") {
            let rule = rule.as_object().context("a rule is no object")?;
            self.line(&format!("\n{}", description(rule)));
        }
        if !properties(schema).is_empty() {
            return self.table(schema);
        }
        let variants = list(schema, "oneOf");
        if !variants.is_empty() {
            self.line("");
        }
        for variant in variants {
            self.variant(variant.as_object().context("a variant is no object")?)?;
        }
        if variants.is_empty() && !schema.contains_key("enum") {
            let limits = limits(schema);
            if !limits.is_empty() {
                self.line(&format!("\nA {}{limits}.", text_of(schema, "type")));
            }
        }
        Ok(())
    }

    fn table(&mut self, schema: &Keys) -> Result<()> {
        self.line("\n| key | type | default | means |\n|---|---|---|---|");
        for (key, value) in in_order(schema) {
            let value = value.as_object().with_context(|| format!("key {key}"))?;
            let cells = [
                format!("`{key}`"),
                self.kind_of(schema, key, value)?,
                default(schema, key, value),
                description(value).replace('\n', " "),
            ];
            let cells = cells.map(|cell| cell.replace('|', "\\|"));
            self.line(&format!("| {} |", cells.join(" | ")));
        }
        Ok(())
    }

    /// A value of an enumeration, or a kind with its own keys.
    fn variant(&mut self, variant: &Keys) -> Result<()> {
        let words = description(variant);
        if let Some(value) = variant.get("const") {
            self.line(&item("", &value_text(value), "", &words));
            return Ok(());
        }
        for value in list(variant, "enum") {
            self.line(&item("", &value_text(value), "", &words));
        }
        for (kind, inner) in properties(variant) {
            self.line(&item("", &format!("`{kind}`"), "", &words));
            let inner = self.resolved(inner)?;
            for (key, value) in in_order(&inner) {
                let value = value.as_object().with_context(|| format!("key {key}"))?;
                let kind = self.kind_of(&inner, key, value)?;
                let about = match default(&inner, key, value).as_str() {
                    "" => format!(" ({kind}; optional)"),
                    REQUIRED => format!(" ({kind}; {REQUIRED})"),
                    default => format!(" ({kind}; default {default})"),
                };
                self.line(&item(
                    "  ",
                    &format!("`{key}`"),
                    &about,
                    &description(value),
                ));
            }
        }
        Ok(())
    }

    fn resolved(&self, schema: &Value) -> Result<Keys> {
        let schema = schema.as_object().context("a kind's keys")?;
        match reference(schema) {
            Some(name) => self.find(name),
            None => Ok(schema.clone()),
        }
    }

    /// The type of a key's value; that `null` stands for a missing key goes without saying.
    fn kind_of(&mut self, schema: &Keys, key: &str, value: &Keys) -> Result<String> {
        let kind = self.kind(value).with_context(|| format!("key {key}"))?;
        match kind.strip_suffix(" or null") {
            Some(kind) if !is_required(schema, key) => Ok(kind.to_owned()),
            _ => Ok(kind),
        }
    }

    /// A value's type in a few words, with a link to where it is described.
    fn kind(&mut self, schema: &Keys) -> Result<String> {
        if let Some(name) = reference(schema) {
            return self.link(name);
        }
        let choices: Vec<String> = list(schema, "enum").iter().map(value_text).collect();
        if !choices.is_empty() {
            return Ok(choices.join(", "));
        }
        if let Some(only) = schema.get("const") {
            return Ok(value_text(only));
        }
        let choices = match list(schema, "anyOf") {
            [] => list(schema, "oneOf"),
            choices => choices,
        };
        if !choices.is_empty() {
            let mut words = Vec::new();
            for choice in choices {
                words.push(self.kind(choice.as_object().context("a choice")?)?);
            }
            return Ok(words.join(" or "));
        }
        self.plain_kind(schema)
    }

    fn plain_kind(&mut self, schema: &Keys) -> Result<String> {
        let mut words = Vec::new();
        let types = match schema.get("type") {
            Some(Value::Array(types)) => types.clone(),
            Some(only) => vec![only.clone()],
            None => bail!("its type is not said: {}", Value::Object(schema.clone())),
        };
        for name in types.iter().filter_map(Value::as_str) {
            words.push(
                match (
                    name,
                    schema.get("items"),
                    schema.get("additionalProperties"),
                ) {
                    ("array", Some(Value::Object(items)), _) => {
                        format!("list of {}", self.kind(items)?)
                    }
                    ("object", _, Some(Value::Object(values))) => {
                        format!("object of any key to {}", self.kind(values)?)
                    }
                    ("string" | "boolean" | "integer" | "number" | "null", _, _) => name.to_owned(),
                    _ => bail!("its type is not known here: {name}"),
                },
            );
        }
        Ok(words.join(" or ") + &limits(schema))
    }

    fn link(&mut self, name: &str) -> Result<String> {
        let schema = Value::Object(self.find(name)?);
        let heading = match self.written.get(name) {
            Some((same, heading)) if *same == schema => heading.clone(),
            Some(_) => bail!("two documents have different types of the name {name}"),
            None => {
                let heading = spaced(name);
                self.waiting.push(name.to_owned());
                self.written
                    .insert(name.to_owned(), (schema, heading.clone()));
                heading
            }
        };
        let anchor = heading.to_lowercase().replace(' ', "-");
        Ok(format!("[{heading}](#{anchor})"))
    }
}

fn item(indent: &str, name: &str, about: &str, words: &str) -> String {
    let words = words.replace('\n', " ");
    let mut line = format!("{indent}- {name}{about}");
    if !words.is_empty() {
        // Writing to a String can't fail.
        _ = write!(line, ": {words}");
    }
    line
}

/// `SubvolumeLayout` is "Subvolume layout", `StepSpec` is "Step kinds".
fn spaced(name: &str) -> String {
    let mut words = String::new();
    let name = name
        .replace("ViScript", "Viscript")
        .replace("Spec", "Kinds");
    for (index, letter) in name.chars().enumerate() {
        if index > 0 && letter.is_ascii_uppercase() {
            words.push(' ');
            words.push(letter.to_ascii_lowercase());
        } else {
            words.push(letter);
        }
    }
    words
        .replace("Viscript", "ViScript")
        .replace("viscript", "viScript")
}

fn description(schema: &Keys) -> String {
    text_of(schema, "description").replace("\n\n", "\n")
}

fn text_of(schema: &Keys, key: &str) -> String {
    let text = schema.get(key).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn list<'a>(schema: &'a Keys, key: &str) -> &'a [Value] {
    let list = schema.get(key).and_then(Value::as_array);
    list.map(Vec::as_slice).unwrap_or_default()
}

fn properties(schema: &Keys) -> Vec<(&str, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let all = properties.into_iter().flatten();
    all.map(|(key, value)| (key.as_str(), value)).collect()
}

/// Required keys as the type has them, then the others by name.
fn in_order(schema: &Keys) -> Vec<(&str, &Value)> {
    let required = list(schema, "required");
    let mut keys = properties(schema);
    keys.sort_by_key(|(key, _)| {
        let at = required.iter().position(|name| name == key);
        at.unwrap_or(required.len())
    });
    keys
}

fn reference(schema: &Keys) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

fn is_required(schema: &Keys, key: &str) -> bool {
    list(schema, "required").iter().any(|name| name == key)
}

/// What a value is when its key is missing.
fn default(schema: &Keys, key: &str, value: &Keys) -> String {
    if is_required(schema, key) {
        return REQUIRED.to_owned();
    }
    match value.get("default") {
        None | Some(Value::Null) => String::new(),
        Some(Value::Object(keys)) if keys.values().all(nothing) => String::new(),
        Some(default) => value_text(default),
    }
}

/// A default that says nothing: a section that is not there.
fn nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(keys) => keys.values().all(nothing),
        _ => false,
    }
}

fn value_text(value: &Value) -> String {
    format!("`{value}`")
}

fn limits(schema: &Keys) -> String {
    let mut said = Vec::new();
    let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
    let largest = bound("maximum").filter(|largest| *largest != u64::from(u32::MAX));
    match (bound("minimum"), largest) {
        (Some(least), Some(most)) => said.push(format!("{least} to {most}")),
        (Some(least @ 1..), None) => said.push(format!("at least {least}")),
        _ => {}
    }
    if let Some(least) = bound("minItems") {
        said.push(format!("at least {least}"));
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        said.push(format!("matching `{pattern}`"));
    }
    match said.as_slice() {
        [] => String::new(),
        said => format!(", {}", said.join(", ")),
    }
}
