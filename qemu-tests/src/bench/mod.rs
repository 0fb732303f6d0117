//! How long 1,000 checks of one viScript take, by the shipped program from its start to its end.
//!
//! A benchmark and no test: it prints times and never fails because of one. What is measured, and
//! what is not, stands in [`checks`]; what the checks find on the way in [`sample`].

mod checks;
mod sample;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rootshift::checks::{Looker, Outcome};
use rootshift::documents::{Layout, ViScript};
use rootshift::engine::survey::Survey;
use rootshift::sys::usage::{Meter, Scope};
use serde_json::Value;

use crate::package;
use crate::workspace::Workspace;
use sample::Sample;

const CHECKS: usize = 1000;
const RUNS: usize = 20;
/// Checks that start a program: enough to tell one from the start of rootshift itself.
const PROGRAMS: usize = 50;

/// Builds the programs and a machine to look at, and prints what looking costs.
pub fn run(workspace: &Workspace) -> Result<()> {
    let (binary, tools) = (package::binary(workspace)?, package::tools(workspace)?);
    let sample = Sample::set_up(workspace)?;
    let measured = checks::measured(&sample);
    let all = sample.write("checks", &checks::viscript(CHECKS, &measured))?;
    let one = sample.write("one", &checks::viscript(1, &measured))?;
    let programs = sample.write(
        "programs",
        &checks::viscript(PROGRAMS, &[checks::program()]),
    )?;
    let load = std::fs::read_to_string("/proc/loadavg")?;
    println!(
        "{CHECKS} checks of {} kinds, {RUNS} runs, load average {}",
        checks::kinds_of(&measured).len(),
        load.split(' ').next().unwrap_or_default()
    );
    let looking = |file: &PathBuf| {
        sample.empty_queue();
        let mut command = command(&tools, &["run", "--json", "--viscript"]);
        command.arg(file);
        command
    };
    let looked = costs(&|| looking(&all))?;
    looked.print("rootshift run --json --viscript");
    let start = costs(&|| command(&binary, &["version"]))?;
    start.print("the program that hands it over, in front");
    let single = costs(&|| looking(&one))?;
    single.print("the same with 1 check");
    println!("found: {}", found(looking(&all))?);
    let started = costs(&|| looking(&programs))?;
    let each = (started.wall - single.wall) / f64::from(u32::try_from(PROGRAMS)?);
    println!("a check that starts a program: {each:.1} ms each (`true`), besides");
    in_process(&std::fs::read(&all)?)
}

/// Medians in milliseconds, and the least and the most wall time.
struct Costs {
    wall: f64,
    processor: f64,
    range: (f64, f64),
}

impl Costs {
    fn print(&self, what: &str) {
        let (least, most) = self.range;
        println!(
            "{what}: {:.1} ms median ({least:.1} to {most:.1}), {:.1} ms of CPU time",
            self.wall, self.processor
        );
    }
}

/// What a command costs, measured several times after a first one that warms up.
fn costs(command: &dyn Fn() -> Command) -> Result<Costs> {
    let (mut walls, mut processors) = (Vec::new(), Vec::new());
    for run in 0..=RUNS {
        let meter = Meter::start(Scope::Process);
        let begun = Instant::now();
        let output = command().output()?;
        let wall = begun.elapsed();
        let (_, usage) = meter.read();
        // Not well (1) is an answer, too: what was found does not matter here.
        if !matches!(output.status.code(), Some(0 | 1)) || output.stdout.is_empty() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        if run > 0 {
            walls.push(wall);
            processors.push(Duration::from_micros(usage.cpu_microseconds));
        }
    }
    let (wall, range) = median(walls);
    let (processor, _) = median(processors);
    Ok(Costs {
        wall,
        processor,
        range,
    })
}

fn median(mut times: Vec<Duration>) -> (f64, (f64, f64)) {
    times.sort_unstable();
    let [least, median, most] =
        [0, times.len() / 2, times.len() - 1].map(|at| times[at].as_secs_f64() * 1000.0);
    (median, (least, most))
}

fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// The verdicts of one run, counted.
fn found(mut looking: Command) -> Result<String> {
    let output = looking.output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let findings = report["phases"][0]["findings"].as_array();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in findings.context("the report has no findings")? {
        *counts
            .entry(finding["verdict"].as_str().unwrap_or_default())
            .or_default() += 1;
    }
    let words: Vec<String> = counts
        .iter()
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    Ok(words.join(", "))
}

/// Where the time of looking goes: the same checks in this process, which is not optimized.
fn in_process(text: &[u8]) -> Result<()> {
    let script = ViScript::parse("checks", text)?;
    let begun = Instant::now();
    let kinds = look(&script)?;
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let whole = begun.elapsed().as_secs_f64() * 1000.0;
    println!("looking alone, in this process ({profile}): {whole:.1} ms");
    let mut kinds: Vec<(Duration, &str)> = kinds
        .iter()
        .map(|(kind, (time, _))| (*time, *kind))
        .collect();
    kinds.sort_unstable_by(|a, b| b.cmp(a));
    let words: Vec<String> = kinds
        .iter()
        .take(8)
        .map(|(time, kind)| format!("{kind} {:.1} ms", time.as_secs_f64() * 1000.0))
        .collect();
    println!("of that: {}", words.join(", "));
    Ok(())
}

/// Time and number of checks of each kind.
type Kinds = BTreeMap<&'static str, (Duration, u32)>;

fn look(script: &ViScript) -> Result<Kinds> {
    let layout = Layout::default();
    let survey = Survey::of(Path::new("/"))?;
    let mut looker = Looker::new(survey.context(&layout));
    let mut kinds = Kinds::new();
    for named in &script.checks {
        let begun = Instant::now();
        let looked: Result<Outcome, _> = looker.look(&named.check);
        drop(looked);
        let kind = kinds.entry(named.check.kind()).or_default();
        kind.0 += begun.elapsed();
        kind.1 += 1;
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_benchmark_is_a_viscript_of_a_thousand_checks() {
        let sample = Sample::for_tests();
        let text = checks::viscript(CHECKS, &checks::measured(&sample)).to_string();
        let script = ViScript::parse("bench", text.as_bytes()).unwrap();
        assert_eq!(script.checks.len(), 1000);
        let looked: u32 = look(&script).unwrap().values().map(|kind| kind.1).sum();
        assert_eq!(looked, 1000);
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        let times = [3, 1, 2].map(Duration::from_millis);
        assert_eq!(median(times.to_vec()), (2.0, (1.0, 3.0)));
    }
}
