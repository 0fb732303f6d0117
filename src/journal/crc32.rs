//! CRC-32 as zlib and Ethernet have it. A library's tables of 16 KiB make a journal of a few hundred
//! frames no faster, and have to fit into every initramfs.

/// The polynomial, its lowest power first.
const POLYNOMIAL: u32 = 0xedb8_8320;
const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut remainder = 0_u32;
    let mut rest: &mut [u32] = &mut table;
    while let [first, others @ ..] = rest {
        *first = of_byte(remainder);
        remainder += 1;
        rest = others;
    }
    table
}

const fn of_byte(mut remainder: u32) -> u32 {
    let mut bit = 0;
    while bit < 8 {
        let reduced = (remainder & 1) * POLYNOMIAL;
        remainder = (remainder >> 1) ^ reduced;
        bit += 1;
    }
    remainder
}

/// The sum of these bytes.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        let [low, ..] = sum.to_le_bytes();
        // As many entries as a byte has values.
        let entry = TABLE.get(usize::from(low ^ byte)).unwrap_or(&0);
        (sum >> 8) ^ entry
    })
}

#[cfg(test)]
mod tests {
    use super::crc32;
    use proptest::prelude::*;

    /// The check value of the catalogue of parametrised CRC algorithms, CRC-32/ISO-HDLC.
    #[test]
    fn it_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    proptest! {
        #[test]
        fn it_is_that_of_a_library(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(crc32(&bytes), crc32fast::hash(&bytes));
        }
    }
}
