//! All 4096 combinations of twelve flags of clone, natively and in the guest:
//! the same error, or the same things that parent and child see of each other.
//! `clone-walk list` tells them one by one.

mod common;

use common::{Stdio, judge_embedded};

#[test]
fn every_combination_is_as_on_linux() {
    let outcome = judge_embedded("clone-walk", &[], Stdio::Pipe);
    let said = String::from_utf8_lossy(&outcome.output).into_owned();
    assert!(
        said.starts_with("4096 combinations, made 2048\n") && outcome.status == 0,
        "the walk did not get to its end:\n{said}"
    );
}
