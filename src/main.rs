//! The command line: argv to exit code, and nothing else.
fn main() {}
