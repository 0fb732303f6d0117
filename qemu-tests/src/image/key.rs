//! Names of cached things: the same recipe gives the same name on every machine.

/// `name-` and sixteen hexadecimal digits of everything that decides what is built.
pub(super) fn of(name: &str, parts: &[&str]) -> String {
    // FNV-1a: std's hasher may change between releases of Rust, a cached name may not.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{name}-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn every_part_and_every_border_counts() {
        assert_ne!(of("a", &["xy", "z"]), of("a", &["x", "yz"]));
        assert_ne!(of("a", &["x"]), of("a", &["y"]));
        assert_eq!(of("a", &["x"]), of("a", &["x"]));
    }

    /// The published test vector of FNV-1a 64 for the string "a", here with the border byte after.
    #[test]
    fn it_is_fnv_1a() {
        let a = 0xaf63_dc4c_8601_ec8c_u64;
        assert_eq!(
            of("n", &["a"]),
            format!("n-{:016x}", a.wrapping_mul(0x0100_0000_01b3))
        );
    }
}
