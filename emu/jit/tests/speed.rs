//! How fast small loops are: `cargo test -p jit --test speed -- --ignored --nocapture`.

mod common;

use std::time::Instant;

use common::{CODE, DATA, Program, STACK, World};
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use jit::Jit;

type Loop = fn(&mut CodeAssembler) -> Result<(), IcedError>;

fn arithmetic(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.set_label(&mut again)?;
    a.lea(rax, ptr(rax + rcx * 4 + 7))?;
    a.xor(rdx, rax)?;
    a.shr(rdx, 3)?;
    a.add(rcx, rdx)?;
    a.rol(rcx, 5)?;
    a.test(dl, 1)?;
    let mut even = a.create_label();
    a.je(even)?;
    a.add(rsi, 3)?;
    a.set_label(&mut even)?;
    a.inc(rdi)?;
    a.cmp(rdi, -1)?;
    a.jne(again)
}

fn memory(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.set_label(&mut again)?;
    a.mov(eax, ecx)?;
    a.and(eax, 0x3FF8)?;
    a.mov(rdx, qword_ptr(rbx + rax))?;
    a.add(rdx, rsi)?;
    a.mov(qword_ptr(rbx + rax + 8), rdx)?;
    a.add(ecx, 24)?;
    a.movzx(esi, byte_ptr(rbx + rax + 3))?;
    a.dec(rdi)?;
    a.jne(again)
}

fn calls(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let (mut again, mut leaf) = (a.create_label(), a.create_label());
    a.set_label(&mut again)?;
    a.mov(esi, ecx)?;
    a.call(leaf)?;
    a.add(rdx, rax)?;
    a.call(leaf)?;
    a.dec(rdi)?;
    a.jne(again)?;
    a.set_label(&mut leaf)?;
    a.push(rbp)?;
    a.mov(rbp, rsp)?;
    a.lea(eax, ptr(rsi + 3))?;
    a.add(ecx, 1)?;
    a.pop(rbp)?;
    a.ret()
}

fn doubles(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.mov(eax, 3)?;
    a.cvtsi2sd(xmm0, eax)?;
    a.mov(eax, 7)?;
    a.cvtsi2sd(xmm1, eax)?;
    a.movapd(xmm3, xmm0)?;
    a.divsd(xmm3, xmm1)?;
    a.set_label(&mut again)?;
    a.movapd(xmm2, xmm0)?;
    a.mulsd(xmm2, xmm3)?;
    a.addsd(xmm2, xmm1)?;
    a.movsd_2(qword_ptr(rbx + 0x20), xmm2)?;
    a.subsd(xmm2, xmm0)?;
    a.mulsd(xmm2, xmm3)?;
    a.movapd(xmm0, xmm2)?;
    a.dec(rdi)?;
    a.jne(again)
}

fn measure(name: &str, make: Loop) {
    let mut a = CodeAssembler::new(64).expect("64 bits");
    make(&mut a).expect("code");
    a.ud2().expect("code");
    let mut registers = [1; 16];
    (registers[3], registers[4], registers[7]) = (DATA, STACK, u64::MAX >> 1);
    let program = Program {
        bytes: a.assemble(CODE).expect("code"),
        registers,
        vectors: [0; 16],
        flags: 0,
        user: true,
    };
    let mut world = World::new(&program);
    let mut engine = Jit::with_threshold(4, 5000).expect("a host that it is for");
    let start = Instant::now();
    world.run(&mut engine, 1_000_000).expect("a run");
    let warm = start.elapsed();
    let (start, before) = (Instant::now(), world.cpu.retired);
    world.run(&mut engine, 300_000_000).expect("a run");
    let rate = (world.cpu.retired - before) as f64 / start.elapsed().as_secs_f64() / 1e6;
    println!("{name:12} {rate:8.0} MIPS, the first million cycles {warm:?}");
}

#[test]
#[ignore = "figures for who looks"]
fn loops() {
    let all: [(&str, Loop); 4] = [
        ("arithmetic", arithmetic),
        ("memory", memory),
        ("calls", calls),
        ("doubles", doubles),
    ];
    for (name, make) in all {
        measure(name, make);
    }
}

/// Takes what the console says, and how much CPU time each line took.
struct Rows {
    line: String,
    since: (u64, u64),
}

/// Nanoseconds of CPU time of this thread.
fn cpu_time() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().unwrap_or(0)
}

impl machine::Host for Rows {
    fn event(&mut self, event: machine::Event) {
        let machine::Payload::Console(byte) = event.payload else {
            return;
        };
        match byte {
            b' ' => self.since = (event.at.retired, cpu_time()),
            b'\n' => {
                let count = event.at.retired - self.since.0;
                let time = cpu_time() - self.since.1;
                let rate = count as f64 / time as f64 * 1e3;
                let milli = time as f64 / 1e6;
                println!("{:40} {rate:8.0} MIPS {milli:9.1} ms", self.line);
                self.line.clear();
                return;
            }
            _ => {}
        }
        self.line.push(char::from(byte));
    }

    fn choose(&mut self, choice: &machine::Choice) -> u32 {
        choice.default
    }
}

/// The bench's kernel, at `COE_KERNEL`, with the command line `COE_LINE`.
#[test]
#[ignore = "figures for who looks"]
fn workloads() {
    let kernel = std::fs::read(std::env::var("COE_KERNEL").expect("a path")).expect("a kernel");
    let line = std::env::var("COE_LINE").expect("a command line");
    let images = machine::Images {
        kernel: &kernel,
        initrd: None,
        cmdline: &line,
        disk: None,
    };
    let mut machine = machine::Machine::boot(&machine::Config::default(), &images).expect("boots");
    machine.set_engine(match std::env::var("COE_ENGINE").as_deref() {
        Ok("threaded") => Box::new(threaded::Threaded::default()),
        _ => Box::new(Jit::new().expect("a host that it is for")),
    });
    let mut rows = Rows {
        line: String::new(),
        since: (0, 0),
    };
    println!("{:?}", machine.run(1 << 45, &mut rows));
}
