//! Small loops, in millions of the guest's cycles for each second of CPU time: the threaded interpreter and the
//! reference interpreter side by side.

#[path = "../tests/common/mod.rs"]
// The tests use more of it.
#[allow(dead_code)]
mod common;

use std::time::Instant;

use common::Guest;
use iced_x86::code_asm::*;
use machine::engine::{Engine, Reference};
use threaded::Threaded;

type Write = fn(&mut CodeAssembler) -> Result<(), IcedError>;

/// Arithmetic on registers, and a branch that nobody can foresee.
fn arithmetic(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let (mut top, mut skip) = (a.create_label(), a.create_label());
    a.mov(rbx, 0x1234_5678_9ABC_u64)?;
    a.set_label(&mut top)?;
    a.mov(rax, rbx)?;
    a.shl(rax, 13)?;
    a.xor(rbx, rax)?;
    a.mov(rax, rbx)?;
    a.shr(rax, 7)?;
    a.xor(rbx, rax)?;
    a.lea(rdx, ptr(rbx + rdx * 2 + 5))?;
    a.test(bl, 1)?;
    a.jz(skip)?;
    a.add(rsi, rdx)?;
    a.imul_2(rsi, rbx)?;
    a.set_label(&mut skip)?;
    a.add(ecx, 1)?;
    a.cmp(ecx, edi)?;
    a.jne(top)
}

/// Loads and stores in 32 KiB.
fn memory(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let (mut again, mut top) = (a.create_label(), a.create_label());
    a.set_label(&mut again)?;
    a.mov(rsi, 0x50_0000_u64)?;
    a.mov(ecx, 4096)?;
    a.set_label(&mut top)?;
    a.mov(rax, qword_ptr(rsi + rcx * 8 - 8))?;
    a.add(rax, qword_ptr(rsi))?;
    a.movzx(edx, byte_ptr(rsi + rcx))?;
    a.add(rax, rdx)?;
    a.mov(qword_ptr(rsi + rcx * 8 - 8), rax)?;
    a.add(dword_ptr(rsi + 64), 3)?;
    a.sub(ecx, 1)?;
    a.jnz(top)?;
    a.jmp(again)
}

/// Calls, returns and the stack.
fn calls(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let (mut top, mut leaf) = (a.create_label(), a.create_label());
    a.set_label(&mut top)?;
    a.mov(edi, 7)?;
    a.call(leaf)?;
    a.add(ebx, eax)?;
    a.call(leaf)?;
    a.jmp(top)?;
    a.set_label(&mut leaf)?;
    a.push(rbp)?;
    a.mov(rbp, rsp)?;
    a.push(rbx)?;
    a.lea(eax, ptr(rdi + rbx))?;
    a.pop(rbx)?;
    a.pop(rbp)?;
    a.ret()
}

/// One page after the other: the TLB misses each time.
fn pages(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let (mut again, mut top) = (a.create_label(), a.create_label());
    a.set_label(&mut again)?;
    a.mov(rsi, 0x80_0000_u64)?;
    a.set_label(&mut top)?;
    a.mov(eax, dword_ptr(rsi))?;
    a.add(ebx, eax)?;
    a.add(rsi, 0x1000)?;
    a.cmp(rsi, 0x80_5000)?;
    a.jne(top)?;
    a.mov(rax, cr3)?;
    a.mov(cr3, rax)?;
    a.jmp(again)
}

/// Sums of doubles.
fn doubles(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut top = a.create_label();
    a.mov(eax, 3)?;
    a.cvtsi2sd(xmm1, eax)?;
    a.mov(eax, 7)?;
    a.cvtsi2sd(xmm2, eax)?;
    a.divsd(xmm1, xmm2)?;
    a.set_label(&mut top)?;
    a.movapd(xmm0, xmm1)?;
    a.mulsd(xmm0, xmm2)?;
    a.addsd(xmm0, xmm1)?;
    a.movsd_2(qword_ptr(rsp - 8), xmm0)?;
    a.subsd(xmm0, qword_ptr(rsp - 8))?;
    a.jmp(top)
}

/// REP STOS and MOVS of half a page.
fn strings(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut top = a.create_label();
    a.set_label(&mut top)?;
    a.mov(edi, 0x50_0000)?;
    a.mov(ecx, 256)?;
    a.rep().stosq()?;
    a.mov(esi, 0x50_0000)?;
    a.mov(edi, 0x50_1000)?;
    a.mov(ecx, 2048)?;
    a.rep().movsb()?;
    a.jmp(top)
}

/// Millions of the guest's cycles for each second.
fn rate(engine: &mut dyn Engine, write: Write, cycles: u64) -> f64 {
    let mut asm = CodeAssembler::new(64).expect("64-bit code");
    write(&mut asm).expect("code");
    let code = asm.assemble(0x20_0000).expect("code in reach");
    let mut guest = Guest::with(&code);
    guest.run(engine, 100_000).expect("a guest that goes on");
    let (before, start) = (guest.cpu.cycle, Instant::now());
    let busy = cpu_seconds();
    guest.run(engine, cycles).expect("a guest that goes on");
    let seconds = match (busy, cpu_seconds()) {
        (Some(before), Some(after)) => after - before,
        _ => start.elapsed().as_secs_f64(),
    };
    (guest.cpu.cycle - before) as f64 / seconds / 1e6
}

/// Time that this process had a CPU, where Linux tells.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanoseconds: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds as f64 / 1e9)
}

fn main() {
    const LOOPS: &[(&str, Write)] = &[
        ("arithmetic", arithmetic),
        ("memory", memory),
        ("calls", calls),
        ("pages", pages),
        ("doubles", doubles),
        ("strings", strings),
    ];
    let only = std::env::args().nth(1).unwrap_or_default();
    println!(
        "{:12}{:>12}{:>12}  million guest cycles each second",
        "", "reference", "threaded"
    );
    for (name, write) in LOOPS {
        if !only.starts_with('-') && !name.contains(&only) {
            continue;
        }
        let exact = rate(&mut Reference::default(), *write, 20_000_000);
        let fast = rate(&mut Threaded::default(), *write, 200_000_000);
        println!("{name:12}{exact:12.1}{fast:12.1}");
    }
}
