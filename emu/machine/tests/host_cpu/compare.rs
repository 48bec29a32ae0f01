//! How two outcomes are compared.

use crate::generate::Case;
use crate::state::{DATA, DATA_LEN, Outcome, State, place};
use crate::undefined::{defined_flags, forget_half_done};

pub const NAMES: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];

/// What differs between the host's outcome and ours, as text, the host's value first.
pub fn difference(case: &Case, host: &mut Outcome, ours: &mut Outcome) -> Option<String> {
    let defined = match host.fault {
        Some(_) => u64::MAX,
        None => defined_flags(&case.instruction, &case.state),
    };
    for state in [&mut host.state, &mut ours.state] {
        state.rflags &= defined;
    }
    if let Some(fault) = host.fault {
        forget_half_done(
            &case.instruction,
            &case.state,
            &mut host.state,
            fault.vector,
        );
    }
    let mut text = String::new();
    if host.fault != ours.fault {
        text.push_str(&format!(" {:x?} / {:x?}", host.fault, ours.fault));
    }
    integers(&mut text, &host.state, &ours.state);
    if host.state.image[..place::END] != ours.state.image[..place::END]
        || host.state.high != ours.state.high
    {
        vectors(&mut text, &host.state, &ours.state);
    }
    memory(&mut text, &host.state, &ours.state);
    (!text.is_empty()).then_some(text)
}

fn note(text: &mut String, name: &str, host: u128, ours: u128) {
    if host != ours {
        text.push_str(&format!(" {name} {host:#x} / {ours:#x}"));
    }
}

fn integers(text: &mut String, host: &State, ours: &State) {
    for (i, name) in NAMES.iter().enumerate() {
        note(text, name, host.gpr[i].into(), ours.gpr[i].into());
    }
    note(text, "rip", host.rip.into(), ours.rip.into());
    note(text, "flags", host.rflags.into(), ours.rflags.into());
    note(text, "fs", host.base[0].into(), ours.base[0].into());
    note(text, "gs", host.base[1].into(), ours.base[1].into());
}

fn vectors(text: &mut String, host: &State, ours: &State) {
    note(text, "mxcsr", host.mxcsr().into(), ours.mxcsr().into());
    for (name, at) in [
        ("control", place::CONTROL),
        ("status", place::STATUS),
        ("full", place::FULL),
        ("opcode", place::OPCODE),
    ] {
        note(text, name, host.get16(at).into(), ours.get16(at).into());
    }
    for (name, at) in [("fip", place::INSTRUCTION), ("fdp", place::OPERAND)] {
        note(text, name, host.get64(at).into(), ours.get64(at).into());
    }
    for i in 0..8 {
        note(text, &format!("st{i}"), host.st(i), ours.st(i));
    }
    for i in 0..16 {
        note(text, &format!("xmm{i}"), host.xmm(i), ours.xmm(i));
        note(text, &format!("high{i}"), host.high[i], ours.high[i]);
    }
}

fn memory(text: &mut String, host: &State, ours: &State) {
    if host.memory == ours.memory {
        return;
    }
    let differ = (0..DATA_LEN).filter(|&i| host.memory[i] != ours.memory[i]);
    for i in differ.take(8) {
        let (x, y) = (host.memory[i], ours.memory[i]);
        text.push_str(&format!(" [{:#x}] {x:#x} / {y:#x}", DATA + i as u64));
    }
}
