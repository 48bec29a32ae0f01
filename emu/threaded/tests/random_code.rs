//! Random code: the engine has the same digest at the same cycles as the
//! reference interpreter, whatever falls between.

mod random;

#[test]
fn random_code_does_the_same() {
    random::judge_seeds(150, &[&threaded::Threaded::default()]);
}

#[test]
fn bytes_of_a_fuzzer_do_the_same() {
    random::judge_bytes(20, &[&threaded::Threaded::default()]);
}
