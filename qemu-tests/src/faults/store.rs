//! A disk that fails on purpose: one operation, all from one on, or all of it at once.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rootshift::journal::Record;

use super::trouble::{Fault, Kind};
use crate::sweep::disk::Disk;
use crate::sweep::fuse::{Answer, Store};
use crate::sweep::records::records;

/// What a device is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Bytes from it.
    Read,
    /// Bytes to it; a discard as well.
    Write,
    /// All of them durable.
    Flush,
}

/// How many operations there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    reads: usize,
    writes: usize,
    flushes: usize,
    deciding: Option<usize>,
}

impl Counts {
    fn add(&mut self, operation: Operation) {
        match operation {
            Operation::Read => self.reads += 1,
            Operation::Write => self.writes += 1,
            Operation::Flush => self.flushes += 1,
        }
    }

    /// The flush after the superblock by which a record that names another root becomes durable:
    /// the second one after the record, the first one is for the blocks it points at.
    pub fn deciding(self) -> Option<usize> {
        self.deciding
    }

    /// The last record is the new one: a block is written again with each that comes into it.
    fn see(&mut self, data: &[u8]) {
        let last = records(data).last();
        let decides = matches!(last, Some(Record::Committed | Record::RollbackBegun { .. }));
        if self.deciding.is_none() && decides {
            self.deciding = Some(self.flushes + 2);
        }
    }

    /// Those that a fault of this kind counts.
    pub fn of(self, kind: Kind) -> usize {
        match kind {
            Kind::Read | Kind::Reads => self.reads,
            Kind::Write | Kind::Writes => self.writes,
            Kind::Flush | Kind::Flushes | Kind::Outage | Kind::Hang => self.flushes,
            Kind::Gone => self.reads + self.writes + self.flushes,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    fault: Option<Fault>,
    counts: Counts,
    was_hit: bool,
}

impl State {
    /// Whether there is no answer now.
    fn hangs(&self) -> bool {
        let is_past = |fault: Fault| self.counts.of(Kind::Hang) >= fault.at;
        self.fault
            .is_some_and(|fault| fault.kind == Kind::Hang && is_past(fault))
    }

    fn ask(&mut self, operation: Operation) -> Answer<()> {
        self.counts.add(operation);
        let fault = self.fault.filter(|fault| fault.kind != Kind::Hang);
        let fails = fault.is_some_and(|fault| {
            let number = self.counts.of(fault.kind);
            fault.kind.is_about(operation)
                && (number == fault.at || (fault.kind.lasts() && number > fault.at))
        });
        if !fails {
            return Ok(());
        }
        self.was_hit = true;
        Err(libc::EIO)
    }
}

/// Counts the operations and lets one of them fail, from outside of the thread that serves them.
#[derive(Debug, Clone, Default)]
pub struct Switch(Arc<(Mutex<State>, Condvar)>);

impl Switch {
    fn state(&self) -> MutexGuard<'_, State> {
        let (state, _) = &*self.0;
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers, or fails, or waits for [`Switch::release`].
    fn ask(&self, operation: Operation) -> Answer<()> {
        let mut state = self.state();
        let answer = state.ask(operation);
        while state.hangs() {
            state.was_hit = true;
            let (_, released) = &*self.0;
            state = released.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        answer
    }

    /// From here on everything is answered again.
    pub fn release(&self) {
        let (_, released) = &*self.0;
        self.state().fault = None;
        released.notify_all();
    }

    /// Counts from here on, with this fault ahead.
    pub fn arm(&self, fault: Option<Fault>) {
        *self.state() = State {
            fault,
            ..State::default()
        };
    }

    /// What was asked for since.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Whether it came to the fault.
    pub fn was_hit(&self) -> bool {
        self.state().was_hit
    }
}

/// The disk. What it refused to write it does not hold.
#[derive(Debug)]
pub struct Faulty {
    /// What it holds.
    pub disk: Disk,
    /// Decides what fails.
    pub switch: Switch,
}

impl Store for Faulty {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn read(&mut self, offset: u64, length: usize) -> Answer<Vec<u8>> {
        self.switch.ask(Operation::Read)?;
        Ok(self.disk.read(offset, length))
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Answer<()> {
        self.switch.state().counts.see(data);
        self.switch.ask(Operation::Write)?;
        self.disk.write(offset, data);
        Ok(())
    }

    fn flush(&mut self) -> Answer<()> {
        self.switch.ask(Operation::Flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rootshift::journal::frame;

    /// Which of six operations fail: write, read, flush, write, read, flush.
    fn failing(kind: Kind, at: usize) -> Vec<bool> {
        let mut store = Faulty {
            disk: Disk::empty(4096),
            switch: Switch::default(),
        };
        store.switch.arm(Some(Fault { kind, at }));
        let mut answers = Vec::new();
        for _ in 0..2 {
            answers.push(store.write(0, &[1]).is_err());
            answers.push(store.read(0, 1).is_err());
            answers.push(store.flush().is_err());
        }
        assert_eq!(store.switch.was_hit(), answers.contains(&true));
        answers
    }

    #[test]
    fn each_kind_fails_what_it_says() {
        const NO: bool = false;
        const YES: bool = true;
        assert_eq!(failing(Kind::Write, 1), [YES, NO, NO, NO, NO, NO]);
        assert_eq!(failing(Kind::Writes, 1), [YES, NO, NO, YES, NO, NO]);
        assert_eq!(failing(Kind::Read, 2), [NO, NO, NO, NO, YES, NO]);
        assert_eq!(failing(Kind::Flushes, 2), [NO, NO, NO, NO, NO, YES]);
        assert_eq!(failing(Kind::Gone, 3), [NO, NO, YES, YES, YES, YES]);
        assert_eq!(failing(Kind::Flush, 3), [NO; 6]);
        assert_eq!(failing(Kind::Outage, 1), [NO, NO, YES, YES, YES, YES]);
    }

    #[test]
    fn the_flush_that_decides_is_the_second_one_after_the_record() {
        let payload = serde_json::to_vec(&Record::Committed).unwrap();
        let mut commit = vec![0; 512];
        commit.extend(frame::encode(1, 1, &payload).unwrap());
        let mut store = Faulty {
            disk: Disk::empty(4096),
            switch: Switch::default(),
        };
        store.write(0, &[1]).unwrap();
        store.flush().unwrap();
        assert_eq!(store.switch.counts().deciding(), None);
        for _ in 0..2 {
            store.write(0, &commit).unwrap();
            store.flush().unwrap();
        }
        assert_eq!(store.switch.counts().deciding(), Some(3));
    }

    #[test]
    fn a_disk_that_hangs_goes_on_when_it_is_released() {
        let switch = Switch::default();
        let mut store = Faulty {
            disk: Disk::empty(4096),
            switch: switch.clone(),
        };
        let (kind, at) = (Kind::Hang, 1);
        switch.arm(Some(Fault { kind, at }));
        assert!(store.write(0, &[1]).is_ok() && !switch.was_hit());
        let hanging = std::thread::spawn(move || store.flush());
        while !switch.was_hit() {
            assert!(!hanging.is_finished(), "it did not hang");
            std::thread::yield_now();
        }
        switch.release();
        assert!(hanging.join().unwrap().is_ok());
    }

    #[test]
    fn what_was_refused_is_not_there() {
        let mut store = Faulty {
            disk: Disk::empty(4096),
            switch: Switch::default(),
        };
        let (kind, at) = (Kind::Write, 2);
        store.switch.arm(Some(Fault { kind, at }));
        for fill in 1..=2 {
            store.write(0, &[fill]).ok();
        }
        assert_eq!(store.disk.read(0, 1), [1]);
    }
}
