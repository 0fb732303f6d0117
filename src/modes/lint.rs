//! `rootshift lint`.

use serde_json::{Value, json};

use super::Error;
use crate::cli::{Exit, Lint};
use crate::documents::lint::{Problem, Severity, Source, blocks, lint, unparsable};
use crate::documents::{self, library, parse};
use crate::report::print;

pub(super) fn run(options: &Lint) -> Result<Exit, Error> {
    if options.files.is_empty() {
        return Err(Error::Usage("lint: name batches and viScripts".into()));
    }
    let mut sources = Vec::new();
    let mut problems = Vec::new();
    for file in &options.files {
        let bytes = match library::read(file) {
            Err(documents::Error::System(error)) => return Err(error.into()),
            read => read.and_then(|bytes| parse::is_text(file, &bytes).map(|()| bytes)),
        };
        let mut source = Source {
            file: file.clone(),
            text: String::new(),
        };
        match bytes {
            Ok(bytes) => {
                source.text = String::from_utf8_lossy(&bytes).into_owned();
                sources.push(source);
            }
            Err(error) => problems.push(unparsable(&source, &error)),
        }
    }
    problems.extend(lint(&sources));
    let failed = blocks(&problems);
    if options.json {
        let problems: Vec<Value> = problems.iter().map(as_json).collect();
        print::json(&json!({ "clean": !failed, "problems": problems }));
    } else {
        for problem in &problems {
            print::line(&format!("{}\n", problem.render()));
        }
        print::line(&format!(
            "{} documents, {} problems",
            options.files.len(),
            problems.len()
        ));
    }
    Ok(if failed { Exit::NotWell } else { Exit::Success })
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
