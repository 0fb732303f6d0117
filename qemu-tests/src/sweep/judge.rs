//! What must hold after a cut: at once, and when the machine is at rest again.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use rootshift::documents::Action;
use rootshift::documents::plan::{STAGING, TRASH};
use rootshift::engine::home::Migration;
use rootshift::engine::{Stage, State};
use rootshift::journal::Record;
use rootshift::steps::{self, Probe, StepContext};
use rootshift::sys::{Root, btrfs};
use rootshift::tree::compare::{self, Comparison, Difference};
use rootshift::tree::manifest::Manifest;

use super::host::{Host, System};
use super::life::{BACKUP, Origin, Phase, armed, finalized, old_manifest};
use super::sample::{self, Kind, WRITTEN};

/// A machine after a cut, and what it was.
#[derive(Debug)]
pub struct Judge<'a> {
    /// The machine.
    pub host: &'a Host,
    /// What was cut.
    pub phase: Phase,
    /// What it was made of.
    pub origin: &'a Origin,
    /// Whether the file system's own check runs before and after as well.
    pub checks: bool,
    /// Whether a migration may have been given up: a device failed, and not only its power.
    pub may_be_given_up: bool,
}

impl Judge<'_> {
    /// Looks at the disk as the cut left it, lets the machine go on, and looks again.
    pub fn judge(&self) -> Result<()> {
        if self.checks {
            self.host.check().context("right after the cut")?;
        }
        let system = self.goes_on()?;
        self.to_the_end(system).context("to the end")?;
        if self.checks {
            self.host.check().context("at the end")?;
        }
        Ok(())
    }

    /// Boots until it is at rest, in the system that the journal calls for, and every file is there.
    pub fn goes_on(&self) -> Result<System> {
        let seen = self.host.as_grub(|top| self.what_grub_boots(top));
        let seen = seen.context("GRUB's view right after the cut")?;
        let state = self.host.mounted(|top| self.cut_state(top, seen));
        let state = state.context("the journal right after the cut")?;
        let wanted = self.wanted(state.as_ref());
        let system = self.host.boot(&self.origin.plans)?;
        if system != wanted {
            let now = self.host.state()?;
            let reason = now.and_then(|state| state.reason).unwrap_or_default();
            let stage = state.map(|state| state.stage);
            bail!(
                "it booted the {system:?} system, not the {wanted:?} one, from {stage:?}: {reason}"
            );
        }
        self.at_rest(system).context("at rest")?;
        Ok(system)
    }

    fn kind(&self) -> Kind {
        self.host.setting().kind
    }

    /// GRUB's way: the path that it reads leads to a configuration, the configuration to a kernel
    /// and a root that is there.
    pub fn what_grub_boots(&self, top: &Root) -> Result<System> {
        let grub = Path::new(self.kind().root()).join("boot/grub");
        let config = top.read_text(&grub.join("grub.cfg"))?;
        let line = config
            .lines()
            .find_map(|line| line.trim_start().strip_prefix("linux"));
        let words: Vec<&str> = line.context("no kernel line")?.split_whitespace().collect();
        let kernel = words.first().context("no kernel")?;
        let file = top.resolved_status(Path::new(kernel))?;
        let empty_on_purpose = self.phase == Phase::GiveUpOld;
        ensure!(
            file.is_some_and(|file| file.size > 0 || empty_on_purpose),
            "{kernel} is missing"
        );
        ensure!(top.exists(&grub.join("i386-pc/normal.mod"))?, "no modules");
        let flags = words
            .iter()
            .find_map(|word| word.strip_prefix("rootflags="));
        let (system, root) = match flags {
            Some("subvol=@") => (System::New, "@"),
            _ => (System::Old, self.kind().root()),
        };
        let fstab = Path::new(root).join("etc/fstab");
        ensure!(top.exists(&fstab)?, "its root {root:?} is not there");
        Ok(system)
    }

    /// Reads the journal, and holds it and GRUB's view against the disk.
    fn cut_state(&self, top: &Root, seen: System) -> Result<Option<State>> {
        let Some(migration) = Migration::open(top)? else {
            ensure!(seen == System::Old, "a new system without a journal");
            return Ok(None);
        };
        let state = migration.state().clone();
        let stage = state.stage;
        let may_be_new = stage.new_system_is_root() || stage == Stage::RollingBack;
        ensure!(
            seen == System::Old || may_be_new,
            "the boot path leads to the new system, and the journal says {stage:?}"
        );
        let plan = migration.plan();
        if !matches!(stage, Stage::Finalizing | Stage::Finalized) {
            let filesystem = "/";
            let context = StepContext::new(top, plan, filesystem);
            last_step_is_true(&context, &migration)?;
        }
        if stage.new_system_is_root() {
            subvolumes_are_there(top, &migration)?;
        }
        Ok(Some(state))
    }

    /// The system that a machine has to end in.
    fn wanted(&self, state: Option<&State>) -> System {
        let Some(state) = state else {
            return System::Old;
        };
        match state.stage {
            Stage::Planned | Stage::Failed | Stage::Disarmed => System::Old,
            Stage::RollbackRequested | Stage::RollingBack | Stage::RolledBack => System::Old,
            Stage::Armed | Stage::Preparing if self.phase == Phase::GiveUpOld => System::Old,
            Stage::Committed if self.phase == Phase::GiveWay => System::Old,
            Stage::Committed if state.trials >= self.origin.plan.trial_boots => System::Old,
            _ => System::New,
        }
    }

    /// Every file, and nothing left lying about.
    fn at_rest(&self, system: System) -> Result<()> {
        self.host.mounted(|top| {
            let state = Migration::open(top)?.map(|migration| migration.state().clone());
            let stage = state.as_ref().map(|state| state.stage);
            let kept = state
                .as_ref()
                .map_or_else(Vec::new, |state| state.kept.clone());
            let reason = state.and_then(|state| state.reason);
            let fits = match system {
                System::New => self.is_new(top, stage),
                System::Old => self.is_old(top, stage, &kept),
            };
            fits.with_context(|| format!("its reason: {reason:?}"))
        })?;
        let seen = self.host.as_grub(|top| self.what_grub_boots(top))?;
        ensure!(seen == system, "GRUB boots the {seen:?} system");
        Ok(())
    }

    /// After a rollback a directory with nothing but what GRUB reads has the new root's name.
    fn leads_grub_back(&self, top: &Root, name: &str, stage: Option<Stage>) -> Result<bool> {
        let directory = Path::new(name);
        let is_root = name == self.origin.plan.root_subvolume();
        if !is_root || stage != Some(Stage::RolledBack) || btrfs::is_subvolume(top, directory)? {
            return Ok(false);
        }
        let mut names = top.list(directory)?;
        names.retain(|name| name != "boot" && name != ".rootshift-hand-over");
        let config = directory.join("boot/grub/grub.cfg");
        Ok(names.is_empty() && top.exists(&config)?)
    }

    fn is_old(&self, top: &Root, stage: Option<Stage>, kept: &[String]) -> Result<()> {
        let expected = match self.phase {
            Phase::Restore => [None; 2],
            Phase::Arm => [None, Some(Stage::Planned)],
            Phase::GiveUpOld => [Some(Stage::Failed); 2],
            _ => [Some(Stage::RolledBack); 2],
        };
        let given_up = self.may_be_given_up && stage == Some(Stage::Failed);
        ensure!(
            expected.contains(&stage) || given_up,
            "the old system, at {stage:?}"
        );
        for name in self.origin.plan.subvolumes() {
            let there = top.exists(Path::new(name))?;
            // Where a failing disk has no room for what leads GRUB on, the new root keeps its name, and
            // the journal says so. A power cut is no reason for it.
            let is_root = name == self.origin.plan.root_subvolume();
            let keeps = self.may_be_given_up && is_root && kept.iter().any(|kept| kept == name);
            let left = there && !keeps && !self.leads_grub_back(top, name, stage)?;
            ensure!(!left, "{name} is left behind");
        }
        let staging = Path::new(STAGING);
        let left = top.exists(staging)? && !top.list(staging)?.is_empty();
        ensure!(!left, "something is left behind in {STAGING}");
        let now = old_manifest(top, self.kind());
        if self.phase == Phase::Restore {
            return self.is_restored_or_not(top, &now);
        }
        let options = compare::Options {
            ignore: &sample::is_ours,
            ignore_difference: &is_time_of_top,
        };
        equal(&compare::compare(&self.origin.old, &now, &options))
    }

    /// One file is whole, as it was or as its backup is; all others are as they were. What lay
    /// ready beside it may be left.
    fn is_restored_or_not(&self, top: &Root, now: &Manifest) -> Result<()> {
        let fstab = Path::new("etc/fstab");
        let options = compare::Options {
            ignore: &|path| path == Path::new("etc/.fstab.rootshift-new"),
            ignore_difference: &|path, difference| {
                path == fstab || (path == Path::new("etc") && difference.attribute == "modified")
            },
        };
        equal(&compare::compare(&self.origin.old, now, &options))?;
        let text = top.read_text(&Path::new(self.kind().root()).join(fstab))?;
        let entry = |manifest: &Manifest| {
            let mut entries = manifest.entries().iter();
            entries.find(|entry| entry.path == fstab).cloned()
        };
        let is_old = entry(&self.origin.old) == entry(now);
        ensure!(
            is_old || text == BACKUP,
            "/etc/fstab is neither the old one nor the backup: {text:?}"
        );
        Ok(())
    }

    fn is_new(&self, top: &Root, stage: Option<Stage>) -> Result<()> {
        let stage = stage.context("the new system, without a journal")?;
        ensure!(stage.new_system_is_root(), "the new system, at {stage:?}");
        let now = sample::manifest_of_new(top.path());
        equal(&sample::compare(&self.origin.old, &now)).context("old against new")?;
        let uncut = self
            .origin
            .new
            .as_ref()
            .context("this system was not to be migrated")?;
        let options = compare::Options {
            ignore: &sample::is_ours,
            ignore_difference: &is_time_of_written,
        };
        equal(&compare::compare(uncut, &now, &options)).context("uncut against cut")?;
        match stage {
            Stage::Finalizing | Stage::Finalized => Ok(()),
            _ => self
                .old_is_kept(top)
                .context("the old system beside the new one"),
        }
    }

    /// Until `finalize` the old system is whole; of a flat one /boot has another name.
    fn old_is_kept(&self, top: &Root) -> Result<()> {
        let flat = self.kind() == Kind::Flat;
        let switched = |path: &Path| {
            flat && (path == Path::new("boot") || path == Path::new(".boot.rootshift"))
        };
        let options = compare::Options {
            ignore: &|path| sample::is_ours(path) || switched(path),
            ignore_difference: &is_time_of_top,
        };
        equal(&compare::compare(
            &self.origin.old,
            &old_manifest(top, self.kind()),
            &options,
        ))?;
        if flat {
            let boot = sample::manifest(top.path(), ".boot.rootshift");
            let all = compare::Options::default();
            equal(&compare::compare(&self.origin.boot, &boot, &all)).context("/boot")?;
        }
        Ok(())
    }

    /// What was cut is done again, and works.
    fn to_the_end(&self, system: System) -> Result<()> {
        match (self.phase, system) {
            (Phase::Arm, System::Old) => {
                let plans = self.host.folder().join("plans");
                armed(self.host, self.origin, &plans)?;
                let system = self.host.boot(&plans)?;
                ensure!(system == System::New, "armed again: {}", self.host.said());
                self.at_rest(system)
            }
            (Phase::Finalize, System::New) => {
                if self.stage()? != Some(Stage::Finalized) {
                    finalized(self.host)?;
                }
                let stage = self.stage()?;
                ensure!(stage == Some(Stage::Finalized), "it is {stage:?}");
                self.host.mounted(|top| self.only_new(top))?;
                self.at_rest(system)
            }
            _ => Ok(()),
        }
    }

    fn stage(&self) -> Result<Option<Stage>> {
        Ok(self.host.state()?.map(|state| state.stage))
    }

    /// The old system is gone, but for the link that its boot path became.
    fn only_new(&self, top: &Root) -> Result<()> {
        let plan = &self.origin.plan;
        let (link, kept) = match self.kind() {
            Kind::Flat => ("boot", ".boot.rootshift"),
            Kind::Rootfs => ("@rootfs", ".@rootfs.rootshift"),
        };
        ensure!(top.path().join(link).is_symlink(), "{link} is no link");
        let old = plan.old_system.entries.iter().map(String::as_str);
        for name in old.filter(|name| *name != link).chain([kept, STAGING]) {
            ensure!(!top.exists(Path::new(name))?, "{name} is left behind");
        }
        for name in plan.subvolumes() {
            let trash = Path::new(name).join(TRASH);
            ensure!(!top.exists(&trash)?, "{} is left behind", trash.display());
        }
        Ok(())
    }
}

/// What the last record about a step says is there. Earlier steps were built upon since.
fn last_step_is_true(context: &StepContext, migration: &Migration) -> Result<()> {
    let records = migration.journal().entries().iter();
    let last = records
        .map(|entry| &entry.record)
        .rfind(|record| is_about_a_step(record));
    for step in migration.plan().steps() {
        let code = steps::of(&step.action);
        match last {
            Some(Record::Done { step: id, .. }) if *id == step.id => code
                .verify(context)
                .with_context(|| format!("the journal says that {id} is done"))?,
            Some(Record::Undone { step: id }) if *id == step.id && leaves_a_trace(step) => {
                ensure!(
                    code.probe(context)? == Probe::Open,
                    "the journal says that {id} is undone"
                );
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_about_a_step(record: &Record) -> bool {
    matches!(
        record,
        Record::Begun { .. }
            | Record::Done { .. }
            | Record::Undone { .. }
            | Record::Failed { .. }
            | Record::RollbackBegun { .. }
    )
}

/// Only these are seen to be taken back: others go with the subvolume that they were done in.
fn leaves_a_trace(step: &rootshift::documents::plan::PlannedStep) -> bool {
    matches!(
        step.action,
        Action::PlaceSubvolume(_) | Action::SwitchBootPath(_) | Action::Snapshot(_)
    )
}

fn subvolumes_are_there(top: &Root, migration: &Migration) -> Result<()> {
    for name in migration.plan().subvolumes() {
        ensure!(
            btrfs::is_subvolume(top, Path::new(name))?,
            "the new system is root, and {name} is not there"
        );
    }
    Ok(())
}

/// What rootshift makes and renames at the top level moves its time.
fn is_time_of_top(path: &Path, difference: &Difference) -> bool {
    path == Path::new("") && difference.attribute == "modified"
}

fn is_time_of_written(path: &Path, difference: &Difference) -> bool {
    let written = WRITTEN.iter().any(|written| path == Path::new(written));
    is_time_of_top(path, difference) || (written && difference.attribute == "modified")
}

fn equal(comparison: &Comparison) -> Result<()> {
    if !comparison.is_equal() {
        bail!("{comparison:?}");
    }
    ensure!(
        comparison.same > 3,
        "only {} entries compared",
        comparison.same
    );
    Ok(())
}
