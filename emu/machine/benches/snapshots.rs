//! What it costs to keep where a machine stands and to go back there.
//!
//! `cargo bench -p machine --bench snapshots` takes a machine of 64 MiB that has
//! touched 8 MiB and lets it write to a few pages between one checkpoint, or one
//! return to it, and the next. Times are of the CPU that this process gets: the
//! shortest of several rounds.

#[path = "../tests/guest/mod.rs"]
mod guest;

use std::hint::black_box;
use std::time::{Duration, Instant};

use iced_x86::IcedError;
use iced_x86::code_asm::*;
use machine::{Choice, Config, Event, Host, Images, Machine, Saved, Stop};

/// Times that a small machine goes back to a checkpoint in a second, at least.
const LIMIT: f64 = 10_000.0;

/// Cycles until the guest has touched its 8 MiB.
const TOUCHED: u64 = 2_000_000;

const ROUNDS: usize = 5;

struct Nobody;

impl Host for Nobody {
    fn event(&mut self, _: Event) {}

    fn choose(&mut self, choice: &Choice) -> u32 {
        choice.default
    }
}

/// Touches 8 MiB from 8 MiB on, then goes through them a page at a time, with
/// some work for each.
fn walk(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut touch = a.create_label();
    let mut pass = a.create_label();
    let mut page = a.create_label();
    let mut work = a.create_label();
    a.mov(edi, 0x80_0000)?;
    a.set_label(&mut touch)?;
    a.mov(dword_ptr(edi), edi)?;
    a.add(edi, 4096)?;
    a.cmp(edi, 0x100_0000)?;
    a.jne(touch)?;
    a.set_label(&mut pass)?;
    a.mov(edi, 0x80_0000)?;
    a.set_label(&mut page)?;
    a.add(dword_ptr(edi), 1)?;
    a.mov(ecx, 100)?;
    a.set_label(&mut work)?;
    a.dec(ecx)?;
    a.jne(work)?;
    a.add(edi, 4096)?;
    a.cmp(edi, 0x100_0000)?;
    a.jne(page)?;
    a.jmp(pass)
}

fn boot() -> Machine {
    let kernel = guest::assemble(walk).expect("it is right");
    let images = Images {
        kernel: &kernel,
        initrd: None,
        cmdline: "",
        disk: None,
    };
    let mut machine = Machine::boot(&Config::default(), &images).expect("it boots");
    run(&mut machine, TOUCHED);
    machine
}

fn run(machine: &mut Machine, cycles: u64) {
    let until = machine.cycle() + cycles;
    assert_eq!(machine.run(until, &mut Nobody), Stop::Deadline);
}

/// The shortest time of an operation, behind a preparation that does not count.
fn time<T>(times: u32, mut prepare: impl FnMut() -> T, mut work: impl FnMut(T)) -> Duration {
    let round = |_| {
        let mut sum = Duration::ZERO;
        for _ in 0..times {
            let input = prepare();
            let start = Instant::now();
            work(input);
            sum += start.elapsed();
        }
        sum / times
    };
    (0..ROUNDS).map(round).min().unwrap_or_default()
}

fn show(what: &str, each: Duration) {
    let micros = each.as_secs_f64() * 1e6;
    println!("{what:<56} {micros:>10.1} us");
}

/// Going back after so many cycles, and how many pages those change.
fn back_and_forth(machine: &mut Machine, cycles: u64) -> f64 {
    let point = machine.checkpoint();
    let mut none = machine.clone();
    none.rewind(&point);
    let start = Instant::now();
    let mut ran = Duration::ZERO;
    let times = (40_000_000 / (cycles + 2_000)) as u32;
    for _ in 0..times {
        let began = Instant::now();
        run(machine, cycles);
        ran += began.elapsed();
        machine.rewind(&point);
    }
    let whole = start.elapsed();
    let each = (whole - ran) / times;
    show(&format!("going back after {cycles} cycles"), each);
    show(&format!("running those {cycles} cycles"), ran / times);
    f64::from(times) / (whole - ran).as_secs_f64()
}

fn main() {
    let mut machine = boot();
    let bytes = machine.save();
    println!("a snapshot has {} KiB", bytes.len() >> 10);
    show(
        "saving it",
        time(3, || (), |()| drop(black_box(machine.save()))),
    );
    let restore = |()| drop(black_box(Machine::restore(&bytes).expect("sound")));
    show("restoring it", time(3, || (), restore));
    let mut fresh = time(1, boot, |mut machine| drop(black_box(machine.checkpoint())));
    show("the first checkpoint, of 8 MiB", fresh);
    fresh = time(10, || (), |()| drop(black_box(machine.checkpoint())));
    show("a checkpoint with nothing changed", fresh);
    let point = machine.checkpoint();
    for pages in [1, 10, 100, 1000] {
        let cycles = pages * 304;
        let mut each = Duration::MAX;
        for _ in 0..ROUNDS {
            run(&mut machine, cycles);
            let start = Instant::now();
            let kept = machine.checkpoint();
            each = each.min(start.elapsed());
            drop(kept);
            machine.rewind(&point);
        }
        show(&format!("a checkpoint after about {pages} pages"), each);
    }
    for pages in [1, 10, 100, 1000] {
        let mut saved = Saved::default();
        drop(machine.save_changes(&mut saved));
        let mut each = Duration::MAX;
        for _ in 0..ROUNDS {
            run(&mut machine, pages * 304);
            let start = Instant::now();
            drop(black_box(machine.save_changes(&mut saved)));
            each = each.min(start.elapsed());
        }
        show(&format!("saving what about {pages} pages have new"), each);
    }
    let copy = |()| drop(black_box(machine.clone()));
    show("copying the machine", time(10, || (), copy));
    let other = |()| drop(black_box(point.machine()));
    show(
        "another machine from the checkpoint",
        time(10, || (), other),
    );
    machine.rewind(&point);
    let mut rates = Vec::new();
    for cycles in [0, 3_000, 10_000, 300_000] {
        rates.push(back_and_forth(&mut machine, cycles));
    }
    // A small scenario's machine: about 30 pages between the one and the other.
    let rate = rates[2];
    println!("{rate:.0} returns in a second, where {LIMIT} are wanted");
    if rate < LIMIT {
        std::process::exit(1);
    }
}
