#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rootshift_fuzz::restore(data));
