//! Dependency resolution: what a viScript requires has to run before it. Pure; looked at before
//! anything is done.

use std::fmt;

use super::batch::Phase;
use super::viscript::Stage;
use super::{Batch, ViScript};

/// One thing that is wrong with the order of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// viScripts require each other in a circle; the first name is repeated at the end.
    Circle(Vec<String>),
    /// A requirement is not in the batch.
    Missing {
        /// Who requires it.
        script: String,
        /// What.
        required: String,
    },
    /// A requirement runs only afterwards.
    Later {
        /// Who requires it.
        script: String,
        /// What.
        required: String,
    },
    /// A required phase needs something of a phase that may be left out.
    Optional {
        /// Who requires it.
        script: String,
        /// What.
        required: String,
        /// The phase that may be left out.
        phase: String,
    },
    /// The viScripts of one phase run at different times.
    TwoPlaces {
        /// The phase.
        phase: String,
        /// The viScript that runs at another time than those before it.
        script: String,
    },
    /// A phase stands after one that runs later than it.
    Backwards {
        /// The phase.
        phase: String,
        /// The earlier phase that runs later.
        before: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Circle(names) => {
                write!(
                    f,
                    "viScripts require each other in a circle: {}",
                    names.join(" → ")
                )
            }
            Self::Missing { script, required } => write!(
                f,
                "{script} requires {required}, which is not in the batch; put {required} before it"
            ),
            Self::Later { script, required } => write!(
                f,
                "{script} requires {required}, which runs only after it; put {required} before it"
            ),
            Self::Optional {
                script,
                required,
                phase,
            } => write!(
                f,
                "{script} requires {required}, but phase {phase} may be left out; make that phase \
                 required"
            ),
            Self::TwoPlaces { phase, script } => write!(
                f,
                "phase {phase}: {script} runs at another time than the viScripts before it; give \
                 it a phase of its own"
            ),
            Self::Backwards { phase, before } => write!(
                f,
                "phase {phase} runs earlier than {before}, which stands before it; move {phase} up"
            ),
        }
    }
}

/// A viScript at its place in the batch.
struct Placed<'a> {
    name: &'a str,
    phase: &'a Phase,
    script: &'a ViScript,
}

/// Everything that is wrong with the order, in the order of the batch.
#[must_use]
pub fn problems<'a>(batch: &'a Batch, find: impl Fn(&str) -> Option<&'a ViScript>) -> Vec<Problem> {
    let mut order = Vec::new();
    for phase in &batch.phases {
        for name in &phase.viscripts {
            order.extend(find(name).map(|script| Placed {
                name,
                phase,
                script,
            }));
        }
    }
    let mut problems: Vec<Problem> = circles(&order).into_iter().map(Problem::Circle).collect();
    for (index, placed) in order.iter().enumerate() {
        problems.extend(requirement_problems(&order, index, placed, &problems));
    }
    problems.extend(stage_problems(batch, &find));
    problems
}

fn requirement_problems(
    order: &[Placed],
    index: usize,
    placed: &Placed,
    known: &[Problem],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for required in &placed.script.prerequisites.required_viscripts {
        let pair = || (placed.name.to_owned(), required.clone());
        let position = order.iter().position(|other| other.name == required);
        let Some(found) = position else {
            let (script, required) = pair();
            problems.push(Problem::Missing { script, required });
            continue;
        };
        let in_circle = known.iter().any(|problem| {
            matches!(problem, Problem::Circle(names)
                if names.iter().any(|name| name == placed.name) && names.contains(required))
        });
        let phase = order.get(found).map(|found| found.phase);
        if found >= index && !in_circle {
            let (script, required) = pair();
            problems.push(Problem::Later { script, required });
        } else if placed.phase.required && phase.is_some_and(|phase| !phase.required) {
            let (script, required) = pair();
            let phase = phase.map(|phase| phase.name.clone()).unwrap_or_default();
            problems.push(Problem::Optional {
                script,
                required,
                phase,
            });
        }
    }
    problems
}

/// Each circle once, beginning with the viScript of it that comes first in the batch.
fn circles(order: &[Placed]) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    for placed in order {
        if found
            .iter()
            .any(|circle| circle.iter().any(|name| name == placed.name))
        {
            continue;
        }
        if let Some(mut circle) = way_back(order, placed.name) {
            circle.push(placed.name.to_owned());
            found.push(circle);
        }
    }
    found
}

/// The shortest chain of requirements that leads from a viScript back to itself.
fn way_back(order: &[Placed], start: &str) -> Option<Vec<String>> {
    let mut chains = vec![vec![start.to_owned()]];
    let mut seen: Vec<String> = Vec::new();
    while let Some(chain) = (!chains.is_empty()).then(|| chains.remove(0)) {
        let last = chain.last()?;
        let placed = order.iter().find(|placed| placed.name == last);
        for next in placed
            .iter()
            .flat_map(|placed| &placed.script.prerequisites.required_viscripts)
        {
            if next == start {
                return Some(chain);
            }
            if !seen.contains(next) {
                seen.push(next.clone());
                let mut longer = chain.clone();
                longer.push(next.clone());
                chains.push(longer);
            }
        }
    }
    None
}

/// Phases run where their viScripts' type says, and in the order of the batch.
fn stage_problems<'a>(
    batch: &'a Batch,
    find: &impl Fn(&str) -> Option<&'a ViScript>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut latest: Option<(Stage, &str)> = None;
    for phase in &batch.phases {
        let stages = phase
            .viscripts
            .iter()
            .filter_map(|name| Some((name, find(name)?.kind.stage())));
        let mut own = None;
        for (name, stage) in stages {
            if *own.get_or_insert(stage) != stage {
                let (phase, script) = (phase.name.clone(), name.clone());
                problems.push(Problem::TwoPlaces { phase, script });
            }
        }
        let Some(own) = own else { continue };
        match latest {
            Some((stage, before)) if stage > own => {
                let (phase, before) = (phase.name.clone(), before.to_owned());
                problems.push(Problem::Backwards { phase, before });
            }
            _ => latest = Some((own, &phase.name)),
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::{Problem, problems};
    use crate::documents::{Batch, ViScript};

    fn script(kind: &str, requires: &[&str]) -> ViScript {
        let text = format!(
            r#"{{"viScript_name": "n", "version": "1.0", "description": "d", "type": "{kind}",
                "risk_level": "low", "prerequisites": {{"required_viScripts": {requires:?}}},
                "checks": [{{"name": "c", "check": {{"flat-btrfs-root": {{}}}}}}]}}"#
        );
        ViScript::parse("n.json", text.as_bytes()).unwrap()
    }

    fn batch(phases: &[(&str, bool, &[&str])]) -> Batch {
        let phase = |(name, required, scripts): &(&str, bool, &[&str])| {
            format!(
                r#"{{"name": "{name}", "viScripts": {scripts:?}, "required": {required},
                    "critical": false, "parallel_execution": false, "checkpoint_after": false}}"#
            )
        };
        let phases: Vec<String> = phases.iter().map(phase).collect();
        let text = format!(
            r#"{{"batch_name": "b", "version": "1.0", "description": "d",
                "execution_mode": "sequential", "failure_handling": "continue",
                "rollback_enabled": true, "phases": [{}]}}"#,
            phases.join(",")
        );
        Batch::parse("b.json", text.as_bytes()).unwrap()
    }

    fn said(batch: &Batch, scripts: &[(&str, ViScript)]) -> Vec<String> {
        let find = |name: &str| {
            scripts
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, s)| s)
        };
        problems(batch, find)
            .iter()
            .map(Problem::to_string)
            .collect()
    }

    #[test]
    fn a_sound_order_has_no_problem() {
        let scripts = [("a", script("core", &[])), ("b", script("core", &["a"]))];
        assert!(said(&batch(&[("p", true, &["a", "b"])]), &scripts).is_empty());
    }

    #[test]
    fn a_circle_is_named_whole_and_once() {
        let scripts = [
            ("a", script("core", &["c"])),
            ("b", script("core", &["a"])),
            ("c", script("core", &["b"])),
        ];
        assert_eq!(
            said(&batch(&[("p", true, &["a", "b", "c"])]), &scripts),
            ["viScripts require each other in a circle: a → c → b → a"]
        );
    }

    #[test]
    fn one_that_requires_itself_is_a_circle() {
        let scripts = [("a", script("core", &["a"]))];
        assert_eq!(
            said(&batch(&[("p", true, &["a"])]), &scripts),
            ["viScripts require each other in a circle: a → a"]
        );
    }

    #[test]
    fn missing_later_and_optional_requirements_are_all_named() {
        let scripts = [
            ("a", script("core", &["nowhere", "b"])),
            ("b", script("core", &[])),
            ("c", script("core", &["o"])),
            ("o", script("core", &[])),
        ];
        let batch = batch(&[
            ("p", true, &["a", "b"]),
            ("maybe", false, &["o"]),
            ("q", true, &["c"]),
        ]);
        assert_eq!(
            said(&batch, &scripts),
            [
                "a requires nowhere, which is not in the batch; put nowhere before it",
                "a requires b, which runs only after it; put b before it",
                "c requires o, but phase maybe may be left out; make that phase required",
            ]
        );
    }

    #[test]
    fn phases_run_in_one_place_and_forwards() {
        let scripts = [
            ("a", script("core", &[])),
            ("after", script("post-installation", &[])),
            ("before", script("pre-installation", &[])),
        ];
        let batch = batch(&[("p", true, &["a", "after"]), ("q", true, &["before"])]);
        assert_eq!(
            said(&batch, &scripts),
            [
                "phase p: after runs at another time than the viScripts before it; give it a \
                 phase of its own",
                "phase q runs earlier than p, which stands before it; move q up",
            ]
        );
    }
}
