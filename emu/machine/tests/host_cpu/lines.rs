//! A case as one line of text that can be run again:
//!
//! ```text
//! 0fc8 rax=12345678 flags=1 mxcsr=1f80 xmm3=ff [100200]=0011223344556677 # bswap eax
//! ```
//!
//! First the bytes, then what is not as [`State::plain`] has it, all in hexadecimal; memory byte
//! by byte in ascending order. What follows a `#` is for readers.

use crate::compare::NAMES;
use crate::forms;
use crate::generate::Case;
use crate::state::{CODE, DATA, DATA_LEN, State, place};

/// Words of the x87's state, each with its place.
const WORDS: [(&str, usize); 4] = [
    ("control", place::CONTROL),
    ("status", place::STATUS),
    ("full", place::FULL),
    ("opcode", place::OPCODE),
];
const POINTERS: [(&str, usize); 2] = [("fip", place::INSTRUCTION), ("fdp", place::OPERAND)];

/// The line of a case.
pub fn write(case: &Case) -> String {
    let (state, plain) = (&case.state, State::plain());
    let mut line = hex(&case.bytes);
    let mut note = |name: &str, value: u128, usual: u128| {
        if value != usual {
            line.push_str(&format!(" {name}={value:x}"));
        }
    };
    for (i, name) in NAMES.iter().enumerate() {
        note(name, state.gpr[i].into(), plain.gpr[i].into());
    }
    note("flags", state.rflags.into(), plain.rflags.into());
    note("fs", state.base[0].into(), plain.base[0].into());
    note("gs", state.base[1].into(), plain.base[1].into());
    note("mxcsr", state.mxcsr().into(), plain.mxcsr().into());
    for (name, at) in WORDS {
        note(name, state.get16(at).into(), plain.get16(at).into());
    }
    for (name, at) in POINTERS {
        note(name, state.get64(at).into(), plain.get64(at).into());
    }
    for i in 0..8 {
        note(&format!("st{i}"), state.st(i), plain.st(i));
    }
    for i in 0..16 {
        note(&format!("xmm{i}"), state.xmm(i), plain.xmm(i));
        note(&format!("high{i}"), state.high[i], plain.high[i]);
    }
    for offset in (0..DATA_LEN).step_by(8) {
        let bytes = &state.memory[offset..offset + 8];
        if bytes != [0; 8] {
            line.push_str(&format!(" [{:x}]={}", DATA + offset as u64, hex(bytes)));
        }
    }
    line.push_str(&format!(" # {}", case.instruction));
    line
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

/// The case of a line.
///
/// # Panics
/// If it is not one: the file of cases is ours.
pub fn read(line: &str) -> Case {
    let mut words = line.split('#').next().unwrap_or("").split_whitespace();
    let bytes = bytes(words.next().expect("the instruction's bytes"));
    let mut state = State::plain();
    for word in words {
        let (name, value) = word.split_once('=').expect("a name and a value");
        match name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
        {
            Some(at) => {
                let at = (u64::from_str_radix(at, 16).expect("an address") - DATA) as usize;
                let value = self::bytes(value);
                state.memory[at..at + value.len()].copy_from_slice(&value);
            }
            None => set(
                &mut state,
                name,
                u128::from_str_radix(value, 16).expect("a number"),
            ),
        }
    }
    Case {
        instruction: forms::decode(&bytes, CODE),
        bytes,
        state,
    }
}

fn bytes(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(pair, 16).expect("hexadecimal digits")
        })
        .collect()
}

fn set(state: &mut State, name: &str, value: u128) {
    let numbered = |prefix: &str| name.strip_prefix(prefix).and_then(|n| n.parse().ok());
    if let Some(i) = NAMES.iter().position(|other| *other == name) {
        state.gpr[i] = value as u64;
    } else if let Some((_, at)) = WORDS.iter().find(|word| word.0 == name) {
        state.put16(*at, value as u16);
    } else if let Some((_, at)) = POINTERS.iter().find(|word| word.0 == name) {
        state.put64(*at, value as u64);
    } else if let Some(i) = numbered("xmm") {
        state.set_xmm(i, value);
    } else if let Some(i) = numbered("high") {
        state.high[i] = value;
    } else if let Some(i) = numbered("st") {
        state.set_st(i, value);
    } else {
        match name {
            "flags" => state.rflags = value as u64,
            "fs" => state.base[0] = value as u64,
            "gs" => state.base[1] = value as u64,
            "mxcsr" => state.set_mxcsr(value as u32),
            _ => panic!("{name} is nothing that a state has"),
        }
    }
}

/// Whether the x87 says that an exception is pending if and only if one is.
fn is_sound(state: &State) -> bool {
    let (control, status) = (state.get16(place::CONTROL), state.get16(place::STATUS));
    let pending = status & !control & 0x3F != 0;
    (status & 0x8080 == 0x8080) == pending && (status & 0x8080 != 0) == pending
}

/// The same case with less in it, as long as `fails` says that it still shows the difference.
pub fn shrink(mut case: Case, mut fails: impl FnMut(&Case) -> bool) -> Case {
    let plain = State::plain();
    let loads_components = forms::is_xsave(&case.instruction);
    let mut attempt = |change: &dyn Fn(&mut State)| {
        let before = case.state.clone();
        change(&mut case.state);
        if *case.state != *before && !(is_sound(&case.state) && fails(&case)) {
            case.state = before;
        }
    };
    // What a signal has loaded is in use to the host, whatever it holds: a state without contents
    // would be another difference.
    if !loads_components {
        shrink_components(&mut attempt, &plain);
    }
    for i in 0..16 {
        attempt(&|state| state.gpr[i] = plain.gpr[i]);
    }
    attempt(&|state| state.rflags = plain.rflags);
    for size in [8192, 4096, 1024, 256, 64, 8] {
        for at in (0..DATA_LEN).step_by(size) {
            let end = (at + size).min(DATA_LEN);
            attempt(&|state| state.memory[at..end].fill(0));
        }
    }
    case
}

/// The x87's and the vector registers' part of it.
fn shrink_components(attempt: &mut impl FnMut(&dyn Fn(&mut State)), plain: &State) {
    attempt(&|state| state.image = plain.image);
    for i in 0..16 {
        attempt(&|state| state.set_xmm(i, 0));
        attempt(&|state| state.high[i] = 0);
    }
    for i in 0..8 {
        attempt(&|state| state.set_st(i, 0));
    }
    for at in (0..place::MXCSR).step_by(2) {
        attempt(&|state| state.put16(at, plain.get16(at)));
    }
    attempt(&|state| state.set_mxcsr(plain.mxcsr()));
}
