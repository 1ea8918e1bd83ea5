//! See `fuzz::topic`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::topic::run(data));
