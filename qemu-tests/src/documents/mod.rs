//! Schemas and reference of the documents: made of the program's types, committed, and held
//! against the types, the shipped documents and the program's own parser.

mod reference;
mod schemas;

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod samples;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

pub use schemas::{Document, all};

/// The files that are made of the types: path inside the project, and text.
pub fn generated() -> Result<Vec<(PathBuf, String)>> {
    let documents = all();
    let mut files = Vec::new();
    for document in &documents {
        let path = format!("schemas/{}.schema.json", document.name);
        let text = serde_json::to_string_pretty(&document.schema)? + "\n";
        files.push((path.into(), text));
    }
    files.push(("docs/reference.md".into(), reference::text(&documents)?));
    Ok(files)
}

/// Writes the generated files into the project at `root`.
pub fn write(root: &Path) -> Result<()> {
    for (path, text) in generated()? {
        let path = root.join(path);
        let folder = path.parent().context("a generated file has a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// Fails, in one line, when a committed file is not what the types make.
pub fn check(root: &Path) -> Result<()> {
    let mut stale = Vec::new();
    for (path, text) in generated()? {
        if fs::read_to_string(root.join(&path)).ok() != Some(text) {
            stale.push(path.display().to_string());
        }
    }
    match stale.as_slice() {
        [] => Ok(()),
        stale => bail!(
            "not what the types say: {}; run `cargo xtask schema` and commit what it writes",
            stale.join(", ")
        ),
    }
}

/// Holds `json` against the schema in this file, by a validator that shares no code with
/// rootshift; the error names every place that does not fit.
pub fn validate(schema: &Path, json: &Value) -> Result<(), String> {
    let text = fs::read(schema).map_err(|error| format!("read {}: {error}", schema.display()))?;
    let text: Value = serde_json::from_slice(&text)
        .map_err(|error| format!("{} is no JSON: {error}", schema.display()))?;
    let validator = jsonschema::draft202012::new(&text)
        .map_err(|error| format!("{} is no schema: {error}", schema.display()))?;
    problems(&validator, json)
}

fn problems(validator: &jsonschema::Validator, json: &Value) -> Result<(), String> {
    let problems: Vec<String> = validator
        .iter_errors(json)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::{check, write};

    #[test]
    fn a_changed_file_and_a_missing_one_are_named_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        check(folder.path()).unwrap();
        std::fs::write(folder.path().join("schemas/batch.schema.json"), "{}").unwrap();
        std::fs::remove_file(folder.path().join("docs/reference.md")).unwrap();
        let said = check(folder.path()).unwrap_err().to_string();
        for part in [
            "schemas/batch.schema.json, docs/reference.md;",
            "cargo xtask schema",
        ] {
            assert!(said.contains(part), "{said}");
        }
        assert!(!said.contains("viscript") && !said.contains('\n'), "{said}");
    }
}
