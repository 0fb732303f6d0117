//! Numbers that look random and follow from a seed and a name.

/// splitmix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The same numbers for the same seed and name.
    pub fn of(seed: u64, name: &str) -> Self {
        // FNV-1a: stable over releases of Rust, as its own hashes are not.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The next number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % limit.max(1) as u64).unwrap_or_default()
    }

    /// `count` of the things, in their order.
    pub fn pick<T: Clone>(&mut self, things: &[T], count: usize) -> Vec<T> {
        let mut left: Vec<usize> = (0..things.len()).collect();
        let mut chosen: Vec<usize> = Vec::new();
        while chosen.len() < count && !left.is_empty() {
            chosen.push(left.swap_remove(self.below(left.len())));
        }
        chosen.sort_unstable();
        chosen
            .into_iter()
            .map(|index| things[index].clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn a_seed_and_a_name_decide() {
        let first = |seed, name| Chance::of(seed, name).below(1 << 30);
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(2, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
    }

    #[test]
    fn what_is_picked_is_in_order_and_nothing_twice() {
        let picked = Chance::of(1, "x").pick(&[1, 2, 3, 4, 5], 3);
        assert_eq!(picked.len(), 3);
        assert!(picked.is_sorted_by(|one, next| one < next), "{picked:?}");
        assert_eq!(Chance::of(1, "x").pick(&[1, 2], 9), [1, 2]);
    }
}
