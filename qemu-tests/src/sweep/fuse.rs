//! As much of the FUSE protocol (linux/fuse.h) as it takes to show one regular file: a mount whose
//! root is the file, no page cache (FOPEN_DIRECT_IO), one request after the other.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};

use anyhow::{Context as _, Result, bail};

/// What a store answers: an error is an errno, and whoever asked gets it.
pub type Answer<T> = std::result::Result<T, i32>;

/// What the file is kept in.
pub trait Store {
    /// Its size in bytes.
    fn size(&self) -> u64;
    /// Bytes from an offset; zeroes behind the end.
    fn read(&mut self, offset: u64, length: usize) -> Answer<Vec<u8>>;
    /// Bytes to an offset.
    fn write(&mut self, offset: u64, data: &[u8]) -> Answer<()>;
    /// All that was written is to be durable.
    fn flush(&mut self) -> Answer<()>;
}

const HEADER: usize = 40;
const MAX_WRITE: usize = 1 << 20;
const MAX_PAGES: u16 = 256;
/// FUSE_BIG_WRITES and FUSE_MAX_PAGES.
const FLAGS: u32 = 1 << 5 | 1 << 22;
const DIRECT_IO: u32 = 1;
const NO_SUCH_CALL: i32 = 38;
const FILE_MODE: u32 = 0o100_600;

/// Operations by number.
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const SETATTR: u32 = 4;
const OPEN: u32 = 14;
const READ: u32 = 15;
const WRITE: u32 = 16;
const STATFS: u32 = 17;
const RELEASE: u32 = 18;
const FSYNC: u32 = 20;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const INTERRUPT: u32 = 36;
const DESTROY: u32 = 38;
const BATCH_FORGET: u32 = 42;
const FALLOCATE: u32 = 43;

/// Answers requests until the file is unmounted.
pub fn serve(device: &File, store: &mut dyn Store) -> Result<()> {
    let mut buffer = vec![0; MAX_WRITE + 4096];
    while let Some(length) = next_request(device, &mut buffer)? {
        let request = Request(buffer.get(..length).unwrap_or_default());
        let Some(answer) = answer(&request, store)? else {
            continue;
        };
        let mut writer = device;
        match writer.write_all(&answer) {
            // Nobody waits for it any more.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            written => written.context("answer a FUSE request")?,
        }
    }
    Ok(())
}

/// Reads a request; none when the file is unmounted.
fn next_request(mut device: &File, buffer: &mut [u8]) -> Result<Option<usize>> {
    let mut met_the_end = false;
    loop {
        match device.read(buffer) {
            Ok(length) => return Ok(Some(length)),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A request was taken back before it was read.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // The unmount met a request that was being read (fs/fuse/dev.c, fuse_dev_do_read); after
            // an abort by hand this is all that is ever read.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted && !met_the_end => {
                met_the_end = true;
            }
            Err(error) => return Err(error).context("read a FUSE request"),
        }
    }
}

struct Request<'a>(&'a [u8]);

impl Request<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        let bytes = self.0.get(at..at + N).context("a short FUSE request")?;
        Ok(bytes.try_into()?)
    }

    fn word(&self, at: usize) -> Result<u32> {
        Ok(u32::from_ne_bytes(self.bytes(at)?))
    }

    fn long(&self, at: usize) -> Result<u64> {
        Ok(u64::from_ne_bytes(self.bytes(at)?))
    }
}

fn answer(request: &Request, store: &mut dyn Store) -> Result<Option<Vec<u8>>> {
    let body = match request.word(4)? {
        FORGET | BATCH_FORGET | INTERRUPT => return Ok(None),
        INIT => Ok(init(request)?),
        GETATTR | SETATTR => Ok(attributes(store.size())),
        OPEN => Ok([8, 4, 4]
            .iter()
            .zip([0, DIRECT_IO, 0])
            .flat_map(field)
            .collect()),
        READ | WRITE | FALLOCATE | FSYNC => transfer(request, store)?,
        RELEASE | FLUSH | DESTROY => Ok(Vec::new()),
        STATFS => Ok(vec![0; 80]),
        _ => Err(NO_SUCH_CALL),
    };
    Ok(Some(match body {
        Ok(body) => reply(request, 0, &body)?,
        Err(errno) => reply(request, -errno, &[])?,
    }))
}

/// What the store itself is asked for.
fn transfer(request: &Request, store: &mut dyn Store) -> Result<Answer<Vec<u8>>> {
    let operation = request.word(4)?;
    if operation == FSYNC {
        return Ok(store.flush().map(|()| Vec::new()));
    }
    let offset = request.long(HEADER + 8)?;
    if operation == FALLOCATE {
        // Of a loop device: a discard, or zeroes to be written.
        let length = usize::try_from(request.long(HEADER + 16)?)?;
        let written = store.write(offset, &vec![0; length]);
        return Ok(written.map(|()| Vec::new()));
    }
    let length = request.word(HEADER + 16)?;
    let count = usize::try_from(length)?;
    if operation == READ {
        return Ok(store.read(offset, count));
    }
    let from = HEADER + 40;
    let data = request
        .0
        .get(from..from + count)
        .context("a short FUSE write")?;
    let written = store.write(offset, data);
    Ok(written.map(|()| [4, 4].iter().zip([length, 0]).flat_map(field).collect()))
}

/// A number in so many bytes.
fn field((size, value): (&usize, u32)) -> Vec<u8> {
    let mut bytes = value.to_ne_bytes().to_vec();
    bytes.resize(*size, 0);
    bytes
}

fn reply(request: &Request, error: i32, body: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(16 + body.len())?;
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(error.to_ne_bytes());
    bytes.extend(request.bytes::<8>(8)?);
    bytes.extend(body);
    Ok(bytes)
}

/// fuse_init_out of protocol 7.31.
fn init(request: &Request) -> Result<Vec<u8>> {
    if request.word(HEADER)? != 7 {
        bail!("the kernel speaks FUSE {}", request.word(HEADER)?);
    }
    let mut body = Vec::new();
    for word in [7, 31, 0, FLAGS & request.word(HEADER + 12)?] {
        body.extend(word.to_ne_bytes());
    }
    for half in [16_u16, 12] {
        body.extend(half.to_ne_bytes());
    }
    body.extend(u32::try_from(MAX_WRITE)?.to_ne_bytes());
    body.extend(1_u32.to_ne_bytes());
    body.extend(MAX_PAGES.to_ne_bytes());
    body.resize(64, 0);
    Ok(body)
}

/// fuse_attr_out: valid for no time at all, inode 1, this size, a regular file of root's.
fn attributes(size: u64) -> Vec<u8> {
    let mut body = vec![0; 16];
    for long in [1, size, size.div_ceil(512), 0, 0, 0] {
        body.extend(long.to_ne_bytes());
    }
    for word in [0, 0, 0, FILE_MODE, 1, 0, 0, 0, 4096, 0] {
        body.extend(word.to_ne_bytes());
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Memory {
        bytes: Vec<u8>,
        flushes: usize,
    }

    impl Store for Memory {
        fn size(&self) -> u64 {
            self.bytes.len() as u64
        }

        fn read(&mut self, offset: u64, length: usize) -> Answer<Vec<u8>> {
            let at = usize::try_from(offset).unwrap();
            let read = self.bytes.get(at..at + length);
            read.map(<[u8]>::to_vec).ok_or(libc::EIO)
        }

        fn write(&mut self, offset: u64, data: &[u8]) -> Answer<()> {
            let at = usize::try_from(offset).unwrap();
            let place = self.bytes.get_mut(at..at + data.len()).ok_or(libc::EIO)?;
            place.copy_from_slice(data);
            Ok(())
        }

        fn flush(&mut self) -> Answer<()> {
            self.flushes += 1;
            Ok(())
        }
    }

    fn request(operation: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[4..8].copy_from_slice(&operation.to_ne_bytes());
        bytes[8..16].copy_from_slice(&77_u64.to_ne_bytes());
        bytes.extend(body);
        bytes
    }

    fn at(offset: u64, length: u32, data: &[u8]) -> Vec<u8> {
        let mut body = vec![0; 8];
        body.extend(offset.to_ne_bytes());
        body.extend(length.to_ne_bytes());
        body.resize(40, 0);
        body.extend(data);
        body
    }

    #[test]
    fn sizes_are_those_of_the_protocol() {
        let mut store = Memory::default();
        let mut size = |operation, body: &[u8]| {
            let bytes = request(operation, body);
            let answer = answer(&Request(&bytes), &mut store).unwrap().unwrap();
            assert_eq!(
                answer[..4],
                u32::try_from(answer.len()).unwrap().to_ne_bytes()
            );
            assert_eq!(answer[8..16], 77_u64.to_ne_bytes());
            answer.len() - 16
        };
        let hello: Vec<u8> = [7_u32, 40, 0, u32::MAX]
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        assert_eq!(size(INIT, &hello), 64);
        assert_eq!(size(GETATTR, &[0; 16]), 104);
        assert_eq!(size(OPEN, &[0; 8]), 16);
        assert_eq!(size(STATFS, &[]), 80);
        assert_eq!(size(FLUSH, &[]), 0);
    }

    #[test]
    fn what_was_written_is_read_and_a_sync_is_a_flush() {
        let mut store = Memory {
            bytes: vec![0; 8],
            flushes: 0,
        };
        let mut ask = |operation, body: &[u8]| {
            let bytes = request(operation, body);
            answer(&Request(&bytes), &mut store).unwrap().unwrap()[16..].to_vec()
        };
        assert_eq!(ask(WRITE, &at(3, 2, b"ab"))[..4], 2_u32.to_ne_bytes());
        assert_eq!(ask(READ, &at(2, 4, b"")), b"\0ab\0");
        ask(FSYNC, &[0; 16]);
        assert_eq!(store.flushes, 1);
    }
    #[test]
    fn what_the_store_refuses_is_told_with_its_errno() {
        let mut store = Memory::default();
        let mut refused = |operation, body: &[u8]| {
            let bytes = request(operation, body);
            let answer = answer(&Request(&bytes), &mut store).unwrap().unwrap();
            (answer[4..8] == (-libc::EIO).to_ne_bytes(), answer.len())
        };
        assert_eq!(refused(READ, &at(0, 4, b"")), (true, 16));
        assert_eq!(refused(WRITE, &at(0, 2, b"ab")), (true, 16));
        assert_eq!(refused(FSYNC, &[0; 16]), (false, 16));
    }
}
