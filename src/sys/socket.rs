//! Sockets of this machine's own services.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use super::{Error, Result};

/// Connects to a stream socket: a path, or with a NUL in front an abstract name (unix(7)).
///
/// Never waits: a listener whose queue is full is an error. Reading and writing then wait for
/// `patience` at most, each time; for ever when it is zero.
pub fn connect_unix(address: &[u8], patience: Duration) -> Result<UnixStream> {
    connect(address, patience).map_err(|cause| {
        let shown = String::from_utf8_lossy(address).replace('\0', "@");
        Error::call("connect to", Path::new(&shown), cause)
    })
}

fn connect(address: &[u8], patience: Duration) -> io::Result<UnixStream> {
    let address = match address.strip_prefix(b"\0") {
        Some(name) => SocketAddrUnix::new_abstract_name(name)?,
        None => SocketAddrUnix::new(address)?,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &address)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    let limit = Some(patience).filter(|patience| !patience.is_zero());
    stream.set_read_timeout(limit)?;
    stream.set_write_timeout(limit)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    use std::time::Instant;

    const PATIENCE: Duration = Duration::from_millis(50);

    #[test]
    fn paths_and_abstract_names_are_reached() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let name = format!("rootshift-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        for (listener, address) in [
            (
                UnixListener::bind(&path).unwrap(),
                path.to_str().unwrap().to_owned(),
            ),
            (
                UnixListener::bind_addr(&abstract_address).unwrap(),
                format!("\0{name}"),
            ),
        ] {
            let mut here = connect_unix(address.as_bytes(), PATIENCE).unwrap();
            let (mut there, _) = listener.accept().unwrap();
            here.write_all(b"x").unwrap();
            let mut byte = [0];
            there.read_exact(&mut byte).unwrap();
            assert_eq!(&byte, b"x");
        }
    }

    #[test]
    fn nobody_there_is_an_error_that_names_the_address() {
        let error = connect_unix(b"\0rootshift-nobody", PATIENCE).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot connect to @rootshift-nobody: Connection refused"
        );
        let error = connect_unix(&[b'x'; 200], PATIENCE).unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
    }

    #[test]
    fn a_listener_that_does_not_answer_costs_the_patience() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        let address = path.to_str().unwrap().as_bytes().to_vec();
        let mut stream = connect_unix(&address, PATIENCE).unwrap();
        let began = Instant::now();
        assert!(stream.read(&mut [0]).is_err());
        assert!(began.elapsed() >= PATIENCE && began.elapsed() < Duration::from_secs(10));
        // The queue of a listener that never accepts has an end.
        let held: Vec<_> = (0..5000)
            .map_while(|_| connect_unix(&address, PATIENCE).ok())
            .collect();
        assert!(held.len() < 5000);
    }
}
