//! The form of the report: the seed's `execution_log`, and what is added to it.

use serde::Serialize;

use crate::engine::State;

/// The whole report; the seed's form with additions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// The version of the additions.
    #[cfg_attr(feature = "schema", schemars(extend("const" = super::VERSION)))]
    pub report_version: u32,
    /// The seed's part.
    pub execution_log: ExecutionLog,
    /// All phases and boots together.
    pub totals: Totals,
    /// What went wrong, oldest first; left out when the batch wants no `error_reporting`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<Failure>>,
    /// Where the migration stands.
    pub state: State,
}

/// What ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecutionLog {
    /// The batch's name and the time of arming.
    pub batch_id: String,
    /// The time of arming, as `2023-12-18T14:30:22Z`.
    pub start_time: String,
    /// When the new system proved itself; left out before that, or when there is no telling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    /// Whether nothing more will run but for a command that a person types.
    pub ended: bool,
    /// Time of work in whole seconds, as `45s`; not the time between start and end.
    pub duration: String,
    /// In the batch's order.
    pub phases: Vec<PhaseLog>,
}

/// One phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PhaseLog {
    /// Its name.
    pub name: String,
    /// `completed`, `failed`, `running`, `pending` or `skipped`.
    #[cfg_attr(
        feature = "schema",
        schemars(extend("enum" = ["completed", "failed", "running", "pending", "skipped"]))
    )]
    pub status: &'static str,
    /// Wall time in whole seconds, as `45s`.
    pub duration: String,
    /// Share of its viScripts that succeeded, but for the skipped ones, in percent.
    pub success_rate: u64,
    /// Of its viScripts together.
    pub checks_passed: u32,
    /// Of its viScripts together.
    pub checks_failed: u32,
    /// Of its viScripts together.
    pub checks_skipped: u32,
    /// What it cost; left out when the batch wants no `performance_monitoring`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performance: Option<Performance>,
    /// Its viScripts.
    #[serde(rename = "viScripts")]
    pub viscripts: Vec<ViScriptLog>,
}

/// One viScript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ViScriptLog {
    /// Its file name.
    pub name: String,
    /// `success`, `failed`, `running`, `pending`, or `skipped`: it found nothing to look at, or what
    /// it requires failed.
    #[cfg_attr(
        feature = "schema",
        schemars(extend("enum" = ["success", "failed", "running", "pending", "skipped"]))
    )]
    pub status: &'static str,
    /// Checks that are as they should be.
    pub checks_passed: u32,
    /// Checks that are not, or could not look.
    pub checks_failed: u32,
    /// Checks with nothing to look at.
    pub checks_skipped: u32,
    /// Steps whose effect is durable.
    pub steps_done: usize,
    /// Steps in all.
    pub steps: usize,
    /// Share of steps done and checks passed among all but the skipped ones, in percent.
    pub success_rate: u64,
    /// What it cost; left out when the batch wants no `performance_monitoring`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performance: Option<Performance>,
}

/// The whole run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Totals {
    /// Boots that took the migration up.
    pub attempts: u64,
    /// Boots of the new system before it proved itself.
    pub trials: u64,
    /// Share of all viScripts that succeeded, but for the skipped ones, in percent.
    pub success_rate: u64,
    /// Of all viScripts together.
    pub checks_passed: u32,
    /// Of all viScripts together.
    pub checks_failed: u32,
    /// Of all viScripts together.
    pub checks_skipped: u32,
    /// Wall time of the work before root was mounted; left out as `performance` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_boot_milliseconds: Option<u64>,
    /// What it cost; left out when the batch wants no `performance_monitoring`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performance: Option<Performance>,
}

/// What work cost. Work that was thrown away and done anew after a cut counts each time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Performance {
    /// Wall time.
    pub milliseconds: u64,
    /// Processor time.
    pub cpu_milliseconds: u64,
    /// The most memory that the whole program had held by then.
    pub peak_memory_bytes: u64,
    /// Bytes fetched from storage.
    pub bytes_read: u64,
    /// Bytes handed to storage.
    pub bytes_written: u64,
}

/// One thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failure {
    /// The number of its record in the journal.
    pub sequence: u64,
    /// The step's id, or `validation`, `boot`, `rollback`.
    pub step: String,
    /// The whole message.
    pub message: String,
}
