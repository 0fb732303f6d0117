//! viScripts: steps and checks with prerequisites and a risk level.

use serde::{Deserialize, Serialize};

use super::{CheckSpec, Error, StepSpec, parse};

/// A verified installer script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("allOf" = schema::rules())))]
#[serde(deny_unknown_fields)]
pub struct ViScript {
    /// Where editors find the schema.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// A remark for people; it has no effect.
    #[serde(rename = "$comment", default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Its name, as a person reads it.
    #[serde(rename = "viScript_name")]
    pub name: String,
    /// The version of its text.
    pub version: String,
    /// What it is for.
    pub description: String,
    /// Where it belongs, which also says where it runs.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// How much is at stake.
    pub risk_level: RiskLevel,
    /// What must be there before it.
    #[serde(default)]
    pub prerequisites: Prerequisites,
    /// What it does, in this order.
    #[serde(default)]
    pub steps: Vec<StepTemplate>,
    /// What it looks at once its steps are done.
    #[serde(default)]
    pub checks: Vec<NamedCheck>,
}

/// The seed's types of viScripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Looks at the machine before anything is done.
    PreInstallation,
    /// Does the work, before root is mounted.
    Core,
    /// Looks at the new system, before it is committed to.
    Validation,
    /// Looks at the running new system.
    PostInstallation,
    /// Looks at one partition of the running new system.
    PartitionSpecific,
    /// Looks at one service of the running new system.
    ServiceSpecific,
}

/// When a viScript runs, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// In the running old system, at `arm`.
    Arm,
    /// In the initramfs, before root is mounted.
    Initramfs,
    /// In the running new system.
    AfterBoot,
}

impl Kind {
    /// Where a viScript of this kind runs.
    #[must_use]
    pub fn stage(self) -> Stage {
        match self {
            Self::PreInstallation => Stage::Arm,
            Self::Core | Self::Validation => Stage::Initramfs,
            Self::PostInstallation | Self::PartitionSpecific | Self::ServiceSpecific => {
                Stage::AfterBoot
            }
        }
    }
}

/// One scale for all viScripts (docs/documents.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RiskLevel {
    /// Only looks.
    Low,
    /// Changes what nothing reads yet.
    Medium,
    /// Changes what the new system boots from or holds.
    High,
    /// Writes over what the old system is made of.
    Critical,
}

impl RiskLevel {
    /// As documents write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What must be there before a viScript can run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Prerequisites {
    /// viScripts that ran before, by file name.
    #[serde(rename = "required_viScripts")]
    pub required_viscripts: Vec<String>,
    /// Programs.
    pub required_commands: Vec<String>,
    /// File systems that the kernel can mount.
    pub required_filesystems: Vec<String>,
    /// Mount points.
    pub required_mounts: Vec<String>,
    /// Subvolumes.
    pub required_subvolumes: Vec<String>,
}

/// A step, once or for each of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StepTemplate {
    /// A remark for people; it has no effect.
    #[serde(rename = "$comment", default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Its name within the viScript.
    pub name: String,
    /// Makes one step of each of these; `{…}` in its strings is filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Each>,
    /// What is done.
    #[serde(rename = "do")]
    pub action: StepSpec,
    /// How often it is tried again when what stands in the way may pass (busy, interrupted, out
    /// of memory), each time after a longer pause.
    #[serde(default = "three")]
    pub retries: u32,
    /// Recovery: what is done when it has failed, before it is tried a last time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<StepSpec>,
    /// Whether steps of other viScripts may work on the same file system at the same time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shares_filesystem: bool,
}

fn three() -> u32 {
    3
}

/// What a step template is repeated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Each {
    /// Every subvolume of the layout, on all of its file systems: `{name}`, `{mount_point}`,
    /// `{old_path}` (the mount point as a path of that file system), `{holder}`,
    /// `{path_in_holder}`.
    Subvolume,
    /// The same but for the root subvolume; inner mount points come before outer ones.
    SplitOff,
    /// Every subvolume nested in the old system: `{path}`, `{holder}`, `{path_in_holder}`.
    Nested,
}

/// A check with its name and weight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NamedCheck {
    /// A remark for people; it has no effect.
    #[serde(rename = "$comment", default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What a person reads.
    pub name: String,
    /// Whether its failure stops the phase; true when missing.
    #[serde(default = "yes")]
    pub required: bool,
    /// What is looked at.
    pub check: CheckSpec,
}

impl NamedCheck {
    /// A check that has to pass.
    #[must_use]
    pub fn required(name: impl Into<String>, check: CheckSpec) -> Self {
        Self {
            comment: None,
            name: name.into(),
            required: true,
            check,
        }
    }
}

fn yes() -> bool {
    true
}

#[cfg(feature = "schema")]
mod schema {
    use serde_json::{Value, json};

    /// What [`super::ViScript::parse`] refuses beyond the types.
    pub(super) fn rules() -> Value {
        let some = |key: &str| json!({"required": [key], "properties": {key: {"minItems": 1}}});
        json!([
            {
                "description": "With neither steps nor checks it would always pass.",
                "anyOf": [some("steps"), some("checks")]
            },
            {
                "description": "Only a viScript of type `core` may change something.",
                "if": some("steps"),
                "then": {"properties": {"type": {"const": "core"}}}
            }
        ])
    }
}

impl ViScript {
    /// Parses a viScript and holds it against the rules that need no other document.
    ///
    /// # Errors
    /// The first mistake, with its place and remedy.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Error> {
        let script: Self = parse::written(file, bytes)?;
        let refuse = |at: &str, problem: &str| {
            let (file, at, problem) = (file.into(), at.into(), problem.into());
            Err(parse::placed(bytes, Error::Sense { file, at, problem }))
        };
        if script.steps.is_empty() && script.checks.is_empty() {
            return refuse("checks", "neither steps nor checks: it would always pass");
        }
        for (index, named) in script.checks.iter().enumerate() {
            if let Some(problem) = named.check.problem() {
                return refuse(&format!("checks[{index}].check"), &problem);
            }
        }
        if script.kind != Kind::Core && !script.steps.is_empty() {
            return refuse(
                "steps",
                "only a viScript of type \"core\" may change something",
            );
        }
        Ok(script)
    }
}
