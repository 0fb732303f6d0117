//! What the journal can say.

use serde::{Deserialize, Serialize};

use super::object::Object;
use crate::documents::plan::Fingerprint;
use crate::sys;

/// One entry of the journal. Steps are named by their `id` in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Record {
    /// A batch was resolved into a plan; always the first record.
    Started {
        /// The batch's name and the time of arming.
        batch_id: String,
        /// Digest of the frozen plan.
        plan: String,
        /// Version of the program that made it.
        program: String,
    },
    /// Every initramfs holds the binary and the plan.
    Armed {
        /// The images as they were then; a change makes the plan stale.
        images: Vec<BootImage>,
    },
    /// A kernel or an image was changed since, and every image was seen to hold the plan again.
    Renewed {
        /// The images as they were then; they take the place of those of before.
        images: Vec<BootImage>,
        /// The files that the plan was made from, with the new grub.cfg.
        fingerprints: Vec<Fingerprint>,
    },
    /// The initramfs took the migration up (again).
    Attempt {
        /// 1 for the first.
        number: u32,
    },
    /// A step is about to change something.
    Begun {
        /// Its id.
        step: String,
    },
    /// A step's effect is durable.
    Done {
        /// Its id.
        step: String,
        /// Wall time from begun to done.
        milliseconds: u64,
        /// True when a probe found it done already (after a cut).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        found_done: bool,
        /// What it cost from begun to done; `None` in journals of version 0.1.0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
        /// How it left the prepared subvolume that it made or worked in; `None` in older journals,
        /// and where there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left: Option<Left>,
    },
    /// A step failed; the old system goes on.
    Failed {
        /// Its id, or the name of the stage.
        step: String,
        /// The whole message.
        error: String,
    },
    /// A step failed of a phase that the run can do without; its viScript was taken back.
    Tolerated {
        /// The step's id.
        step: String,
        /// The whole message.
        error: String,
    },
    /// A step was taken back.
    Undone {
        /// Its id.
        step: String,
    },
    /// The prepared work was thrown away, to be prepared anew or not at all.
    Discarded {
        /// Why.
        reason: String,
    },
    /// A viScript's checks were looked at.
    Checked {
        /// The viScript's file name.
        script: String,
        /// Checks that are as they should be.
        passed: u32,
        /// Checks that are not, or could not look.
        failed: u32,
        /// Checks with nothing to look at.
        skipped: u32,
        /// Wall time of all of them.
        milliseconds: u64,
        /// What all of them cost; `None` in journals of version 0.1.0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
    },
    /// A phase ended; a run can go back to here.
    Checkpoint {
        /// The phase's name.
        phase: String,
    },
    /// What came after a checkpoint was taken back; the next boot goes on from there.
    ReturnedTo {
        /// The name of the phase that the checkpoint ended.
        phase: String,
    },
    /// What the commit leaves to be deleted, renamed or guarded later, each known by what it is.
    /// The last one before the commit counts.
    Inventory {
        /// All of it, or so much as fits into one record.
        objects: Vec<Object>,
        /// 0 begins an inventory, what is higher goes on with it.
        #[serde(default, skip_serializing_if = "is_first")]
        part: u32,
        /// Another part follows.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        more: bool,
    },
    /// From here on the new system is root.
    Committed,
    /// The initramfs hands over to the new system, not validated yet.
    Trial {
        /// 1 for the first boot of the new system.
        number: u32,
    },
    /// The new system proved itself after the boot.
    Validated {
        /// Checks passed.
        passed: u32,
        /// Checks that failed without being required.
        failed: u32,
        /// When, in seconds since 1970 by the machine's clock; `None` in journals of version
        /// 0.1.0. Told after the boot only: in an initramfs the clock is often wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<i64>,
        /// Whether the boot loader itself named the new root, without the image's help; `None`
        /// in older journals, and where it can't be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        loader_named_root: Option<bool>,
    },
    /// A dress rehearsal: the kernel command line names the new root, and the initramfs leaves it
    /// at that.
    RehearsalBegun {
        /// 1 for the first since the validation.
        number: u32,
        /// The kernel's id of this boot; `None` where it can't be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boot: Option<String>,
    },
    /// The rehearsal passed its validation: the boot loader by itself boots the new system.
    Rehearsed {
        /// What the loader read, and what it was; a change asks for another rehearsal. Empty where
        /// it is what the last rehearsal that was passed has recorded.
        chain: Vec<Fingerprint>,
        /// The subvolume that was root in it; none in journals of before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        root: Option<Left>,
    },
    /// A rehearsal did not pass a validation, or what it proved has changed since.
    RehearsalFailed {
        /// Why.
        reason: String,
    },
    /// A validation ran and did not pass.
    NotValidated {
        /// What failed.
        problems: Vec<String>,
    },
    /// The old system shall be root again at the next boot.
    RollbackRequested {
        /// Who or what asked for it.
        reason: String,
    },
    /// From here on the old system is root, whatever the boot path says.
    RollbackBegun {
        /// Why.
        reason: String,
    },
    /// The boot path points at the old system; the new one is kept aside.
    RolledBack {
        /// Names under which the new system's subvolumes are kept.
        kept: Vec<String>,
    },
    /// The initramfs looked and left everything as it was.
    Refused {
        /// Why.
        reason: String,
    },
    /// The images hold neither binary nor plan any more.
    Disarmed,
    /// The old system is being deleted: no way back from here.
    FinalizeBegun,
    /// The old system is gone.
    Finalized {
        /// Files and directories deleted by the run that came to the end, subvolumes not counted.
        entries: u64,
    },
}

fn is_first(part: &u32) -> bool {
    *part == 0
}

/// A prepared subvolume, known by what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Left {
    /// Its id.
    pub id: u64,
    /// Its UUID.
    pub subvolume: String,
    /// The step's work was durable with this transaction of its file system.
    pub generation: u64,
}

/// What a piece of work cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Processor time.
    pub cpu_microseconds: u64,
    /// The most memory that the whole program had held by the end of the work.
    pub peak_memory_bytes: u64,
    /// Bytes fetched from storage.
    pub bytes_read: u64,
    /// Bytes handed to storage.
    pub bytes_written: u64,
}

impl Usage {
    /// Adds what other work cost, before or beside this.
    pub fn add(&mut self, other: &Self) {
        let peak = self.peak_memory_bytes.max(other.peak_memory_bytes);
        self.cpu_microseconds = self.cpu_microseconds.saturating_add(other.cpu_microseconds);
        self.peak_memory_bytes = peak;
        self.bytes_read = self.bytes_read.saturating_add(other.bytes_read);
        self.bytes_written = self.bytes_written.saturating_add(other.bytes_written);
    }
}

impl From<sys::Usage> for Usage {
    fn from(usage: sys::Usage) -> Self {
        Self {
            cpu_microseconds: usage.cpu_microseconds,
            peak_memory_bytes: usage.peak_memory_bytes,
            bytes_read: usage.bytes_read,
            bytes_written: usage.bytes_written,
        }
    }
}

/// An initramfs image under /boot when the plan was armed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootImage {
    /// Its file name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its modification time: seconds and nanoseconds since 1970.
    pub modified: (i64, u32),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::{json, parse};

    fn read(text: &str) -> Record {
        parse::document("record", text.as_bytes()).unwrap()
    }

    #[test]
    fn records_of_before_usage_was_counted_are_read_and_written_alike() {
        for old in [
            r#"{"done":{"step":"s","milliseconds":7}}"#,
            r#"{"validated":{"passed":1,"failed":2}}"#,
            r#"{"checked":{"script":"v","passed":1,"failed":2,"skipped":3,"milliseconds":4}}"#,
        ] {
            assert_eq!(json::text(&read(old)).unwrap(), old.as_bytes());
        }
    }

    #[test]
    fn usage_is_kept() {
        let text = r#"{"done":{"step":"s","milliseconds":7,"usage":{"cpu_microseconds":1,"peak_memory_bytes":2,"bytes_read":3,"bytes_written":4}}}"#;
        let usage = Usage {
            cpu_microseconds: 1,
            peak_memory_bytes: 2,
            bytes_read: 3,
            bytes_written: 4,
        };
        let done = Record::Done {
            step: "s".into(),
            milliseconds: 7,
            found_done: false,
            usage: Some(usage),
            left: None,
        };
        assert_eq!(read(text), done);
        assert_eq!(json::text(&done).unwrap(), text.as_bytes());
    }

    #[test]
    fn costs_add_up_but_for_the_peak() {
        let mut sum = Usage {
            cpu_microseconds: 1,
            peak_memory_bytes: 9,
            bytes_read: u64::MAX,
            bytes_written: 4,
        };
        let other = Usage {
            cpu_microseconds: 10,
            peak_memory_bytes: 5,
            bytes_read: 1,
            bytes_written: 40,
        };
        sum.add(&other);
        assert_eq!((sum.cpu_microseconds, sum.peak_memory_bytes), (11, 9));
        assert_eq!((sum.bytes_read, sum.bytes_written), (u64::MAX, 44));
    }
}
