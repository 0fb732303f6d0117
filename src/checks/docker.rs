//! `docker-storage`: the daemon answers, with a storage driver that works well on btrfs, and keeps
//! its data where the layout wants it.
//!
//! The Engine API is HTTP on a Unix socket. In HTTP/1.0 an answer ends with the connection.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::services::{connect, is_installed};
use super::{CheckContext, Error, Looker, Outcome, place};
use crate::documents::json;
use crate::sys::{self, btrfs};

const SOCKET: &str = "/run/docker.sock";
const REQUEST: &[u8] = b"GET /info HTTP/1.0\r\nHost: docker\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(10);
const ANSWER_LIMIT: u64 = 1 << 20;
/// Drivers that work on btrfs. vfs copies every layer whole; devicemapper and aufs are gone.
const DRIVERS: [&str; 4] = ["overlay2", "btrfs", "overlayfs", "fuse-overlayfs"];

pub(super) fn look(looker: &Looker) -> Result<Outcome, Error> {
    let context = &looker.context;
    let system = context.system;
    let installed = is_installed(looker, "docker.service")?;
    if !installed && !system.exists(Path::new(SOCKET))? {
        return Ok(Outcome::Skip("Docker is not installed".into()));
    }
    let answer = match connect(system, SOCKET)? {
        Ok(mut stream) => ask(&mut stream),
        Err(problem) => return Ok(silent(problem)),
    };
    let answer = match answer {
        Ok(answer) => answer,
        // What the kernel says when the time is over (socket(7), SO_RCVTIMEO).
        Err(cause) if matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            let seconds = PATIENCE.as_secs();
            return Ok(silent(format!("{SOCKET}: no answer in {seconds} s")));
        }
        Err(cause) => return Err(sys::Error::call("ask", Path::new(SOCKET), cause).into()),
    };
    let info = body(&answer).ok_or_else(|| {
        let line = answer.split(|byte| *byte == b'\r').next();
        let line = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
        Error::Malformed(format!("Docker's answer can't be understood: {line}"))
    })?;
    let text = |key: &str| {
        let value = info.get(key).and_then(Value::as_str);
        value.ok_or_else(|| Error::Malformed(format!("Docker does not tell its {key}")))
    };
    let driver = text("Driver")?;
    if !DRIVERS.contains(&driver) {
        return Ok(Outcome::fail(
            format!("Docker's storage driver is {driver}"),
            "set \"storage-driver\": \"overlay2\" in /etc/docker/daemon.json; images have to be \
             pulled anew, and containers made with the old driver are seen again when it is set back",
        ));
    }
    data_root(context, text("DockerRootDir")?)
}

fn silent(problem: String) -> Outcome {
    Outcome::fail(problem, "run `systemctl status docker.service`")
}

fn ask(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(REQUEST)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_LIMIT).read_to_end(&mut answer)?;
    Ok(answer)
}

/// The JSON of an answer with status 200.
fn body(answer: &[u8]) -> Option<Value> {
    let answer = std::str::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?;
    (status == "200").then(|| json::parse(body.as_bytes()).ok())?
}

/// It lies on a file system or subvolume of its own, or on a subvolume of the layout.
fn data_root(context: &CheckContext, path: &str) -> Result<Outcome, Error> {
    let place = Path::new(path);
    let Some(mount) = place::covering(context, place)? else {
        return Ok(place::missing(path));
    };
    let own = mount.mount_point == place
        || mount.fstype != "btrfs"
        || btrfs::is_subvolume(context.system, place)?;
    let subvolumes = context.layout.filesystems.iter();
    let mut subvolumes = subvolumes.flat_map(|filesystem| &filesystem.subvolumes);
    let in_layout = subvolumes.any(|known| {
        mount.mount_point == Path::new(&known.mount_point)
            && mount.root == Path::new("/").join(&known.name)
    });
    if own || in_layout {
        return Ok(Outcome::Pass);
    }
    Ok(Outcome::fail(
        format!(
            "Docker keeps its data in {path}, on {} of {}, which is no subvolume of the layout",
            mount.root.display(),
            mount.source
        ),
        "add a subvolume for it to the layout, or set \"data-root\" in /etc/docker/daemon.json",
    ))
}
