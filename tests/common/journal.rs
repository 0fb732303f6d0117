//! What the journal of a disk says, and what is recorded in it.

use std::path::Path;

use rootshift::documents::plan::JOURNAL;
use rootshift::engine::home::Migration;
use rootshift::engine::{Stage, State};
use rootshift::journal::{Journal, Record};
use rootshift::sys::Root;

use super::Disk;

impl Disk {
    /// Runs `work` while somebody else holds the journal.
    pub fn while_held<T>(&self, work: impl FnOnce() -> T) -> T {
        self.is_held.set(true);
        self.mounted(|top| {
            let journal = Journal::open(&Root::open(top).unwrap(), Path::new(JOURNAL));
            let held = journal.unwrap();
            let result = work();
            drop(held);
            self.is_held.set(false);
            result
        })
    }

    /// Works on the journal, as the engine does.
    pub fn with_migration<T>(&self, work: impl FnOnce(&Root, &mut Migration) -> T) -> T {
        self.mounted(|top| {
            let top = Root::open(top).unwrap();
            let mut migration = Migration::open(&top).unwrap().unwrap();
            work(&top, &mut migration)
        })
    }

    /// Records what a command of the running system would.
    pub fn record(&self, records: impl IntoIterator<Item = Record>) {
        self.with_migration(|_, migration| {
            let record = |record| migration.record(record).unwrap();
            records.into_iter().for_each(record);
        });
    }

    pub fn records(&self) -> Vec<Record> {
        self.mounted(|top| {
            let top = Root::open(top).unwrap();
            let journal = Journal::open(&top, Path::new(JOURNAL)).unwrap();
            journal
                .entries()
                .iter()
                .map(|entry| entry.record.clone())
                .collect()
        })
    }

    pub fn state(&self) -> State {
        State::after(&self.records()).unwrap()
    }

    pub fn stage(&self) -> Stage {
        self.state().stage
    }
}

/// What `validate` records.
pub fn validated() -> Record {
    Record::Validated {
        passed: 1,
        failed: 0,
        at: None,
        loader_named_root: None,
    }
}

/// What `rollback` records.
pub fn rollback_requested() -> Record {
    Record::RollbackRequested {
        reason: "a test".into(),
    }
}
