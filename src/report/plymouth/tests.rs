use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Instant;

use super::*;
use crate::report::progress::{Part, Progress, Unit};

const YES: u8 = 6;
const NO: u8 = 0x15;

/// A daemon that answers as many requests as it has answers, keeps them, and hangs up.
struct Daemon {
    _folder: tempfile::TempDir,
    address: PathBuf,
    heard: JoinHandle<Vec<(char, Option<String>)>>,
}

impl Daemon {
    fn answering(answers: Vec<u8>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = folder.path().join("plymouthd");
        let listener = UnixListener::bind(&address).unwrap();
        let heard = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = Vec::new();
            for answer in answers {
                let Some(request) = read_request(&mut stream) else {
                    break;
                };
                heard.push(request);
                if stream.write_all(&[answer]).is_err() {
                    break;
                }
            }
            heard
        });
        Self {
            _folder: folder,
            address,
            heard,
        }
    }

    fn connect(&self) -> Option<Plymouth> {
        // The answers come at once, if the machine is not busy with other tests.
        let address = self.address.to_str().unwrap().as_bytes();
        Plymouth::connect_within(address, Duration::from_secs(60))
    }

    fn heard(self) -> Vec<(char, Option<String>)> {
        self.heard.join().unwrap()
    }
}

/// As ply-boot-server.c reads it: two bytes, then a length and as many bytes, the last one NUL.
fn read_request(stream: &mut UnixStream) -> Option<(char, Option<String>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    let letter = char::from(head[0]);
    if head[1] != 2 {
        assert_eq!(head[1], 0);
        return Some((letter, None));
    }
    let mut length = [0];
    stream.read_exact(&mut length).ok()?;
    let mut argument = vec![0; usize::from(length[0])];
    stream.read_exact(&mut argument).ok()?;
    assert_eq!(argument.pop(), Some(0));
    Some((letter, Some(String::from_utf8(argument).unwrap())))
}

fn said(letter: char, text: &str) -> (char, Option<String>) {
    (letter, Some(text.to_owned()))
}

#[test]
fn each_change_is_a_percentage_and_a_message_in_place_of_the_last() {
    let daemon = Daemon::answering(vec![YES; 50]);
    let splash = daemon.connect().unwrap();
    let mut progress = Progress::new(vec![1, 1, 1, 1], vec![Box::new(splash)]);
    progress.step("core", 1, "a");
    progress.step("core", 2, "b");
    progress.finish();
    drop(progress);
    let (first, second) = (
        "rootshift: step 1 of 4, 0 %",
        "rootshift: step 2 of 4, 25 %",
    );
    assert_eq!(
        daemon.heard(),
        [
            ('P', None),
            said('u', "0"),
            said('M', first),
            said('u', "25"),
            said('m', first),
            said('M', second),
            said('m', second),
        ]
    );
}

#[test]
fn a_daemon_that_says_no_or_nothing_is_not_asked_again() {
    let moment = |number| Moment {
        phase: "",
        step: "s",
        number,
        steps: None,
        part: None,
        percent: None,
        seconds_left: None,
    };
    assert!(Daemon::answering(vec![NO]).connect().is_none());
    assert!(Daemon::answering(vec![]).connect().is_none());
    for answers in [vec![YES, NO, YES, YES], vec![YES, YES]] {
        let most = answers.iter().position(|answer| *answer == NO).unwrap_or(1) + 1;
        let daemon = Daemon::answering(answers);
        let mut splash = daemon.connect().unwrap();
        for number in 1..=5 {
            splash.show(&moment(number));
        }
        splash.finish();
        drop(splash);
        assert_eq!(daemon.heard().len(), most);
    }
}

#[test]
fn nobody_and_a_daemon_that_hangs_cost_next_to_no_time() {
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().join("plymouthd");
    let address = address.to_str().unwrap();
    assert!(Plymouth::connect(address.as_bytes()).is_none());
    let _listener = UnixListener::bind(address).unwrap();
    let began = Instant::now();
    assert!(Plymouth::connect(address.as_bytes()).is_none());
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_message_that_is_too_long_is_cut_between_characters() {
    let bytes = request(SHOW_MESSAGE, Some(&"é".repeat(200)));
    // 127 of two bytes are 254.
    assert_eq!(bytes[..3], [b'M', 2, 255]);
    assert_eq!(bytes.len(), 3 + 255);
    let bytes = request(SHOW_MESSAGE, Some(&format!("x{}", "é".repeat(200))));
    assert_eq!(bytes[..3], [b'M', 2, 254]);
    assert_eq!(bytes.last(), Some(&0));
}

#[test]
fn parts_of_a_step_are_shown_once_a_second_at_most() {
    let daemon = Daemon::answering(vec![YES; 50]);
    let splash = daemon.connect().unwrap();
    let mut progress = Progress::new(vec![1], vec![Box::new(splash)]);
    progress.step("", 1, "a");
    for done in 1..100 {
        progress.part(Part {
            done,
            of: Some(100),
            unit: Unit::Entries,
        });
    }
    drop(progress);
    assert_eq!(daemon.heard().len(), 3);
}
