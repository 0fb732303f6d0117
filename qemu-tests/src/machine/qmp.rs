//! QEMU's own word on how a guest ended: the events of its monitor protocol.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What the monitor told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Resets that the guest went through within the run.
    pub(super) resets: u32,
    /// The reason of the last `SHUTDOWN`: `guest-shutdown`, `guest-reset`, `guest-panic`, …
    pub(super) shutdown: Option<String>,
}

/// A monitor socket with a short path: socket paths hold at most 107 bytes (unix(7)).
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
}

impl Socket {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rootshift-{}-{number}.qmp", std::process::id());
        let path = std::env::temp_dir().join(name);
        _ = std::fs::remove_file(&path);
        Self { path }
    }

    pub(super) fn option(&self) -> String {
        format!("unix:{},server=on,wait=off", self.path.display())
    }

    fn connect(&self) -> Option<UnixStream> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if let Ok(stream) = UnixStream::connect(&self.path) {
                return Some(stream);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        _ = std::fs::remove_file(&self.path);
    }
}

/// Listens in a thread of its own until QEMU is gone.
pub(super) fn follow(socket: Socket) -> JoinHandle<Facts> {
    std::thread::spawn(move || {
        let Some(mut stream) = socket.connect() else {
            return Facts::default();
        };
        _ = stream.write_all(b"{\"execute\":\"qmp_capabilities\"}\n");
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        lines.fold(Facts::default(), |facts, line| facts.with(&line))
    })
}

impl Facts {
    fn with(mut self, line: &str) -> Self {
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        let reason = || {
            event["data"]["reason"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        match event["event"].as_str() {
            Some("RESET") => self.resets += 1,
            Some("SHUTDOWN") => self.shutdown = Some(reason()),
            _ => {}
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_facts() {
        let told = [
            r#"{"QMP": {"version": {}}}"#,
            r#"{"return": {}}"#,
            r#"{"event": "RESET", "data": {"guest": true, "reason": "guest-reset"}}"#,
            r#"{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}"#,
            "half a li",
        ];
        let facts = told
            .iter()
            .fold(Facts::default(), |facts, line| facts.with(line));
        assert_eq!(
            facts,
            Facts {
                resets: 1,
                shutdown: Some("guest-shutdown".to_owned())
            }
        );
    }
}
