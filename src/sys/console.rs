//! The kernel's log.
/// skeleton
pub fn kernel_message(_level: u8, _line: &str) {}
