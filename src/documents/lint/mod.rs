//! Coherence analysis: documents held against each other and against what their steps do.
//! Everything that is wrong is reported at once.

mod derive;
mod fence;
mod locate;
mod options;
mod origins;
mod rules;

use std::fmt::Write;

use super::{Batch, Error, ViScript};
use locate::{Part, Place};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a look.
    Warning,
    /// The document is refused.
    Error,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The document's name.
    pub file: String,
    /// Where in it, where that is known.
    pub place: Option<Place>,
    /// What is wrong.
    pub what: String,
    /// The remedy.
    pub help: String,
}

/// A document's text with its name.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file's name.
    pub file: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// A document that was read.
    #[must_use]
    pub fn new(file: String, bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        Self { file, text }
    }

    fn problem(
        &self,
        severity: Severity,
        path: &[Part],
        what: String,
        help: impl Into<String>,
    ) -> Problem {
        let place = Some(locate::locate(&self.text, path));
        Problem {
            severity,
            file: self.file.clone(),
            place,
            what,
            help: help.into(),
        }
    }

    fn error(&self, path: &[Part], what: String, help: impl Into<String>) -> Problem {
        self.problem(Severity::Error, path, what, help)
    }
}

/// Everything that is wrong with these documents, in their order. A batch is held against those
/// of its viScripts that are among the sources.
#[must_use]
pub fn lint(sources: &[Source]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut batches = Vec::new();
    let mut viscripts = Vec::new();
    for source in sources {
        if source.text.contains("\"batch_name\"") {
            match Batch::parse(&source.file, source.text.as_bytes()) {
                Ok(batch) => batches.push((source, batch)),
                Err(error) => problems.push(unparsable(source, &error)),
            }
        } else {
            match ViScript::parse(&source.file, source.text.as_bytes()) {
                Ok(script) => viscripts.push((source, script)),
                Err(error) => problems.push(unparsable(source, &error)),
            }
        }
    }
    for (source, script) in &viscripts {
        problems.extend(rules::viscript(source, script));
    }
    for (source, batch) in &batches {
        problems.extend(rules::batch(source, batch, &viscripts));
        problems.extend(origins::problems(source, batch));
        problems.extend(options::problems(source, batch));
    }
    problems.extend(fence::problems(&batches, &viscripts));
    problems
}

/// Whether there is an error among them: such documents are not acted on.
#[must_use]
pub fn blocks(problems: &[Problem]) -> bool {
    let mut severities = problems.iter().map(|problem| problem.severity);
    severities.any(|severity| severity == Severity::Error)
}

/// A document that could not be used, with the place that its text has for the mistake.
#[must_use]
pub fn unparsable(source: &Source, error: &Error) -> Problem {
    let place = match error {
        Error::Parse { line, column, .. } => {
            let text = source
                .text
                .lines()
                .nth(line.saturating_sub(1))
                .unwrap_or_default();
            let (line, column, text) = (*line, *column, text.to_owned());
            Some(Place {
                line,
                column: column.max(1),
                width: 1,
                text,
            })
        }
        _ => None,
    };
    let what = match error {
        Error::Parse {
            at, problem, hint, ..
        } => format!("{at}{problem}{hint}"),
        other => other.to_string(),
    };
    let help = "every key and kind is in docs/reference.md".to_owned();
    Problem {
        severity: Severity::Error,
        file: source.file.clone(),
        place,
        what,
        help,
    }
}

impl Problem {
    /// As rustc prints it: what, where, the text, the remedy.
    #[must_use]
    pub fn render(&self) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut text = format!("{severity}: {}\n", self.what);
        // Writing to a String can't fail.
        let _ = match &self.place {
            None => writeln!(text, "  --> {}", self.file),
            Some(place) => {
                let number = place.line.to_string();
                let margin = " ".repeat(number.len());
                let indent = " ".repeat(place.column.saturating_sub(1));
                let mark = "^".repeat(place.width);
                let (line, column) = (place.line, place.column);
                writeln!(
                    text,
                    "{margin}--> {}:{line}:{column}\n{margin} |\n{number} | {}\n\
                     {margin} | {indent}{mark}",
                    self.file, place.text
                )
            }
        };
        let _ = write!(text, "  = help: {}", self.help);
        text
    }
}

#[cfg(test)]
mod tests;
