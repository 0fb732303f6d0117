//! Batches: phases in order, failure policy, checkpoints, rollback, requirements.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::size::Size;
use super::{Error, Layout, parse};

/// A batch. The schema is the seed's; `layout`, `trial_boots`, `$schema` and
/// `$comment` are additions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Where editors find the schema.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// A remark for people; it has no effect.
    #[serde(rename = "$comment", default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Its name, the first part of a batch id.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[A-Za-z0-9_.-]+$")))]
    pub batch_name: String,
    /// The version of the format.
    pub version: FormatVersion,
    /// What it does.
    pub description: String,
    /// Who wrote it.
    #[serde(default)]
    pub author: String,
    /// When it was written.
    #[serde(default)]
    pub created_date: String,
    /// How phases follow each other.
    pub execution_mode: ExecutionMode,
    /// What a failure leads to.
    pub failure_handling: FailureHandling,
    /// Whether prepared work is taken back when the run fails.
    pub rollback_enabled: bool,
    /// Whether a person confirms at checkpoints.
    #[serde(default)]
    pub interactive_checkpoints: bool,
    /// Which subvolume is mounted where; `@` and `@home` when missing.
    #[serde(default)]
    pub layout: Layout,
    /// Boots that the new system has to pass its validation in.
    #[serde(default = "three")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 20)))]
    pub trial_boots: u32,
    /// Seconds that the boot console waits for a key at an interactive checkpoint.
    #[serde(default = "ten")]
    #[cfg_attr(feature = "schema", schemars(range(max = 600)))]
    pub checkpoint_seconds: u32,
    /// viScripts that may run at once in a phase with `parallel_execution`.
    #[serde(default = "four")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 64)))]
    pub max_parallel: u32,
    /// The work, in order.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub phases: Vec<Phase>,
    /// What the machine must have.
    #[serde(default)]
    pub dependencies: Dependencies,
    /// What is kept for a rollback by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_configuration: Option<RollbackConfiguration>,
    /// How much is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
}

fn three() -> u32 {
    3
}

fn four() -> u32 {
    4
}

fn ten() -> u32 {
    10
}

/// Versions of the format that this program understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum FormatVersion {
    /// The only one.
    #[serde(rename = "1.0")]
    One,
}

/// How phases follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExecutionMode {
    /// One after the other; within a phase, viScripts run side by side where it says so.
    Sequential,
    /// One after the other; within each phase, viScripts run side by side.
    Parallel,
}

/// What a failure leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureHandling {
    /// A failed check of a critical phase ends the run, and a failed step of a phase that is
    /// critical or required; what fails elsewhere is noted.
    StopOnCritical,
    /// A failed step of a required phase ends the run; all else is noted.
    Continue,
    /// A failed check of a required phase ends the run, and any failed step.
    Rollback,
}

/// A phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// A remark for people; it has no effect.
    #[serde(rename = "$comment", default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// File names of its viScripts, in order.
    #[serde(rename = "viScripts")]
    #[cfg_attr(
        feature = "schema",
        schemars(length(min = 1), inner(regex(pattern = r"^(?!\.{1,2}$)[^/]+$")))
    )]
    pub viscripts: Vec<String>,
    /// Whether the run can't do without it.
    pub required: bool,
    /// Whether its failure stops the run under `stop_on_critical`.
    pub critical: bool,
    /// Whether its viScripts may run side by side.
    pub parallel_execution: bool,
    /// Whether a checkpoint is recorded at its end.
    pub checkpoint_after: bool,
}

/// What the machine must have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Dependencies {
    /// Things that can be measured.
    pub system_requirements: SystemRequirements,
    /// Circumstances.
    pub prerequisites: Circumstances,
}

/// Measurable requirements.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SystemRequirements {
    /// Memory.
    pub min_memory: Option<Size>,
    /// Unused space on the root file system.
    pub min_disk_space: Option<Size>,
    /// File systems that the kernel can mount.
    pub required_filesystems: Vec<String>,
    /// Programs.
    pub required_commands: Vec<String>,
}

/// Circumstances a batch wants to run in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Circumstances {
    /// Root is not mounted: a live session, or the initramfs, which rootshift provides.
    pub ubuntu_live_boot: bool,
    /// Root's rights.
    pub sudo_privileges: bool,
    /// A network.
    pub network_connectivity: bool,
}

/// What is kept for a rollback by hand, and how it is put back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RollbackConfiguration {
    /// Whether it is wanted.
    pub enabled: bool,
    /// Name to pattern, as `fstab` to `/etc/fstab.backup.*`.
    pub backup_locations: BTreeMap<String, String>,
    /// Name to what a person would type; parsed into a [`super::restore::Restore`].
    pub restore_commands: BTreeMap<String, String>,
}

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Monitoring {
    /// How much is logged.
    pub log_level: LogLevel,
    /// Whether progress is shown.
    pub progress_tracking: bool,
    /// Whether times are reported.
    pub performance_monitoring: bool,
    /// Whether the report lists errors.
    pub error_reporting: bool,
}

impl Default for Monitoring {
    fn default() -> Self {
        Self {
            log_level: LogLevel::Normal,
            progress_tracking: true,
            performance_monitoring: true,
            error_reporting: true,
        }
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Errors alone.
    Quiet,
    /// What a person wants to know.
    Normal,
    /// What a developer wants to know.
    Verbose,
}

impl Batch {
    /// A batch of one viScript.
    #[must_use]
    pub fn of_viscript(name: &str, file: &str) -> Self {
        let phase = Phase {
            comment: None,
            name: name.to_owned(),
            description: String::new(),
            viscripts: vec![file.to_owned()],
            required: true,
            critical: true,
            parallel_execution: false,
            checkpoint_after: false,
        };
        Self {
            schema: None,
            comment: None,
            batch_name: name.to_owned(),
            version: FormatVersion::One,
            description: String::new(),
            author: String::new(),
            created_date: String::new(),
            execution_mode: ExecutionMode::Sequential,
            failure_handling: FailureHandling::StopOnCritical,
            rollback_enabled: true,
            interactive_checkpoints: false,
            layout: Layout::default(),
            trial_boots: three(),
            checkpoint_seconds: ten(),
            max_parallel: four(),
            phases: vec![phase],
            dependencies: Dependencies::default(),
            rollback_configuration: None,
            monitoring: None,
        }
    }

    /// viScripts of this phase that may run at once.
    #[must_use]
    pub fn at_once(&self, phase: &Phase) -> u32 {
        if phase.parallel_execution || self.execution_mode == ExecutionMode::Parallel {
            self.max_parallel
        } else {
            1
        }
    }

    /// Parses a batch and holds it against the rules that need no other document.
    ///
    /// # Errors
    /// The first mistake, with its place and remedy.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Error> {
        let batch: Self = parse::written(file, bytes)?;
        match batch.problems(file).into_iter().next() {
            Some(problem) => Err(parse::placed(bytes, problem)),
            None => Ok(batch),
        }
    }

    fn problems(&self, file: &str) -> Vec<Error> {
        let mut problems = self.layout.problems(file);
        problems.extend(self.restore_problems(file));
        let mut say = |at: String, problem: &str| {
            problems.push(Error::Sense {
                file: file.into(),
                at,
                problem: problem.into(),
            });
        };
        if self.phases.is_empty() {
            say("phases".into(), "there are none: nothing would be done");
        }
        if !(1..=20).contains(&self.trial_boots) {
            say("trial_boots".into(), "must be 1 to 20");
        }
        if !(1..=64).contains(&self.max_parallel) {
            say("max_parallel".into(), "must be 1 to 64");
        }
        if self.checkpoint_seconds > 600 {
            say("checkpoint_seconds".into(), "must be 0 to 600");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if self.batch_name.is_empty() || !self.batch_name.chars().all(plain) {
            say("batch_name".into(), "use letters, digits, _ - . only");
        }
        for (index, phase) in self.phases.iter().enumerate() {
            let at = format!("phases[{index}]");
            if phase.viscripts.is_empty() {
                say(
                    format!("{at}.viScripts"),
                    "there are none: the phase would always pass",
                );
            }
            for (index, name) in phase.viscripts.iter().enumerate() {
                if name.is_empty() || name.contains('/') || [".", ".."].contains(&name.as_str()) {
                    say(
                        format!("{at}.viScripts[{index}]"),
                        &format!(
                            "\"{name}\" is no plain file name: write it as \"docker_viScript.json\""
                        ),
                    );
                }
            }
            if self
                .phases
                .iter()
                .take(index)
                .any(|earlier| earlier.name == phase.name)
            {
                say(format!("{at}.name"), "an earlier phase has the same name");
            }
        }
        problems
    }

    fn restore_problems(&self, file: &str) -> Vec<Error> {
        let configuration = self.rollback_configuration.as_ref();
        let parsed = configuration.map(|configuration| configuration.restores(file));
        parsed.and_then(Result::err).unwrap_or_default()
    }
}
