//! The process that watches over the work of `rootshift boot`, and outlives it.
//!
//! It does nothing that can hang or be refused memory: it starts the worker, hears its signs of
//! life, pets the watchdogs, names the root as soon as the worker knows it, and ends a worker that
//! gives no sign. After one that did not end well a second one notes why and names the root.

use std::path::Path;
use std::time::Duration;

use super::Error;
use super::boot::{RESTART, decide};
use crate::cli::{Boot, Exit};
use crate::engine::boot::{BrokenOff, Next};
use crate::report::signs::{self, Sign};
use crate::sys::supervise::{self, End, Heard, Worker};
use crate::sys::watchdog::Watchdogs;
use crate::sys::{self, Root, clock, power};

/// Work that is over by then needs no watchdog petted, in milliseconds.
const LONG: u64 = 1_000;

pub(super) fn run(options: &Boot) -> Result<Exit, Error> {
    supervise::take_charge();
    let mut guard = Guard {
        options,
        began: now(),
        watchdogs: None,
        before: None,
        root: None,
        undecided: false,
        failure: None,
        place: None,
    };
    let (first, second) = deadlines(&options.deadlines);
    let ended = match Worker::start(&["--worker"]) {
        Ok(worker) => guard.see_through(worker, first, true),
        Err(error) => Err(error.to_string()),
    };
    if let Err(how) = &ended {
        supervise::end_all_children();
        guard.note(how, second);
    }
    if let Some(watchdogs) = &mut guard.watchdogs {
        watchdogs.pet_all(); // the boot after this has their full time
    }
    if ended == Ok(RESTART) {
        restart(options, power::reboot);
    } else if ended.is_err() && guard.undecided {
        // The disk failed in the very record that another root follows from. Whether it is on the
        // disk shows when it answers again; a power cut is what everything here is made for. A
        // disk that fails for good does so before this record in the next boot, which goes on.
        log::error!("it is not known which system is root: the machine is restarted");
        restart(options, power::reboot_at_once);
    } else if let Err(how) = &ended {
        // The last warning of this boot: `status` shows it where the journal could not take it.
        log::error!("{how}; the boot goes on");
    }
    Ok(Exit::Success)
}

fn restart(options: &Boot, reboot: fn() -> Result<(), sys::Error>) {
    if options.no_reboot {
        std::process::exit(RESTART);
    }
    if let Err(error) = reboot() {
        log::error!("{error}; the boot goes on");
    }
}

/// Seconds from sign to sign, and for the second worker in all.
fn deadlines(text: &str) -> (u64, u64) {
    let (first, second) = text.split_once(',').unwrap_or((text, ""));
    (first.parse().unwrap_or(600), second.parse().unwrap_or(60))
}

struct Guard<'a> {
    options: &'a Boot,
    began: u64,
    /// Those that were armed when the work turned out to be long.
    watchdogs: Option<Watchdogs>,
    /// param.conf as it was found.
    before: Option<String>,
    /// What it says of the root now.
    root: Option<String>,
    /// Whether the worker was about to change which root the journal names.
    undecided: bool,
    /// Why the worker could not learn that.
    failure: Option<String>,
    /// Where the worker was when it last said so.
    place: Option<String>,
}

impl Guard<'_> {
    /// Waits for a worker's end: its exit status, or what went wrong. It has so many seconds: from
    /// sign to sign, or in all.
    fn see_through(
        &mut self,
        mut worker: Worker,
        seconds: u64,
        renews: bool,
    ) -> Result<i32, String> {
        let ended = self.listen(&mut worker, seconds, renews);
        let how = match ended {
            Ok(End::Status(status @ (0 | RESTART))) => return Ok(status),
            Ok(End::Status(status)) => match self.failure.take() {
                Some(why) => format!("{why},"),
                None => format!("rootshift ended with status {status}"),
            },
            Ok(End::Signal(signal)) => format!("rootshift was killed by signal {signal}"),
            Err(why) if worker.kill() => format!("{why}: rootshift was ended"),
            Err(why) => format!("{why}, and rootshift can't be ended"),
        };
        let place = self.place.as_deref().unwrap_or("before the first step");
        let how = format!("{how} {place}");
        log::error!("{how}");
        Err(how)
    }

    fn listen(&mut self, worker: &mut Worker, seconds: u64, renews: bool) -> Result<End, String> {
        let mut until = now().saturating_add(seconds.saturating_mul(1000));
        loop {
            let heard = worker.listen(self.pause());
            match heard.map_err(|error| error.to_string())? {
                Heard::Ended(end) => return Ok(end),
                Heard::Line(line) => {
                    let more = self.take(signs::read(&line));
                    if renews {
                        let seconds = seconds.saturating_add(more);
                        until = until.max(now().saturating_add(seconds.saturating_mul(1000)));
                    }
                }
                Heard::Nothing => {}
            }
            if now() >= until {
                return Err(format!("no progress for {seconds} s"));
            }
            self.pet();
        }
    }

    /// Takes a sign in; returns for how many seconds there need not be another one.
    fn take(&mut self, sign: Sign) -> u64 {
        match sign {
            Sign::Alive => {}
            Sign::At(place) => self.place = Some(place.to_owned()),
            Sign::Undecided => self.undecided = true,
            Sign::Failed(why) => self.failure = Some(why.to_owned()),
            Sign::Root(flags) => {
                self.undecided = false;
                self.name_root(flags);
            }
            Sign::AsGiven => {
                if let Err(error) = self.leave_as_given() {
                    log::error!("{error}; {} stays", self.options.param_conf);
                }
            }
            Sign::Waiting(seconds) => return seconds,
        }
        0
    }

    /// At once, so that it stays named even if this process should be killed.
    fn name_root(&mut self, flags: &str) {
        if self.root.as_deref() != Some(flags) {
            match self.set_root_flags(flags) {
                Ok(()) => self.root = Some(flags.to_owned()),
                Err(error) => log::error!("{error}; the kernel command line names the root"),
            }
        }
    }

    /// The worker looks whether this was done.
    fn leave_as_given(&mut self) -> Result<(), Error> {
        let (Some(before), Some(_)) = (&self.before, self.root.take()) else {
            return Ok(());
        };
        let param_conf = Path::new(&self.options.param_conf);
        let name = Path::new(param_conf.file_name().unwrap_or_default());
        let root = Root::open(param_conf.parent().unwrap_or(Path::new("/")))?;
        if before.is_empty() {
            return Ok(root.remove_file(name)?);
        }
        Ok(root.replace_file(name, before.as_bytes())?)
    }

    /// initramfs-tools reads the file into its own shell after every script (facts boot.md 1.2).
    fn set_root_flags(&mut self, flags: &str) -> Result<(), Error> {
        let param_conf = Path::new(&self.options.param_conf);
        let name = Path::new(param_conf.file_name().unwrap_or_default());
        let root = Root::open(param_conf.parent().unwrap_or(Path::new("/")))?;
        if self.before.is_none() {
            let found = root.exists(name)?.then(|| root.read_text(name));
            self.before = Some(found.transpose()?.unwrap_or_default());
        }
        let mut text = self.before.clone().unwrap_or_default();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let quoted = format!("-o {flags}").replace('\'', "'\\''");
        text.push_str(&format!("ROOTFLAGS='{quoted}'\n"));
        Ok(root.replace_file(name, text.as_bytes())?)
    }

    /// A second worker notes how the first one ended. If it can't, the root stays the one that the
    /// first one named.
    fn note(&mut self, how: &str, seconds: u64) {
        let counted = self.place.is_some();
        let all = ["--worker", "--ended", how, "--uncounted"];
        let arguments = if counted { all.split_at(3).0 } else { &all };
        match Worker::start(arguments) {
            Ok(worker) => {
                if self.see_through(worker, seconds, false).is_ok() {
                    self.undecided = false;
                }
            }
            Err(error) => {
                log::error!("{error}");
                self.note_here(how, counted);
            }
        }
    }

    /// Where there can't be a second process: it is a few reads and one write.
    fn note_here(&mut self, reason: &str, counted: bool) {
        let broken_off = BrokenOff { reason, counted };
        let decided = decide(self.options, Some(broken_off));
        self.undecided &= decided.is_err();
        match decided {
            Ok(Next::RootFlags(flags)) => self.name_root(&flags),
            Ok(
                Next::Ordinary
                | Next::NewRoot(_)
                | Next::Rehearsal(_)
                | Next::Trial(_)
                | Next::Reboot,
            ) => {}
            Err(error) => log::error!("{error}"),
        }
    }

    fn pause(&self) -> Duration {
        let soon = Duration::from_millis(LONG);
        self.watchdogs.as_ref().map_or(soon, Watchdogs::pause)
    }

    fn pet(&mut self) {
        match &mut self.watchdogs {
            Some(watchdogs) => watchdogs.pet(),
            None if now().saturating_sub(self.began) >= LONG => {
                self.watchdogs = Root::open(Path::new("/"))
                    .ok()
                    .map(|system| Watchdogs::armed(&system));
            }
            None => {}
        }
    }
}

fn now() -> u64 {
    clock::monotonic_milliseconds()
}
