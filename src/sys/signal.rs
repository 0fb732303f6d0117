//! Being asked to stop. Work that lasts looks now and then whether it is.
//!
//! Safety of the whole file: the handler stores one number into an atomic, which is
//! async-signal-safe (signal-safety(7)), and nothing else is ever made a handler.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

use super::{Error, Result};

/// From systemd, from a person at the terminal, from a terminal that goes away.
const SIGNALS: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

static ASKED: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: i32) {
    ASKED.store(signal, Ordering::Relaxed);
}

/// From now on SIGTERM, SIGINT and SIGHUP no longer end the process but are noted, once: a second
/// one of a kind ends it at once. One that the caller ignores (nohup(1)) stays ignored.
pub fn note_requests_to_stop() -> Result<()> {
    let flags = SaFlags::SA_RESTART | SaFlags::SA_RESETHAND;
    let noted = SigAction::new(SigHandler::Handler(note), flags, SigSet::empty());
    for signal in SIGNALS {
        let before = set(signal, &noted)?;
        if matches!(before.handler(), SigHandler::SigIgn) {
            set(signal, &before)?;
        }
    }
    Ok(())
}

fn set(signal: Signal, action: &SigAction) -> Result<SigAction> {
    // SAFETY: see the head of this file.
    unsafe { sigaction(signal, action) }
        .map_err(|cause| Error::process("take note of signals", cause))
}

/// Whether this process was asked to stop since [`note_requests_to_stop`].
#[must_use]
pub fn asked_to_stop() -> bool {
    ASKED.load(Ordering::Relaxed) != 0
}

/// Ends this process by the signal that it was asked to stop with, as if it had never been noted:
/// so whoever waits for it sees why. Returns when there was none.
pub fn end_as_asked() {
    let Ok(signal) = Signal::try_from(ASKED.load(Ordering::Relaxed)) else {
        return;
    };
    let usual = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    if set(signal, &usual).is_ok() {
        let _ = raise(signal); // the caller goes on to its own end
    }
}
