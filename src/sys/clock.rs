//! Time.
use super::Root;
/// skeleton
#[must_use]
pub fn monotonic_milliseconds() -> u64 {
    0
}
/// skeleton
#[must_use]
pub fn unix_seconds() -> i64 {
    0
}
/// skeleton
#[must_use]
pub fn boot_id(_root: &Root) -> Option<String> {
    None
}
