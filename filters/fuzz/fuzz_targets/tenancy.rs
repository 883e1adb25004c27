#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bifrost_testkit::fuzz::tenancy(data));
