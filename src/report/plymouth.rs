//! The splash screen. Speaks to plymouthd when it answers, and never waits for it for long: not a
//! single failure is worth a word.
//!
//! A request is a letter, \x02, the length of its argument with the NUL, the argument, NUL; or
//! the letter and NUL alone. The answer is one byte, 6 for yes
//! (plymouth, src/ply-boot-protocol.h and src/client/ply-boot-client.c).

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::progress::{Moment, Sink, words};
use crate::sys::socket;

/// Where plymouthd listens; the NUL makes it an abstract name (unix(7)).
pub const SOCKET: &[u8] = b"\0/org/freedesktop/plymouthd";

const PATIENCE: Duration = Duration::from_millis(150);
const PING: u8 = b'P';
const SHOW_MESSAGE: u8 = b'M';
const HIDE_MESSAGE: u8 = b'm';
/// 0 to 100; a theme shows it in the mode for updates only.
const SYSTEM_UPDATE: u8 = b'u';
const ACKNOWLEDGED: u8 = 6;
/// The length is one byte and counts the NUL.
const LONGEST: usize = 254;

/// A splash screen that answered.
#[derive(Debug)]
pub struct Plymouth {
    /// `None` since it did not answer: it isn't asked again.
    stream: Option<UnixStream>,
    message: String,
}

impl Plymouth {
    /// Asks at a socket's path, or abstract name with a NUL in front. `None` when nobody answers
    /// within 150 ms.
    #[must_use]
    pub fn connect(address: &[u8]) -> Option<Self> {
        Self::connect_within(address, PATIENCE)
    }

    fn connect_within(address: &[u8], patience: Duration) -> Option<Self> {
        let mut splash = Self {
            stream: socket::connect_unix(address, patience).ok(),
            message: String::new(),
        };
        splash.ask(PING, None);
        splash.stream.is_some().then_some(splash)
    }

    fn ask(&mut self, letter: u8, argument: Option<&str>) {
        let request = request(letter, argument);
        let answered = self.stream.as_mut().is_some_and(|stream| {
            let mut answer = [0];
            stream.write_all(&request).is_ok()
                && stream.read_exact(&mut answer).is_ok()
                && answer == [ACKNOWLEDGED]
        });
        if !answered {
            self.stream = None;
        }
    }

    /// plymouthd keeps all messages: the last one is taken away for the next.
    fn say(&mut self, message: String) {
        let before = std::mem::replace(&mut self.message, message);
        if before == self.message {
            return;
        }
        if !before.is_empty() {
            self.ask(HIDE_MESSAGE, Some(&before));
        }
        if !self.message.is_empty() {
            let message = self.message.clone();
            self.ask(SHOW_MESSAGE, Some(&message));
        }
    }
}

impl Sink for Plymouth {
    fn interval(&self) -> u64 {
        1_000
    }

    fn show(&mut self, moment: &Moment) {
        if let Some(percent) = moment.percent {
            self.ask(SYSTEM_UPDATE, Some(&percent.to_string()));
        }
        self.say(words(moment));
    }

    fn finish(&mut self) {
        self.say(String::new());
    }
}

fn request(letter: u8, argument: Option<&str>) -> Vec<u8> {
    let Some(argument) = argument else {
        return vec![letter, 0];
    };
    let mut end = argument.len().min(LONGEST);
    while !argument.is_char_boundary(end) {
        end -= 1;
    }
    let argument = argument.get(..end).unwrap_or_default();
    let length = u8::try_from(argument.len() + 1).unwrap_or(u8::MAX);
    let mut bytes = vec![letter, 2, length];
    bytes.extend_from_slice(argument.as_bytes());
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests;
