//! One machine, boot after boot, always by its own firmware and boot loader.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Armed, Context, migrate, prove, prove_rolled_back};
use crate::machine::{Disk, End, Machine, Outcome, TaskRun};
use crate::task::{REBOOTING, Task};

/// A machine that was armed, and where its disk stands now.
#[derive(Debug)]
pub struct Life<'a> {
    context: &'a Context,
    armed: &'a Armed,
    name: String,
    disk: Disk,
    boots: usize,
}

impl<'a> Life<'a> {
    /// On a fork of the armed machine's disk.
    pub fn new(context: &'a Context, armed: &'a Armed, name: &str) -> Result<Self> {
        Ok(Self::on(context, armed, name, armed.fork(context, name)?))
    }

    /// On this disk.
    pub fn on(context: &'a Context, armed: &'a Armed, name: &str, disk: Disk) -> Self {
        Self {
            context,
            armed,
            name: name.to_owned(),
            disk,
            boots: 0,
        }
    }

    /// Its disk; nobody else may use it while a boot runs.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// What it was armed as.
    pub fn armed(&self) -> &Armed {
        self.armed
    }

    /// The boot that migrates, with its restart.
    pub fn migrate(&mut self) -> Result<Outcome> {
        migrate(self.context, &self.next("migrates"), &self.disk, 1)
    }

    /// A boot that runs a script, which ends with 0 (power off) or with 100 (reboot).
    pub fn boot(&mut self, what: &str, script: &str) -> Result<TaskRun> {
        self.boot_with(what, script, &[])
    }

    /// The same with files for the script.
    pub fn boot_with(&mut self, what: &str, script: &str, files: &[&Path]) -> Result<TaskRun> {
        let outcome = self.try_boot(what, script, files)?;
        let run = match outcome.tasks.as_slice() {
            [run] => run.exit.unwrap_or_default(),
            _ => 0,
        };
        let end = match run {
            REBOOTING => End::Reset,
            _ => End::PoweredOff,
        };
        let ended = outcome.expect(&end).and_then(|outcome| match run {
            REBOOTING => outcome.task(REBOOTING),
            _ => outcome.task(0),
        });
        ended.cloned().with_context(|| what.to_owned())
    }

    /// A boot that may end in any way.
    pub fn try_boot(&mut self, what: &str, script: &str, files: &[&Path]) -> Result<Outcome> {
        let mut machine = self.machine(what);
        machine.notes = Some(self.armed.copy_notes(self.context, &machine.name)?);
        let mut task = Task::new(script).file(&self.context.probe);
        for file in files {
            task = task.file(file);
        }
        self.context.run(machine, &task)
    }

    /// The machine of the next boot, for a case that changes it before it is run.
    pub fn machine(&mut self, what: &str) -> Machine {
        let name = self.next(what);
        let mut machine = self.context.machine(&name, &self.disk);
        machine.processors = 1;
        machine
    }

    /// Boots the new system, which must be validated and have every file.
    pub fn prove_new(&mut self) -> Result<()> {
        let name = self.next("proves-the-new");
        prove(self.context, &name, &self.disk, self.armed).context("the new system")?;
        Ok(())
    }

    /// A boot that restarts the machine before any root is mounted, once the console has said this.
    pub fn restart(&mut self, what: &str, said: &str) -> Result<()> {
        let machine = self.machine(what);
        let outcome = self.context.power_on(&machine)?;
        outcome.expect(&End::Reset)?;
        outcome
            .line(said)
            .with_context(|| format!("{what}: the console never said \"{said}\""))?;
        Ok(())
    }

    /// Boots the old system, rolled back to, which must have every file.
    pub fn prove_old(&mut self) -> Result<()> {
        let name = self.next("proves-the-old");
        prove_rolled_back(self.context, &name, &self.disk, self.armed).context("the old system")?;
        Ok(())
    }

    fn next(&mut self, what: &str) -> String {
        self.boots += 1;
        let word = what.replace(' ', "-");
        format!("{}-{}-{word}", self.name, self.boots)
    }
}
