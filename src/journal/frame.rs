//! One record as bytes: framed, checked, padded to sectors.
//!
//! ```text
//! 0   4  magic "rsJ1"          20  8  tag: which run this record belongs to
//! 4   2  version               28  4  CRC32 of bytes 0..28
//! 6   2  reserved, zero        32  …  payload (JSON), then zeros
//! 8   8  sequence number       -8  4  CRC32 of everything before it
//! 16  4  payload length        -4  4  end mark "done"
//! ```
//!
//! The end mark is the last thing in a frame. A write that was cut leaves a prefix of the frame,
//! followed by nothing or by zeros; a flipped bit leaves the end mark standing. So a *torn* tail
//! (to be dropped: it was never durable) is told from *damage* (to be refused).

use super::crc32::crc32;

/// Frames begin at multiples of this many bytes.
pub const SECTOR: usize = 512;
/// A frame's payload may not be larger (a plan is not in the journal, only its digest).
pub const PAYLOAD_LIMIT: usize = 64 * 1024;

const MAGIC: [u8; 4] = *b"rsJ1";
const END: [u8; 4] = *b"done";
const VERSION: u16 = 1;
const HEADER: usize = 32;
const TRAILER: usize = 8;

/// A frame taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Rises by one from record to record, from 1.
    pub sequence: u64,
    /// Ties a record to its batch and plan.
    pub tag: u64,
    /// The JSON.
    pub payload: &'a [u8],
    /// Bytes taken up, padding included.
    pub size: usize,
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bad {
    /// The write was cut: everything from here on was never durable.
    Torn,
    /// It was whole once and is not now.
    Damaged(String),
    /// It is whole, and in a form that this program does not know.
    OtherVersion,
}

/// The frame of one record, or `None` when the payload is larger than [`PAYLOAD_LIMIT`].
#[must_use]
pub fn encode(sequence: u64, tag: u64, payload: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(payload.len()).ok()?;
    if payload.len() > PAYLOAD_LIMIT {
        return None;
    }
    let size = frame_size(payload.len());
    let mut bytes = Vec::with_capacity(size);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(&sequence.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&tag.to_le_bytes());
    bytes.extend_from_slice(&crc32(&bytes).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes.resize(size - TRAILER, 0);
    bytes.extend_from_slice(&crc32(&bytes).to_le_bytes());
    bytes.extend_from_slice(&END);
    Some(bytes)
}

/// The frame that `bytes` (the rest of the file) begins with.
///
/// # Errors
/// [`Bad::Torn`] when the write that made it was cut, else [`Bad::Damaged`] or
/// [`Bad::OtherVersion`].
pub fn decode(bytes: &[u8]) -> Result<Frame<'_>, Bad> {
    let Some(header) = header(bytes)? else {
        return Err(Bad::Torn);
    };
    let size = frame_size(header.length);
    let Some(frame) = bytes.get(..size) else {
        return Err(if another_follows(bytes) {
            Bad::Damaged("another record begins inside the record".into())
        } else {
            Bad::Torn
        });
    };
    let (body, trailer) = frame.split_at(size - TRAILER);
    let (sum, end) = trailer.split_at(4);
    if end != END {
        return Err(cut_or_damaged(bytes, "the end mark of the record is wrong"));
    }
    if sum != crc32(body).to_le_bytes() {
        return Err(Bad::Damaged("the checksum of the record is wrong".into()));
    }
    let payload = body.get(HEADER..HEADER + header.length).unwrap_or_default();
    Ok(Frame {
        sequence: header.sequence,
        tag: header.tag,
        payload,
        size,
    })
}

struct Header {
    sequence: u64,
    length: usize,
    tag: u64,
}

fn header(bytes: &[u8]) -> Result<Option<Header>, Bad> {
    let Some(head) = bytes.get(..HEADER) else {
        return if is_prefix_then_zeros(bytes, &MAGIC) {
            Ok(None)
        } else {
            Err(Bad::Damaged("there are bytes that are no record".into()))
        };
    };
    let (checked, sum) = head.split_at(HEADER - 4);
    if sum != crc32(checked).to_le_bytes() {
        return Err(cut_or_damaged(bytes, "the header of the record is wrong"));
    }
    if !checked.starts_with(&MAGIC) || checked.get(4..6) != Some(&VERSION.to_le_bytes()) {
        return Err(Bad::OtherVersion);
    }
    let length = usize::try_from(number(checked, 16, 4)).unwrap_or(usize::MAX);
    if length > PAYLOAD_LIMIT {
        return Err(Bad::Damaged("the record is larger than any record".into()));
    }
    Ok(Some(Header {
        sequence: number(checked, 8, 8),
        length,
        tag: number(checked, 20, 8),
    }))
}

/// A cut write ends in zeros or in the middle of a sector; a whole one ends in its end mark. Where
/// another record follows, the bad one was durable before it and can't be a cut write.
fn cut_or_damaged(bytes: &[u8], problem: &str) -> Bad {
    let whole = bytes.len().is_multiple_of(SECTOR) && bytes.last() != Some(&0);
    if whole || another_follows(bytes) {
        Bad::Damaged(problem.into())
    } else {
        Bad::Torn
    }
}

fn another_follows(bytes: &[u8]) -> bool {
    bytes
        .chunks(SECTOR)
        .skip(1)
        .any(|sector| sector.starts_with(&MAGIC))
}

fn is_prefix_then_zeros(bytes: &[u8], prefix: &[u8]) -> bool {
    let same = bytes.iter().zip(prefix).take_while(|(a, b)| a == b).count();
    same == prefix.len() || bytes.iter().skip(same).all(|byte| *byte == 0)
}

fn frame_size(payload: usize) -> usize {
    (HEADER + payload + TRAILER).next_multiple_of(SECTOR)
}

fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let field = bytes.get(at..at + size).unwrap_or_default();
    field
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::{Bad, SECTOR, decode, encode};
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn a_frame_fills_whole_sectors() {
        for payload in [0, 1, 471, 472, 473, 2000] {
            let frame = encode(1, 2, &vec![b'x'; payload]).unwrap();
            assert_eq!(frame.len() % SECTOR, 0);
        }
        assert_eq!(encode(1, 2, &[b'x'; 472]).unwrap().len(), SECTOR);
        assert_eq!(encode(1, 2, &[b'x'; 473]).unwrap().len(), 2 * SECTOR);
    }

    #[test]
    fn a_payload_over_the_limit_is_not_framed() {
        assert!(encode(1, 2, &vec![0; super::PAYLOAD_LIMIT + 1]).is_none());
    }

    /// Found by fuzzing: the record after it was dropped as if it had never been durable.
    #[test]
    fn the_begin_of_a_long_record_before_another_is_damage() {
        let long = encode(7, 9, &[b'x'; 1200]).unwrap();
        let mut bytes = long[..SECTOR].to_vec();
        assert_eq!(decode(&bytes), Err(Bad::Torn));
        bytes.extend(encode(8, 9, b"y").unwrap());
        assert!(matches!(decode(&bytes), Err(Bad::Damaged(_))));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(sequence in any::<u64>(), tag in any::<u64>(),
                                      payload in proptest::collection::vec(any::<u8>(), 0..1500)) {
            let bytes = encode(sequence, tag, &payload).unwrap();
            let frame = decode(&bytes).unwrap();
            prop_assert_eq!(frame.sequence, sequence);
            prop_assert_eq!(frame.tag, tag);
            prop_assert_eq!(frame.payload, &payload[..]);
            prop_assert_eq!(frame.size, bytes.len());
        }

        #[test]
        fn a_write_cut_at_any_byte_is_torn(length in 1usize..1200, cut in 0usize..2048, zeros: bool) {
            let whole = encode(7, 9, &vec![b'x'; length]).unwrap();
            let cut = cut % whole.len();
            let mut bytes = whole[..cut].to_vec();
            if zeros {
                bytes.resize(whole.len(), 0);
            }
            prop_assert_eq!(decode(&bytes), Err(Bad::Torn));
        }

        #[test]
        fn a_flipped_bit_is_damage(length in 1usize..1200, bit in any::<usize>()) {
            let mut bytes = encode(7, 9, &vec![b'x'; length]).unwrap();
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(matches!(decode(&bytes), Err(Bad::Damaged(_))));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = decode(&bytes);
        }
    }
}
