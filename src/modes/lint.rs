//! `rootshift lint`.

use std::path::Path;

use serde_json::{Value, json};

use super::Error;
use crate::cli::{Exit, Lint};
use crate::documents::lint::{Problem, Severity, Source, lint};
use crate::report::print;
use crate::sys::Root;

pub(super) fn run(options: &Lint) -> Result<Exit, Error> {
    if options.files.is_empty() {
        return Err(Error::Usage("lint: name batches and viScripts".into()));
    }
    let mut sources = Vec::new();
    for file in &options.files {
        sources.push(Source {
            file: file.clone(),
            text: read(file)?,
        });
    }
    let problems = lint(&sources);
    let failed = problems
        .iter()
        .any(|problem| problem.severity == Severity::Error);
    if options.json {
        let problems: Vec<Value> = problems.iter().map(as_json).collect();
        print::json(&json!({ "clean": !failed, "problems": problems }));
    } else {
        for problem in &problems {
            print::line(&format!("{}\n", problem.render()));
        }
        print::line(&format!(
            "{} documents, {} problems",
            sources.len(),
            problems.len()
        ));
    }
    Ok(if failed { Exit::NotWell } else { Exit::Success })
}

fn read(file: &str) -> Result<String, Error> {
    let path = Path::new(file);
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let root = Root::open(folder.unwrap_or(Path::new(".")))?;
    Ok(root.read_text(Path::new(path.file_name().unwrap_or_default()))?)
}

fn as_json(problem: &Problem) -> Value {
    let place = problem.place.as_ref();
    json!({
        "severity": if problem.severity == Severity::Error { "error" } else { "warning" },
        "file": problem.file,
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
        "what": problem.what,
        "help": problem.help,
    })
}
