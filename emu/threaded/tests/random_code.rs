//! Random code: the engine has the same digest at the same cycles as the
//! reference interpreter, whatever falls between.

mod random;

use machine::cpu::{Cx, Halt};
use machine::engine::{Engine, Reference};

#[test]
fn random_code_does_the_same() {
    random::judge_seeds(150, &[&threaded::Threaded::default()]);
}

#[test]
fn bytes_of_a_fuzzer_do_the_same() {
    random::judge_bytes(20, &[&threaded::Threaded::default()]);
}

/// An engine that is wrong in little: RDTSC and its kin are a cycle too dear.
#[derive(Debug, Default)]
struct Wrong(Reference);

impl Engine for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }

    fn fresh(&self) -> Box<dyn Engine> {
        Box::new(Wrong::default())
    }

    fn run(&mut self, cx: &mut Cx<'_>) -> Result<(), Halt> {
        while cx.cpu.cycle < cx.deadline {
            self.step(cx)?;
            if cx.wants_attention() {
                break;
            }
        }
        Ok(())
    }

    fn step(&mut self, cx: &mut Cx<'_>) -> Result<(), Halt> {
        let (before, retired) = (cx.cpu.cycle, cx.cpu.retired);
        self.0.step(cx)?;
        if cx.cpu.retired > retired && cx.cpu.cycle == before + 30 {
            cx.cpu.cycle += 1;
        }
        Ok(())
    }
}

#[test]
#[should_panic(expected = "they part on the way to cycle")]
fn an_engine_that_is_wrong_is_told_where() {
    random::judge_seeds(20, &[&Wrong::default()]);
}
