//! The threaded interpreter against the reference interpreter: the same state at the same cycle,
//! for random code that faults, overwrites itself and is cut into random slices.

mod common;

use std::thread;

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

/// The stack that loops get: less than a word for each of the operations they carry out.
const STACK: usize = 64 << 10;

/// What follows one operation is reached by a jump and never by a call: runs such loops where frames
/// would not find room, for so many cycles each.
fn loops_on_little_stack(bodies: impl Iterator<Item = Vec<u8>>, cycles: u64) {
    for body in bodies {
        let mut code = vec![0xB9, 0, 0, 0, 0x10]; // mov ecx, 0x1000_0000
        code.extend(&body);
        code.extend([0xFF, 0xC9, 0x0F, 0x85]); // dec ecx; jnz the body
        code.extend((-(body.len() as i32 + 8)).to_le_bytes());
        code.extend([0xEB, 0xFE]); // jmp here
        let mut guest = Guest::with_data(&code);
        let mut engine = Threaded::default();
        println!("{body:02X?}");
        thread::scope(|scope| {
            let run = || guest.run(&mut engine, cycles);
            let thread = thread::Builder::new().stack_size(STACK);
            let thread = thread.spawn_scoped(scope, run).expect("a thread");
            // That it comes to an end is all that is asked: the others compare what it does.
            let _ = thread.join().expect("no panic");
        });
    }
}

#[test]
fn long_loops_need_no_stack() {
    let ways: &[&[u8]] = &[
        &[0x48, 0x01, 0xC8, 0x48, 0xC1, 0xC0, 0x05], // add rax, rcx; rol rax, 5
        &[0xEB, 0x00],                               // jmp
        &[0x74, 0x00, 0x75, 0x00],                   // jz; jnz
        &[0x39, 0xC8, 0x7C, 0x00],                   // cmp eax, ecx; jl
        &[0xA8, 0x01, 0x74, 0x00],                   // test al, 1; jz
        &[0xE8, 0, 0, 0, 0, 0x58],                   // call; pop rax
        &[0xEB, 0x01, 0xC3, 0xE8, 0xFA, 0xFF, 0xFF, 0xFF], // a call of a ret
        &[0x48, 0x8D, 0x05, 0x02, 0, 0, 0, 0xFF, 0xE0], // lea rax; jmp rax
        &[0x48, 0x8D, 0x05, 0x02, 0, 0, 0, 0xFF, 0xD0, 0x58], // lea rax; call rax; pop rax
        &[
            0x48, 0x8D, 0x05, 0x05, 0, 0, 0, 0x48, 0x89, 0x03, 0xFF, 0x23,
        ], // lea rax; mov [rbx], rax; jmp [rbx]
        &[
            0x48, 0x8D, 0x05, 0x05, 0, 0, 0, 0x48, 0x89, 0x03, 0xFF, 0x13, 0x58,
        ], // the same with call [rbx]; pop rax
        &[0x48, 0x8D, 0x05, 0x02, 0, 0, 0, 0x50, 0xC3], // lea rax; push rax; ret
        &[0x8B, 0x83, 0xFE, 0x0B, 0, 0],             // mov eax, [rbx + 0xBFE]: in two pages
        &[0x0F, 0xA2],                               // cpuid
    ];
    loops_on_little_stack(ways.iter().map(|way| way.to_vec()), 1_000_000);
}

#[test]
fn long_loops_of_any_instruction_need_no_stack() {
    let mut random = Random(1);
    let any = (0..1500).map(|_| {
        let mut body = Vec::new();
        common::instruction(&mut random, &mut body);
        body
    });
    loops_on_little_stack(any, 200_000);
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

/// A jump in two pages, of which nothing else runs in the second: its end is overwritten there.
#[test]
fn the_end_of_an_instruction_in_a_page_of_its_own() {
    let mut code = vec![0xB9, 100, 0, 0, 0]; // mov ecx, 100
    code.extend([0xB8, 0, 0, 0x50, 0]); // mov eax, 0x500000
    code.extend([0xC6, 0x04, 0x25, 0x00, 0x18, 0x20, 0x00, 1]); // mov byte [0x201800], 1
    let top = code.len() as i32;
    code.extend([0xFF, 0xC9]); // top: dec ecx
    code.extend([0x74, 0x05]); // jz over the jump
    let jump_to = |code: &mut Vec<u8>, target: i32| {
        let distance = target - (code.len() as i32 + 5);
        code.push(0xE9);
        code.extend(distance.to_le_bytes());
    };
    jump_to(&mut code, 0xFFD);
    code.extend([0xC6, 0x04, 0x25, 0x00, 0x10, 0x20, 0x00, 0xFE]); // mov byte [0x201000], 0xFE
    jump_to(&mut code, 0xFFD);
    code.resize(0x800, 0x90);
    jump_to(&mut code, top);
    code.resize(0xFFD, 0x90);
    jump_to(&mut code, 0x800);
    let mut exact = Guest::with(&code);
    let mut fast = exact.clone();
    let (mut reference, mut threaded) = (Reference::default(), Threaded::default());
    for deadline in (0..5_000).step_by(713) {
        exact.run(&mut reference, deadline).unwrap();
        fast.run(&mut threaded, deadline).unwrap();
        assert_eq!(exact.cpu, fast.cpu);
    }
    assert!((0x1F_0800..0x20_0000).contains(&exact.cpu.rip));
}

/// More code than is kept at a time, three times over.
#[test]
fn more_code_than_is_kept() {
    let mut code = [0xFF, 0xC0].repeat(80_000); // inc eax
    let back = -(code.len() as i32 + 5);
    code.push(0xE9);
    code.extend(back.to_le_bytes());
    let mut exact = Guest::with(&code);
    let mut fast = exact.clone();
    exact.run(&mut Reference::default(), 240_000).unwrap();
    fast.run(&mut Threaded::default(), 240_000).unwrap();
    assert_eq!(exact.cpu, fast.cpu);
}

/// What random code hardly ever has: a copy that is combined with itself, and a search for two equal
/// bytes where many are.
#[test]
fn what_is_rare() {
    let rare: [&[u8]; 2] = [
        // mov rax, rbx; add rax, rax; mov ecx, ebx; sub ecx, ecx
        &[0x48, 0x89, 0xD8, 0x48, 0x01, 0xC0, 0x89, 0xD9, 0x29, 0xC9],
        // mov al, [rsi]; mov ecx, 300; repne cmpsb
        &[0x8A, 0x06, 0xB9, 0x2C, 1, 0, 0, 0xF2, 0xA6],
    ];
    for code in rare {
        let code = [code, &[0xEB, 0xFE]].concat();
        let mut exact = Guest::with_data(&code);
        let mut fast = exact.clone();
        exact.run(&mut Reference::default(), 3000).unwrap();
        fast.run(&mut Threaded::default(), 3000).unwrap();
        assert_eq!(exact.cpu, fast.cpu);
    }
}
