//! The new system, booted: what it says of itself, and every file against the old one.

use anyhow::{Context as _, Result, ensure};

use super::{Armed, Context, part};
use crate::expectations::{VALIDATE_UNIT, VALIDATED, ensure_plan_was_carried_out, stage};
use crate::machine::{Disk, End, Outcome};
use crate::proof::Verdict;
use crate::task::Task;

const SCRIPT: &str = r#"
echo "@@ layout"
findmnt --noheadings --list --types btrfs --output TARGET,FSROOT
echo "@@ unit"
systemctl show --property=Result,ActiveState,ExecMainStatus VALIDATE_UNIT
journalctl --boot --unit VALIDATE_UNIT --output cat --no-pager
echo "@@ status"
rootshift status --json
echo "@@ log.json"
rootshift log --json
echo "@@ log"
rootshift log
echo "@@ failed"
systemctl list-units --failed --no-legend --plain
echo "@@ new against old"
./guest-probe compare subvolumes /dev/disk/by-id/virtio-notes
echo "@@ old untouched"
./guest-probe compare flat /dev/disk/by-id/virtio-notes
echo "@@ end"
"#;

/// What the guest proved.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The boot.
    pub outcome: Outcome,
    /// Mount points and subvolumes of the running system.
    pub layout: String,
    /// `rootshift log`, as people read it.
    pub log: String,
    /// `rootshift log --json`.
    pub log_json: String,
    /// Steps, planned and done.
    pub steps: usize,
    /// The new system against the manifest from before.
    pub new: Verdict,
    /// The old system against the same manifest.
    pub old: Verdict,
}

/// Boots the disk and holds what the guest says against what must be. An error is a red.
pub fn prove(context: &Context, name: &str, disk: &Disk, armed: &Armed) -> Result<Proof> {
    let mut machine = context.machine(name, disk);
    // One guest a core: two processors each on two cores wait for each other.
    machine.processors = 1;
    machine.notes = Some(armed.copy_notes(context, name)?);
    let script = SCRIPT.replace("VALIDATE_UNIT", VALIDATE_UNIT);
    let outcome = context.run(machine, &Task::new(script).file(&context.probe))?;
    outcome.expect(&End::PoweredOff)?;
    let said = outcome.task(0)?.clone();
    let layout = part(&said, "layout")?;
    ensure!(
        layout.lines().any(|line| is_root_on(line, "/@")),
        "/ is not on @:\n{layout}"
    );
    let status = part(&said, "status")?;
    let unit = part(&said, "unit")?;
    let stage = stage(&status)?;
    ensure!(
        stage == VALIDATED,
        "the new system is {stage}, not {VALIDATED}; its unit:\n{unit}"
    );
    let failed = part(&said, "failed")?;
    ensure!(
        failed.is_empty(),
        "failed units in the new system: {failed}"
    );
    let log_json = part(&said, "log.json")?;
    let steps = ensure_plan_was_carried_out(&armed.plan, &log_json)?;
    let new = verdict(&part(&said, "new against old")?).context("the new system")?;
    let old = verdict(&part(&said, "old untouched")?).context("the old system")?;
    let log = part(&said, "log")?;
    Ok(Proof {
        outcome,
        layout,
        log,
        log_json,
        steps,
        new,
        old,
    })
}

/// The probe's line of JSON.
pub fn told(said: &str) -> Result<Verdict> {
    let line = said.lines().find(|line| line.starts_with('{'));
    let line = line.with_context(|| format!("the probe said: {said}"))?;
    Ok(serde_json::from_str(line)?)
}

/// The same, which must be clean.
pub(super) fn verdict(said: &str) -> Result<Verdict> {
    let verdict = told(said)?;
    let shown: Vec<_> = verdict
        .sections
        .iter()
        .flat_map(|section| &section.shown)
        .cloned()
        .collect();
    ensure!(
        verdict.is_clean(),
        "{} entries differ:\n  {}",
        verdict.different(),
        shown.join("\n  ")
    );
    Ok(verdict)
}

/// A line of `findmnt --output TARGET,FSROOT`.
fn is_root_on(line: &str, subvolume: &str) -> bool {
    line.split_whitespace().eq(["/", subvolume])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clean_verdict_is_a_proof() {
        let clean = r#"{"sections":[{"name":"tree","same":3,"different":0,"shown":[]}]}"#;
        let dirty =
            r#"{"sections":[{"name":"tree","same":3,"different":1,"shown":["missing x"]}]}"#;
        assert_eq!(verdict(clean).unwrap().same(), 3);
        assert!(
            verdict(dirty)
                .unwrap_err()
                .to_string()
                .contains("missing x")
        );
        assert!(verdict("guest-probe: no such file").is_err());
    }

    #[test]
    fn the_root_line_is_found() {
        assert!(is_root_on("/          /@", "/@"));
        assert!(!is_root_on("/home      /@home", "/@"));
    }
}
