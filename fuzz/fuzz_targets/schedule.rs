//! Any text is a schedule, and is the same one when it is written down again,
//! or has a mistake that can be shown at its place.
#![no_main]

use coe::schedule::Schedule;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Schedule::parse("fuzz.schedule", text) {
        Ok(schedule) => {
            let shown = schedule.to_string();
            let again = Schedule::parse("shown.schedule", &shown);
            let again = again.unwrap_or_else(|error| panic!("{error}:\n{shown}"));
            assert_eq!(again.to_string(), shown);
        }
        Err(error) => assert!(
            error.text().get(error.span()).is_some(),
            "the place {:?} is none in the text",
            error.span()
        ),
    }
});
