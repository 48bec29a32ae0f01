//! How fast the machine runs: a kernel given as a file, or loops of its own.
//!
//! ```text
//! cargo run --release -p machine --example speed [CYCLES | KERNEL [INITRD [COMMAND LINE]]]
//! ```
//! The console goes to stdout, the figures to stderr.

#[path = "../tests/guest/mod.rs"]
mod guest;

use std::io::Write;
use std::time::Instant;

use guest::{Body, assemble};
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use machine::{Choice, Config, Event, Host, Images, Machine, Payload, Stop};

/// Prints the console and counts the rest.
#[derive(Default)]
struct Terminal {
    events: u64,
}

impl Host for Terminal {
    fn event(&mut self, event: Event) {
        self.events += 1;
        if let Payload::Console(byte) = event.payload {
            // A closed stdout is no reason to stop measuring.
            let _ = std::io::stdout().write_all(&[byte]);
        }
    }

    fn choose(&mut self, choice: &Choice) -> u32 {
        choice.default
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let cycles = match args.first() {
        Some(first) => first.parse().ok(),
        None => Some(40_000_000),
    };
    match args.split_first().filter(|_| cycles.is_none()) {
        Some((kernel, rest)) => {
            let read = |path: &String| match std::fs::read(path) {
                Ok(bytes) => bytes,
                Err(error) => panic!("{path}: {error}"),
            };
            let kernel = read(kernel);
            let initrd = rest.first().map(read);
            let images = Images {
                kernel: &kernel,
                initrd: initrd.as_deref(),
                cmdline: rest.get(1).map_or("", String::as_str),
                disk: None,
            };
            measure("kernel", &images, u64::MAX);
        }
        None => {
            for (name, body) in LOOPS {
                let kernel = assemble(*body).expect("the loops are right");
                let images = Images {
                    kernel: &kernel,
                    initrd: None,
                    cmdline: "",
                    disk: None,
                };
                measure(name, &images, cycles.unwrap_or_default());
            }
        }
    }
}

fn measure(name: &str, images: &Images<'_>, cycles: u64) {
    let mut machine = match Machine::boot(&Config::default(), images) {
        Ok(machine) => machine,
        Err(error) => panic!("{error}"),
    };
    let mut host = Terminal::default();
    let start = Instant::now();
    let stop = machine.run(cycles, &mut host);
    let seconds = start.elapsed().as_secs_f64();
    let retired = machine.retired();
    let shown = match stop {
        Stop::Deadline => String::new(),
        other => format!(", {other}"),
    };
    eprintln!(
        "{name:>8}: {:7.1} MIPS, {retired} instructions ({} in user mode), {} cycles, {} events{shown}",
        retired as f64 / seconds / 1e6,
        machine.retired_user(),
        machine.cycle(),
        host.events,
    );
}

const LOOPS: &[(&str, Body)] = &[
    ("alu", alu),
    ("memory", memory),
    ("calls", calls),
    ("string", string),
];

/// Arithmetic and a branch that goes both ways.
fn alu(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    let mut even = a.create_label();
    a.set_label(&mut again)?;
    a.imul_3(eax, eax, 0x41C6_4E6D)?;
    a.add(eax, 12345)?;
    a.mov(ecx, eax)?;
    a.shr(ecx, 16)?;
    a.xor(edx, ecx)?;
    a.test(ecx, 1)?;
    a.je(even)?;
    a.lea(edx, dword_ptr(edx + ecx * 4 + 1))?;
    a.set_label(&mut even)?;
    a.inc(esi)?;
    a.jmp(again)
}

/// A pass over 256 KiB, reading and writing.
fn memory(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut pass = a.create_label();
    let mut again = a.create_label();
    a.set_label(&mut pass)?;
    a.mov(edi, 0x30_0000)?;
    a.mov(ecx, 65_536)?;
    a.set_label(&mut again)?;
    a.mov(eax, dword_ptr(edi))?;
    a.add(eax, ecx)?;
    a.mov(dword_ptr(edi), eax)?;
    a.add(edi, 4)?;
    a.dec(ecx)?;
    a.jne(again)?;
    a.jmp(pass)
}

/// Calls and returns with a frame.
fn calls(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    let mut leaf = a.create_label();
    a.mov(esp, 0x40_0000)?;
    a.set_label(&mut again)?;
    a.push(eax)?;
    a.call(leaf)?;
    a.pop(ecx)?;
    a.jmp(again)?;
    a.set_label(&mut leaf)?;
    a.push(ebp)?;
    a.mov(ebp, esp)?;
    a.mov(eax, dword_ptr(ebp + 8))?;
    a.inc(eax)?;
    a.pop(ebp)?;
    a.ret()
}

/// Copies by REP MOVSD.
fn string(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.set_label(&mut again)?;
    a.mov(esi, 0x30_0000)?;
    a.mov(edi, 0x38_0000)?;
    a.mov(ecx, 0x1_0000)?;
    a.rep().movsd()?;
    a.jmp(again)
}
