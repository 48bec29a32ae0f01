//! Going back to a checkpoint is as if what came after had never happened, on
//! whichever machine, and nothing of it shows in the others that share its pages.

mod guest;

use std::collections::BTreeMap;

use iced_x86::IcedError;
use iced_x86::code_asm::*;
use machine::{Checkpoint, Choice, Config, Digest, Event, Host, Images, Machine, Stop};

struct Nobody;

impl Host for Nobody {
    fn event(&mut self, _: Event) {}

    fn choose(&mut self, choice: &Choice) -> u32 {
        choice.default
    }
}

/// Writes to a page chosen by chance, 1 of 512 from 8 MiB on, and to code that it
/// then calls, and so on.
fn restless(a: &mut CodeAssembler) -> Result<(), IcedError> {
    const CALLED: i32 = 0x2F_0000;
    let mut again = a.create_label();
    a.mov(esp, 0x40_0000)?;
    // MOV EDX, imm32 and RET.
    a.mov(dword_ptr(CALLED), 0xBA)?;
    a.mov(dword_ptr(CALLED + 4), 0xC300)?;
    a.mov(ebx, CALLED)?;
    a.set_label(&mut again)?;
    a.imul_3(eax, eax, 0x41C6_4E6D)?;
    a.add(eax, 12345)?;
    a.mov(ecx, eax)?;
    a.shr(ecx, 7)?;
    a.and(ecx, 0x1F_FFFC)?;
    a.add(dword_ptr(ecx + 0x80_0000), eax)?;
    a.mov(dword_ptr(0x80_0000), esi)?;
    a.mov(dword_ptr(CALLED + 1), eax)?;
    a.call(ebx)?;
    a.add(esi, edx)?;
    a.jmp(again)
}

fn machine(memory: u64) -> Machine {
    let kernel = guest::assemble(restless).expect("it is right");
    let images = Images {
        kernel: &kernel,
        initrd: None,
        cmdline: "",
        disk: None,
    };
    let config = Config {
        memory,
        ..Config::default()
    };
    Machine::boot(&config, &images).expect("it boots")
}

fn run(machine: &mut Machine, cycles: u64) {
    let until = machine.cycle() + cycles;
    assert_eq!(machine.run(until, &mut Nobody), Stop::Deadline);
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        let product = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = product.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// Digests by cycle: the same cycle has to have the same one, however reached.
#[derive(Default)]
struct Seen(BTreeMap<u64, Digest>);

impl Seen {
    fn check(&mut self, machine: &Machine) {
        let digest = machine.digest();
        let first = *self.0.entry(machine.cycle()).or_insert(digest);
        assert_eq!(digest, first, "cycle {}", machine.cycle());
    }
}

#[test]
fn going_back_and_on_is_exact() {
    let mut chance = Chance(6);
    let mut seen = Seen::default();
    let mut machines = [machine(16 << 20), machine(16 << 20)];
    let mut points: Vec<Checkpoint> = Vec::new();
    for _ in 0..600 {
        let at = chance.below(machines.len());
        match chance.below(10) {
            0 | 1 => points.push(machines[at].checkpoint()),
            2..=4 if !points.is_empty() => {
                let point = &points[chance.below(points.len())];
                machines[at].rewind(point);
                assert_eq!(machines[at].cycle(), point.cycle());
                seen.check(&machines[at]);
            }
            5 => machines[at] = machines[chance.below(2)].clone(),
            6 if !points.is_empty() => {
                machines[at] = points[chance.below(points.len())].machine();
                seen.check(&machines[at]);
            }
            7 if !points.is_empty() => drop(points.swap_remove(chance.below(points.len()))),
            8 => machines[at] = Machine::restore(&machines[at].save()).expect("sound"),
            // In steps of a fixed length, so that the same cycles come again.
            _ => {
                for _ in 0..=chance.below(4) {
                    let until = (machines[at].cycle() / 500 + 1) * 500;
                    assert_eq!(machines[at].run(until, &mut Nobody), Stop::Deadline);
                    seen.check(&machines[at]);
                }
            }
        }
    }
    assert!(seen.0.len() > 20, "{} places", seen.0.len());
}

#[test]
fn copies_do_not_see_what_becomes_of_each_other() {
    let mut first = machine(16 << 20);
    run(&mut first, 20_000);
    let (second, point) = (first.clone(), first.checkpoint());
    let before = first.save();
    run(&mut first, 20_000);
    let after = first.save();
    assert_ne!(after, before);
    assert_eq!(second.save(), before);
    assert_eq!(point.machine().save(), before);
    drop(first);
    let mut third = point.machine();
    run(&mut third, 20_000);
    assert_eq!(third.save(), after);
    assert_eq!(second.save(), before);
}

#[test]
fn a_machine_becomes_one_with_another_memory() {
    let mut small = machine(16 << 20);
    let mut large = machine(32 << 20);
    run(&mut large, 5_000);
    small.rewind(&large.checkpoint());
    assert_eq!(small.config().memory, 32 << 20);
    assert_eq!(small.digest(), large.digest());
    run(&mut small, 5_000);
    run(&mut large, 5_000);
    assert_eq!(small.digest(), large.digest());
}

#[test]
fn machines_on_several_threads_go_on_from_one_checkpoint() {
    let mut machine = machine(16 << 20);
    run(&mut machine, 20_000);
    let point = machine.checkpoint();
    run(&mut machine, 20_000);
    let wanted = machine.digest();
    let found = std::thread::scope(|scope| {
        let threads = [(); 3].map(|()| {
            scope.spawn(|| {
                let mut machine = point.machine();
                run(&mut machine, 20_000);
                machine.digest()
            })
        });
        threads.map(|thread| thread.join().expect("no panic"))
    });
    assert_eq!(found, [wanted; 3]);
}
