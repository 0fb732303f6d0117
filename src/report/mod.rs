//! What people and machines are told: console, kernel log, log file, JSON.

pub mod log_file;
pub mod print;
pub mod time;
pub mod units;
