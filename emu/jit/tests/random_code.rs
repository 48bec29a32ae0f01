//! Random code: compiled at once or when it has become hot, it has the same
//! digest at the same cycles as on the reference interpreter.

#[path = "../../threaded/tests/random/mod.rs"]
mod random;

use jit::Jit;

#[test]
fn random_code_does_the_same() {
    let [soon, later] =
        [(1, 300), (4, 2000)].map(|(times, slice)| Jit::with_threshold(times, slice));
    let (Some(soon), Some(later)) = (soon, later) else {
        eprintln!("skipped: there is no compiler for this host");
        return;
    };
    random::judge_seeds(60, &[&soon, &later]);
}

/// All that can be compiled is, where the others judge what is worth it.
#[test]
fn random_code_does_the_same_where_all_is_compiled() {
    match Jit::eager() {
        Some(eager) => random::judge_seeds(30, &[&eager]),
        None => eprintln!("skipped: there is no compiler for this host"),
    }
}

/// Regions are dropped all the time, or too large to be kept at all.
#[test]
fn random_code_does_the_same_where_regions_have_little_room() {
    let engines = [8 << 10, 40 << 10].map(|bytes| {
        let jit = Jit::with_threshold(1, 300);
        jit.map(|jit| jit.with_most_bytes(bytes))
    });
    match engines {
        [Some(tiny), Some(small)] => random::judge_seeds(30, &[&tiny, &small]),
        _ => eprintln!("skipped: there is no compiler for this host"),
    }
}

#[test]
fn bytes_of_a_fuzzer_do_the_same() {
    match Jit::eager() {
        Some(eager) => random::judge_bytes(10, &[&eager]),
        None => eprintln!("skipped: there is no compiler for this host"),
    }
}
