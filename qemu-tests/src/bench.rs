//! How long 1,000 checks take: one viScript of mixed kinds, looked at by the shipped binary.
//!
//! A benchmark and no test: it prints times and never fails because of one. Checks that start
//! programs (`service`, `initramfs`, `command-output`) are left out: they cost what the programs do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rootshift::checks::{Looker, Outcome};
use rootshift::documents::{Layout, ViScript};
use rootshift::engine::survey::Survey;
use serde_json::{Value, json};

use crate::package;
use crate::workspace::Workspace;

const CHECKS: usize = 1000;
const RUNS: usize = 20;

/// Builds the shipped binary and the viScript, and prints the wall time of both ways to look.
pub fn run(workspace: &Workspace) -> Result<()> {
    let text = viscript(CHECKS).to_string();
    let file = workspace.target().join("bench_viScript.json");
    std::fs::write(&file, &text).with_context(|| format!("write {}", file.display()))?;
    let script = ViScript::parse("bench_viScript.json", text.as_bytes())?;
    println!(
        "{} checks, {} bytes of JSON, {RUNS} runs",
        CHECKS,
        text.len()
    );
    let binary = package::tools(workspace)?;
    match by_binary(&binary, &file)? {
        Some(times) => print_times("rootshift run --viscript", times),
        None => println!("rootshift run --viscript: this binary has no such command yet"),
    }
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let mut tally = Tally::default();
    let times: Vec<Duration> = (0..RUNS)
        .map(|_| in_process(&script, &mut tally))
        .collect::<Result<_>>()?;
    print_times(&format!("in this process ({profile})"), times);
    tally.print();
    Ok(())
}

/// What the checks of all runs came to.
#[derive(Default)]
struct Tally {
    /// Passed, failed, skipped, could not look.
    verdicts: [usize; 4],
    /// Time and number of checks of each kind.
    kinds: BTreeMap<&'static str, (Duration, u32)>,
}

impl Tally {
    fn print(&self) {
        let [passed, failed, skipped, unknown] = self.verdicts.map(|count| count / RUNS);
        println!("{passed} passed, {failed} failed, {skipped} skipped, {unknown} could not look");
        let mut kinds: Vec<(Duration, &str)> = self
            .kinds
            .iter()
            .map(|(kind, (time, count))| (*time / *count, *kind))
            .collect();
        kinds.sort_unstable_by(|a, b| b.cmp(a));
        let words: Vec<String> = kinds
            .iter()
            .take(8)
            .map(|(time, kind)| format!("{kind} {} us", time.as_micros()))
            .collect();
        println!("slowest kinds, mean of one check: {}", words.join(", "));
    }
}

/// Wall times from start to end of the program; `None` when it does not know the command.
fn by_binary(binary: &Path, file: &PathBuf) -> Result<Option<Vec<Duration>>> {
    const USAGE: i32 = 2;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        let mut command = Command::new(binary);
        let output = command
            .args(["run", "--json", "--viscript"])
            .arg(file)
            .output()?;
        times.push(start.elapsed());
        match output.status.code() {
            // It looked; what it found does not matter here.
            Some(0 | 1) if !output.stdout.is_empty() => {}
            Some(1 | USAGE) => return Ok(None),
            _ => bail!("{}", String::from_utf8_lossy(&output.stderr)),
        }
    }
    Ok(Some(times))
}

fn in_process(script: &ViScript, tally: &mut Tally) -> Result<Duration> {
    let start = Instant::now();
    let layout = Layout::default();
    let survey = Survey::of(Path::new("/"))?;
    let looker = Looker::new(survey.context(&layout));
    for named in &script.checks {
        let begun = Instant::now();
        let place = match looker.look(&named.check) {
            Ok(Outcome::Pass) => 0,
            Ok(Outcome::Fail { .. }) => 1,
            Ok(Outcome::Skip(_)) => 2,
            Err(_) => 3,
        };
        let kind = tally.kinds.entry(named.check.kind()).or_default();
        kind.0 += begun.elapsed();
        kind.1 += 1;
        tally.verdicts[place] += 1;
    }
    Ok(start.elapsed())
}

fn print_times(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let [least, median, most] =
        [0, times.len() / 2, times.len() - 1].map(|at| times[at].as_secs_f64() * 1000.0);
    println!("{what}: {median:.1} ms median ({least:.1} to {most:.1} ms)");
}

/// A viScript of so many checks, all kinds in turn.
fn viscript(count: usize) -> Value {
    let kinds = kinds();
    let checks: Vec<Value> = (0..count)
        .map(|number| json!({"name": format!("check {number}"), "check": kinds[number % kinds.len()]}))
        .collect();
    json!({
        "viScript_name": "bench",
        "version": "1.0",
        "description": "Checks of mixed kinds, for the benchmark",
        "type": "post-installation",
        "risk_level": "low",
        "checks": checks
    })
}

fn kinds() -> Vec<Value> {
    vec![
        json!({"mount": {"at": "/"}}),
        json!({"mount": {"at": "/data", "filesystem": "btrfs", "optional": true}}),
        json!({"filesystem": {"at": "/etc", "options": ["rw"]}}),
        json!({"fstab-entry": {"at": "/", "optional": true}}),
        json!({"file": {"path": "/etc/passwd", "exists": true}}),
        json!({"file": {"path": "/etc/passwd", "mode": "0644", "owner": "root", "group": "root"}}),
        json!({"file": {"path": "/etc/passwd", "contains": ["root:"]}}),
        json!({"property": {"path": "/etc", "no_copy_on_write": false}}),
        json!({"subvolume": {"path": "/data", "optional": true}}),
        json!({"free-space": {"at": "/", "minimum": "1MB"}}),
        json!({"memory": {"minimum": "64MB"}}),
        json!({"commands": {"names": ["sh", "ls"]}}),
        json!({"kernel-filesystems": {"names": ["proc", "btrfs"]}}),
        json!({"ports": {"names": ["tcp:1"], "absent": true}}),
        json!({"processes": {"names": ["no-such-process"], "absent": true}}),
        json!({"users": {"names": ["root"]}}),
        json!({"groups": {"names": ["root"]}}),
        json!({"packages": {"names": ["dpkg"]}}),
        json!({"kernel-parameter": {"name": "kernel.ostype", "value": "Linux"}}),
        json!({"kernel-command-line": {"lacks": ["no-such-word"]}}),
        json!({"grub-entry": {"lacks": ["no-such-word"]}}),
        json!({"socket": {"path": "/run/docker.sock", "unit": "docker.service"}}),
        json!({"service": {"unit": "no-such.service", "active": true, "optional": true}}),
        json!({"network": {}}),
        json!({"device-statistics": {"at": "/data", "optional": true}}),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_benchmark_is_a_viscript_of_a_thousand_checks() {
        let text = viscript(CHECKS).to_string();
        let script = ViScript::parse("bench", text.as_bytes()).unwrap();
        assert_eq!(script.checks.len(), 1000);
        let mut tally = Tally::default();
        in_process(&script, &mut tally).unwrap();
        assert_eq!(tally.verdicts.iter().sum::<usize>(), 1000);
    }
}
