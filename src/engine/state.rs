//! Where a migration stands: a pure fold over the journal's records.

use serde::Serialize;

use crate::documents::plan::Fingerprint;
use crate::journal::record::{BootImage, Left};
use crate::journal::{Object, Record};

/// The stages of a migration's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// A plan is frozen; the images are not verified yet.
    Planned,
    /// The next boot begins.
    Armed,
    /// The initramfs has begun; the old system is root.
    Preparing,
    /// The new system is root, not validated yet.
    Committed,
    /// The new system is root and proved itself.
    Validated,
    /// The same, in a boot in which the initramfs only looks on.
    Rehearsing,
    /// The same, and the boot loader by itself boots it.
    Rehearsed,
    /// The new system is root; the next boot goes back.
    RollbackRequested,
    /// The old system is root; the boot path is being pointed back.
    RollingBack,
    /// The old system is root again; the new one is kept aside.
    RolledBack,
    /// It was given up; the old system is root.
    Failed,
    /// The images are ordinary again; the old system is root.
    Disarmed,
    /// The old system is being deleted.
    Finalizing,
    /// The new system is the only one.
    Finalized,
}

impl Stage {
    /// Whether the new system is root.
    #[must_use]
    pub fn new_system_is_root(self) -> bool {
        use Stage::{Committed, Finalized, Finalizing, RollbackRequested};
        self.is_validated()
            || matches!(self, Committed | RollbackRequested | Finalizing | Finalized)
    }

    /// Whether the new system is root and proved itself, and the old one is whole.
    #[must_use]
    pub fn is_validated(self) -> bool {
        matches!(self, Self::Validated | Self::Rehearsing | Self::Rehearsed)
    }
}

/// All that follows from the records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct State {
    /// Where it stands.
    pub stage: Stage,
    /// The batch's name and the time of arming.
    pub batch_id: String,
    /// Digest of the frozen plan.
    pub plan: String,
    /// Steps whose effect is durable, in order.
    pub done: Vec<String>,
    /// Steps that were begun and not ended.
    pub open: Vec<String>,
    /// Phases whose end is a checkpoint, in order.
    pub checkpoints: Vec<String>,
    /// Steps that failed where the run could do without them.
    pub tolerated: Vec<String>,
    /// Boots that took the migration up.
    pub attempts: u32,
    /// Boots of the new system that have not passed its validation.
    pub trials: u32,
    /// Rehearsals since the last validation that counted.
    pub rehearsals: u32,
    /// Why it stands where it stands, where that needs saying.
    pub reason: Option<String>,
    /// Names under which rolled-back subvolumes are kept.
    pub kept: Vec<String>,
    /// The images when they were armed, or last renewed.
    #[serde(skip)]
    pub images: Vec<BootImage>,
    /// The files that the plan was made from when it was last renewed; none when it never was.
    #[serde(skip)]
    pub fingerprints: Vec<Fingerprint>,
    /// Whether the loader itself named the new root in the boot that was validated.
    #[serde(skip)]
    pub loader_named_root: Option<bool>,
    /// The kernel's id of the boot that is, or was, the last rehearsal.
    #[serde(skip)]
    pub rehearsal_boot: Option<String>,
    /// What the loader read in the last rehearsal that passed.
    #[serde(skip)]
    pub chain: Vec<Fingerprint>,
    /// What was root in it.
    #[serde(skip)]
    pub rehearsed_root: Option<Left>,
    /// How steps left what they prepared, by their ids; known until each begins anew.
    #[serde(skip)]
    pub left: Vec<(String, Left)>,
    #[serde(skip)]
    inventory: Option<Vec<Object>>,
    /// A part of the inventory is missing.
    #[serde(skip)]
    unfinished: bool,
    /// Whether the images still hold the plan.
    pub armed: bool,
}

impl State {
    /// How this step left what it prepared.
    #[must_use]
    pub fn left_by(&self, step: &str) -> Option<&Left> {
        let mut known = self.left.iter().rev();
        known.find(|(of, _)| of == step).map(|(_, left)| left)
    }

    /// The state after `records`; `None` when there are none.
    #[must_use]
    pub fn after<'a>(records: impl IntoIterator<Item = &'a Record>) -> Option<Self> {
        let mut records = records.into_iter();
        let mut state = match records.next()? {
            Record::Started { batch_id, plan, .. } => Self::started(batch_id, plan),
            _ => return None,
        };
        for record in records {
            state.take(record);
        }
        Some(state)
    }

    fn started(batch_id: &str, plan: &str) -> Self {
        Self {
            stage: Stage::Planned,
            batch_id: batch_id.to_owned(),
            plan: plan.to_owned(),
            done: Vec::new(),
            open: Vec::new(),
            checkpoints: Vec::new(),
            tolerated: Vec::new(),
            attempts: 0,
            trials: 0,
            rehearsals: 0,
            reason: None,
            kept: Vec::new(),
            images: Vec::new(),
            fingerprints: Vec::new(),
            loader_named_root: None,
            rehearsal_boot: None,
            chain: Vec::new(),
            rehearsed_root: None,
            left: Vec::new(),
            inventory: None,
            unfinished: false,
            armed: false,
        }
    }

    /// Whether no boot and no command has anything to do with it any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        use Stage::{Disarmed, Failed, Finalized, RolledBack};
        !self.armed && matches!(self.stage, Disarmed | Failed | Finalized | RolledBack)
    }

    /// Whether steps have an effect that is not taken back.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.done.is_empty() || !self.open.is_empty()
    }

    fn take(&mut self, record: &Record) {
        match record {
            Record::Started { .. } | Record::Checked { .. } => {}
            Record::Armed { images } => {
                self.stage = Stage::Armed;
                self.images.clone_from(images);
                self.armed = true;
            }
            Record::Renewed {
                images,
                fingerprints,
            } => {
                self.images.clone_from(images);
                self.fingerprints.clone_from(fingerprints);
                self.armed = true;
                if matches!(self.stage, Stage::Armed | Stage::Preparing) {
                    self.reason = None; // why the plan did not fit
                }
            }
            Record::Attempt { number } => {
                self.stage = Stage::Preparing;
                self.attempts = *number;
            }
            Record::Begun { step } => {
                self.open.push(step.clone());
                self.left.retain(|(known, _)| known != step);
                self.forget_inventory();
            }
            Record::Inventory {
                objects,
                part,
                more,
            } => self.know(objects, *part, *more),
            Record::Done { step, left, .. } => {
                self.open.retain(|open| open != step);
                self.done.push(step.clone());
                if let Some(left) = left {
                    self.left.push((step.clone(), left.clone()));
                }
            }
            Record::Checkpoint { phase } => {
                self.checkpoints.retain(|known| known != phase);
                self.checkpoints.push(phase.clone());
            }
            Record::Tolerated { step, .. } => self.tolerated.push(step.clone()),
            Record::Undone { step } => self.forget(step),
            Record::Failed { error, .. } => self.move_to(Stage::Failed, error),
            Record::Discarded { reason } => {
                self.forget_inventory();
                self.reason = Some(reason.clone());
                self.checkpoints.clear();
                self.tolerated.clear();
            }
            Record::ReturnedTo { phase } => self.return_to(phase),
            Record::Refused { reason } => self.reason = Some(reason.clone()),
            _ => self.take_later(record),
        }
    }

    fn take_later(&mut self, record: &Record) {
        match record {
            Record::Committed => {
                self.stage = Stage::Committed;
                self.reason = None;
            }
            Record::Trial { number } => {
                self.trials = *number;
                if self.stage == Stage::RollbackRequested {
                    self.stage = Stage::Committed; // there was nothing to go back to
                }
            }
            Record::Validated {
                loader_named_root, ..
            } => {
                self.stage = Stage::Validated;
                self.trials = 0;
                self.rehearsals = 0;
                self.reason = None;
                self.loader_named_root = *loader_named_root;
            }
            Record::RehearsalBegun { number, boot } => {
                self.stage = Stage::Rehearsing;
                self.rehearsals = *number;
                self.rehearsal_boot.clone_from(boot);
            }
            Record::Rehearsed { chain, root } => {
                self.rehearsed_root.clone_from(root);
                self.stage = Stage::Rehearsed;
                self.rehearsals = 0;
                self.reason = None;
                if !chain.is_empty() {
                    self.chain.clone_from(chain);
                }
            }
            Record::RehearsalFailed { reason } => self.move_to(Stage::Validated, reason),
            Record::NotValidated { problems } => self.reason = Some(problems.join("; ")),
            Record::RollbackRequested { reason } => self.move_to(Stage::RollbackRequested, reason),
            Record::RollbackBegun { reason } => self.move_to(Stage::RollingBack, reason),
            Record::RolledBack { kept } => {
                self.stage = Stage::RolledBack;
                self.kept.clone_from(kept);
            }
            Record::Disarmed => self.disarm(),
            Record::FinalizeBegun => self.stage = Stage::Finalizing,
            Record::Finalized { .. } => {
                self.stage = Stage::Finalized;
                self.reason = None;
            }
            _ => {}
        }
    }

    fn move_to(&mut self, stage: Stage, reason: &str) {
        self.stage = stage;
        self.reason = Some(reason.to_owned());
    }

    /// What is known of what the commit left, taken after the last step; none in journals of
    /// version 0.1.0.
    #[must_use]
    pub fn inventory(&self) -> Option<&[Object]> {
        self.inventory.as_deref().filter(|_| !self.unfinished)
    }

    fn know(&mut self, objects: &[Object], part: u32, more: bool) {
        if part == 0 {
            self.inventory = None;
        }
        self.unfinished = more;
        let known = self.inventory.get_or_insert_default();
        known.extend_from_slice(objects);
    }

    /// Work that is done after it changes what it tells of; after the commit none does.
    fn forget_inventory(&mut self) {
        if !self.stage.new_system_is_root() && self.stage != Stage::RollingBack {
            self.inventory = None;
            self.unfinished = false;
        }
    }

    fn forget(&mut self, step: &str) {
        self.forget_inventory();
        self.done.retain(|done| done != step);
        self.open.retain(|open| open != step);
    }

    /// The checkpoint stays, those after it are gone, and the next boot begins as if armed anew.
    fn return_to(&mut self, phase: &str) {
        if let Some(index) = self.checkpoints.iter().position(|known| known == phase) {
            self.checkpoints.truncate(index + 1);
        }
        self.tolerated.clear();
        self.stage = Stage::Armed;
        self.attempts = 0;
        self.reason = None;
    }

    /// A finished or rolled-back migration stays what it is when its images are made ordinary.
    fn disarm(&mut self) {
        self.armed = false;
        if matches!(self.stage, Stage::Planned | Stage::Armed | Stage::Preparing) {
            self.stage = Stage::Disarmed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BootImage, Fingerprint, Record, Stage, State};

    fn started() -> Record {
        Record::Started {
            batch_id: "b_1".into(),
            plan: "p".into(),
            program: "0".into(),
        }
    }

    fn begun(step: &str) -> Record {
        Record::Begun { step: step.into() }
    }

    fn done(step: &str) -> Record {
        Record::Done {
            step: step.into(),
            milliseconds: 1,
            found_done: false,
            usage: None,
            left: None,
        }
    }

    fn after(records: &[Record]) -> State {
        State::after(std::iter::once(&started()).chain(records)).unwrap()
    }

    #[test]
    fn without_a_start_there_is_no_state() {
        assert_eq!(State::after([]), None);
        assert_eq!(State::after([&Record::Committed]), None);
    }

    #[test]
    fn an_open_step_is_the_one_begun_and_not_done() {
        let state = after(&[
            Record::Attempt { number: 1 },
            begun("a"),
            done("a"),
            begun("b"),
        ]);
        assert_eq!(state.stage, Stage::Preparing);
        assert_eq!(state.done, ["a"]);
        assert_eq!(state.open, ["b"]);
    }

    #[test]
    fn steps_side_by_side_are_open_together_and_end_on_their_own() {
        let state = after(&[begun("a"), begun("b"), done("b")]);
        assert_eq!(
            (&state.open[..], &state.done[..]),
            (&["a".to_owned()][..], &["b".to_owned()][..])
        );
    }

    #[test]
    fn a_return_to_a_checkpoint_begins_anew_from_there() {
        let checkpoint = |phase: &str| Record::Checkpoint {
            phase: phase.into(),
        };
        let state = after(&[
            Record::Attempt { number: 4 },
            begun("a"),
            done("a"),
            checkpoint("one"),
            begun("b"),
            done("b"),
            checkpoint("two"),
            Record::Failed {
                step: "c".into(),
                error: "e".into(),
            },
            Record::Undone { step: "b".into() },
            Record::ReturnedTo {
                phase: "one".into(),
            },
        ]);
        assert_eq!((state.stage, state.attempts), (Stage::Armed, 0));
        assert_eq!(
            (&state.checkpoints[..], &state.done[..]),
            (&["one".to_owned()][..], &["a".to_owned()][..])
        );
        assert_eq!(state.reason, None);
    }

    #[test]
    fn what_is_undone_is_neither_done_nor_open() {
        let undone = |step: &str| Record::Undone { step: step.into() };
        let state = after(&[begun("a"), done("a"), begun("b"), undone("b"), undone("a")]);
        assert!(!state.has_work());
    }

    #[test]
    fn each_record_leads_to_its_stage() {
        let to_rollback = || Record::RollbackBegun { reason: "r".into() };
        for (records, stage, root_is_new) in [
            (vec![], Stage::Planned, false),
            (vec![Record::Armed { images: vec![] }], Stage::Armed, false),
            (
                vec![Record::Armed { images: vec![] }, Record::Disarmed],
                Stage::Disarmed,
                false,
            ),
            (
                vec![Record::Failed {
                    step: "a".into(),
                    error: "e".into(),
                }],
                Stage::Failed,
                false,
            ),
            (vec![Record::Committed], Stage::Committed, true),
            (
                vec![Record::Committed, Record::Trial { number: 1 }],
                Stage::Committed,
                true,
            ),
            (
                vec![
                    Record::Committed,
                    Record::Validated {
                        passed: 1,
                        failed: 0,
                        at: None,
                        loader_named_root: None,
                    },
                ],
                Stage::Validated,
                true,
            ),
            (
                vec![Record::Committed, to_rollback()],
                Stage::RollingBack,
                false,
            ),
            (
                vec![
                    Record::Committed,
                    to_rollback(),
                    Record::RolledBack { kept: vec![] },
                ],
                Stage::RolledBack,
                false,
            ),
            (
                vec![Record::Committed, Record::FinalizeBegun, Record::Disarmed],
                Stage::Finalizing,
                true,
            ),
        ] {
            let state = after(&records);
            assert_eq!(state.stage, stage, "{records:?}");
            assert_eq!(state.stage.new_system_is_root(), root_is_new, "{records:?}");
        }
    }

    #[test]
    fn a_renewal_takes_the_place_of_what_was_armed() {
        let image = |size| BootImage {
            name: "initrd.img-1".into(),
            size,
            modified: (0, 0),
        };
        let hash = Fingerprint {
            path: "/boot/grub/grub.cfg".into(),
            hash: None,
        };
        let state = after(&[
            Record::Armed {
                images: vec![image(1)],
            },
            Record::Refused { reason: "r".into() },
            Record::Renewed {
                images: vec![image(2)],
                fingerprints: vec![hash.clone()],
            },
        ]);
        assert_eq!((state.stage, state.reason), (Stage::Armed, None));
        assert_eq!(
            (state.images, state.fingerprints),
            (vec![image(2)], vec![hash])
        );
    }

    #[test]
    fn a_validated_system_starts_counting_its_trials_anew() {
        let state = after(&[
            Record::Committed,
            Record::Trial { number: 2 },
            Record::Validated {
                passed: 3,
                failed: 0,
                at: None,
                loader_named_root: None,
            },
        ]);
        assert_eq!(state.trials, 0);
    }

    #[test]
    fn a_rehearsal_counts_until_one_passes() {
        let validated = Record::Validated {
            passed: 3,
            failed: 0,
            at: None,
            loader_named_root: Some(true),
        };
        let begun = |number, boot: &str| Record::RehearsalBegun {
            number,
            boot: Some(boot.into()),
        };
        let failed = Record::RehearsalFailed { reason: "r".into() };
        let chain = vec![Fingerprint {
            path: "/boot/grub/grub.cfg".into(),
            hash: None,
        }];
        let mut records = vec![Record::Committed, validated, begun(1, "x")];
        let state = after(&records);
        assert_eq!(
            (state.stage, state.rehearsals, state.rehearsal_boot),
            (Stage::Rehearsing, 1, Some("x".into()))
        );
        records.push(failed);
        let state = after(&records);
        assert_eq!((state.stage, state.rehearsals), (Stage::Validated, 1));
        assert_eq!(state.reason.as_deref(), Some("r"));
        records.extend([
            begun(2, "y"),
            Record::Rehearsed {
                chain: chain.clone(),
                root: None,
            },
        ]);
        let state = after(&records);
        assert_eq!((state.stage, state.rehearsals), (Stage::Rehearsed, 0));
        assert_eq!((state.reason, state.chain), (None, chain.clone()));
        assert!(state.stage.new_system_is_root() && state.stage.is_validated());
        // The same once more is not written once more.
        records.extend([
            begun(1, "z"),
            Record::Rehearsed {
                chain: vec![],
                root: None,
            },
        ]);
        let state = after(&records);
        assert_eq!((state.stage, state.chain), (Stage::Rehearsed, chain));
    }
}
