//! What people and machines are told: console, kernel log, log file, JSON.

pub mod boot_log;
pub mod log_file;
pub mod page;
pub mod plymouth;
pub mod print;
pub mod progress;
pub mod signs;
pub mod time;
pub mod units;
