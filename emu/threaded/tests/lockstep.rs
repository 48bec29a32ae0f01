//! The threaded interpreter against the reference interpreter: the same state at the same cycle,
//! for random code that faults, overwrites itself and is cut into random slices.

mod common;

use common::{Guest, Random};
use machine::engine::Reference;
use threaded::Threaded;

/// Runs both to the same deadlines and compares them there.
fn compare(seed: u64, until: u64, slice: u64) {
    let mut random = Random(seed);
    let mut exact = Guest::random(&mut random);
    let mut fast = exact.clone();
    let (mut reference, mut threaded) = (Reference::default(), Threaded::default());
    let mut deadline = 0;
    while deadline < until {
        deadline = exact.cpu.cycle + 1 + random.below(slice);
        let ends = [
            exact.run(&mut reference, deadline),
            fast.run(&mut threaded, deadline),
        ];
        assert_eq!(ends[0], ends[1], "seed {seed}");
        let (left, right) = (&exact.cpu, &fast.cpu);
        assert_eq!(left, right, "seed {seed} at cycle {}", left.cycle);
        if ends[0] != Ok(false) {
            break;
        }
        if random.below(64) == 0 {
            threaded = Threaded::default();
        }
    }
    assert!(exact.same_memory(&fast), "seed {seed}");
}

#[test]
fn random_code_in_long_slices() {
    for seed in 0..60 {
        compare(seed, 60_000, 20_000);
    }
}

#[test]
fn random_code_in_short_slices() {
    for seed in 1000..1060 {
        compare(seed, 30_000, 100);
    }
}

#[test]
fn a_long_loop_needs_no_stack() {
    let code: &[u8] = &[
        0xB9, 0x40, 0x42, 0x0F, 0x00, // mov ecx, 1_000_000
        0x48, 0x01, 0xC8, // add rax, rcx
        0x48, 0xC1, 0xC0, 0x05, // rol rax, 5
        0xFF, 0xC9, // dec ecx
        0x75, 0xF5, // jnz the addition
        0xEB, 0xFE, // jmp here
    ];
    let mut exact = Guest::with(code);
    let mut fast = exact.clone();
    exact.run(&mut Reference::default(), 3_500_000).unwrap();
    fast.run(&mut Threaded::default(), 3_500_000).unwrap();
    assert_eq!(exact.cpu, fast.cpu);
}

/// A loop with an instruction in two pages, which adds to its own immediate in the second one now
/// and then.
#[test]
fn an_instruction_in_two_pages() {
    let mut code = vec![0xB9, 0x00, 0x08, 0x00, 0x00]; // mov ecx, 2048
    code.extend([0xE9, 0xF4, 0x0F, 0x00, 0x00]); // jmp to 0xFFE
    code.resize(0xFFE, 0x90);
    code.extend([0x05, 1, 0, 0, 0]); // add eax, 1
    code.extend([0xF6, 0xC1, 0x3F]); // test cl, 63
    code.extend([0x75, 0x07]); // jnz over the next
    code.extend([0xFF, 0x04, 0x25, 0xFF, 0x0F, 0x20, 0x00]); // inc dword [0x200FFF]
    code.extend([0xFF, 0xC9]); // dec ecx
    code.extend([0x75, 0xEB]); // jnz the addition
    code.extend([0xEB, 0xFE]); // jmp here
    let mut exact = Guest::with(&code);
    let mut fast = exact.clone();
    let (mut reference, mut threaded) = (Reference::default(), Threaded::default());
    for deadline in (0..30_000).step_by(713) {
        exact.run(&mut reference, deadline).unwrap();
        fast.run(&mut threaded, deadline).unwrap();
        assert_eq!(exact.cpu, fast.cpu);
    }
    assert_eq!(exact.cpu.gpr[1], 0);
    assert_ne!(exact.cpu.gpr[0], 2048);
}
