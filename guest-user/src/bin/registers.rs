//! `registers`: two tasks keep different values in all SSE registers over many
//! switches, signals and system calls; nobody sees the other's.
#![no_std]
#![no_main]

use core::arch::asm;
use core::ffi::c_void;

use guest_user::map::Pages;
use guest_user::out::must;
use guest_user::signal::{self, Action, Info, SIGUSR1};
use guest_user::start::Args;
use guest_user::{println, program, sys, task};

program!(main);

const ROUNDS: u64 = 20;

extern "C" fn disturb(_: i32, _: *const Info, _: *mut c_void) {
    // SAFETY: the compiler is told what changes; the kernel gives the
    // interrupted values back.
    unsafe {
        asm!("pxor xmm0, xmm0", "pxor xmm7, xmm7", "pxor xmm15, xmm15",
             out("xmm0") _, out("xmm7") _, out("xmm15") _, options(nomem, nostack));
    }
}

fn main(_: &Args) -> i32 {
    must(
        signal::set_action(SIGUSR1, &Action::handler(disturb, 0)),
        "sigaction",
    );
    let results = must(Pages::shared(1), "mmap");
    let child = must(task::fork(), "fork");
    let (seed, own) = if child == 0 {
        (0x1111, 0)
    } else {
        (0xABCD_0000_1234, 1)
    };
    let kept = (0..ROUNDS).filter(|round| keeps(seed + round)).count() as u64;
    results
        .word_at(0, own)
        .store(kept, core::sync::atomic::Ordering::Relaxed);
    if child == 0 {
        return 0;
    }
    must(task::wait(child, 0), "wait");
    for (who, word) in [("child", 0), ("parent", 1)] {
        let kept = results
            .word_at(0, word)
            .load(core::sync::atomic::Ordering::Relaxed);
        println!("{who}: registers kept in {kept} of {ROUNDS} rounds");
    }
    0
}

/// Fills the registers, lets others run, sends itself a signal, and looks.
fn keeps(value: u64) -> bool {
    let pid = sys::getpid() as u64;
    let (sum, low, high): (u64, u64, u64);
    // SAFETY: sched_yield and kill change no memory of ours; every register
    // that changes is named.
    unsafe {
        asm!(
            "movq xmm0, {value}", "movq xmm7, {value}", "movq xmm15, {value}",
            "punpcklqdq xmm7, xmm7",
            "mov eax, 24", "syscall",
            "mov eax, 62", "mov rdi, {pid}", "mov esi, 10", "syscall",
            "mov eax, 24", "syscall",
            "movq {sum}, xmm0", "movq {low}, xmm7", "psrldq xmm7, 8", "movq {high}, xmm7",
            "movq rax, xmm15", "xor {sum}, rax", "xor {sum}, {value}",
            value = in(reg) value, pid = in(reg) pid,
            sum = out(reg) sum, low = out(reg) low, high = out(reg) high,
            out("rax") _, out("rcx") _, out("r11") _, out("rdi") _, out("rsi") _,
            out("xmm0") _, out("xmm7") _, out("xmm15") _,
        );
    }
    sum == value && low == value && high == value
}
