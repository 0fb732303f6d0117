//! `rootshift check`.

use serde_json::json;

use super::{Error, session};
use crate::cli::{Check, Exit};
use crate::documents::plan::After;
use crate::engine::preflight::{Finding, Verdict};
use crate::report::print;

pub(super) fn run(options: &Check) -> Result<Exit, Error> {
    let (survey, bundle) = session::survey_for(options.batch.as_deref())?;
    let (found, _) = session::look_ahead(&survey, &bundle, After::Reboot)?;
    let blocked = found.blocks();
    if options.json {
        let findings = session::json(&found.findings)?;
        print::json(&json!({ "ready": !blocked, "findings": findings }));
    } else {
        print_findings(&found.findings);
        print::line(if blocked {
            "Not ready: mend what is marked FAIL. Nothing was changed."
        } else {
            "Ready. `rootshift plan` says what would happen, `rootshift arm` makes it happen."
        });
    }
    Ok(if blocked {
        Exit::NotWell
    } else {
        Exit::Success
    })
}

/// One line a check; what does not pass says why and what to do.
pub(super) fn print_findings(findings: &[Finding]) {
    for finding in findings {
        let detail = finding.detail.as_deref().unwrap_or_default();
        match finding.verdict {
            Verdict::Pass if detail.is_empty() => {
                print::line(&format!("{} {}", print::mark(true), finding.name));
            }
            Verdict::Pass => print::line(&format!("{} {}", print::mark(true), finding.line())),
            Verdict::Skip => print::line(&format!("skip {}: {detail}", finding.name)),
            Verdict::Fail | Verdict::Unknown if finding.required => {
                print::line(&format!("{} {}", print::mark(false), finding.line()));
            }
            Verdict::Fail | Verdict::Unknown => print::line(&format!("note {}", finding.line())),
        }
    }
}
