//! Any text is a scenario or has a mistake that can be shown at its place.
#![no_main]

use coe::scenario::Scenario;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = Scenario::parse("fuzz.toml", text) {
        assert!(
            error.text().get(error.span()).is_some(),
            "the place {:?} is none in the text",
            error.span()
        );
        assert!(!error.to_string().is_empty());
    }
});
