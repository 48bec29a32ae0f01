//! What a program can see of a CPU, and how two outcomes are compared.

use std::fmt::Write as _;

use crate::generate::Case;

/// Memory that both sides can reach: user pages, followed by one that is not mapped.
pub const DATA: u64 = 0x10_0000;
pub const DATA_LEN: usize = 4 * 4096;
/// Where the instruction stands.
pub const CODE: u64 = 0x11_0000;

/// GS's base in each case.
pub const GS_BASE: u64 = DATA + 0x40;

/// CF, PF, AF, ZF, SF, DF, OF.
pub const FLAGS: u64 = 0xCD5;

/// Registers and memory, before or after.
#[derive(Clone, PartialEq, Eq)]
pub struct State {
    pub gpr: [u64; 16],
    pub rip: u64,
    pub rflags: u64,
    pub memory: Vec<u8>,
}

/// Exceptions as far as a Linux program can tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Arithmetic,
    Illegal,
    Memory,
    Alignment,
    Other(i32),
}

/// What an instruction did.
pub struct Outcome {
    pub state: State,
    pub fault: Option<Kind>,
}

const NAMES: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];

impl Outcome {
    /// The differences as text, native value first.
    pub fn difference(&self, other: &Outcome, case: &Case) -> Option<String> {
        let mut text = String::new();
        if self.fault != other.fault {
            let _ = write!(text, " fault {:?} / {:?}", self.fault, other.fault);
        }
        let (a, b) = (&self.state, &other.state);
        let mut word = |name: &str, a: u64, b: u64| {
            if a != b {
                let _ = write!(text, " {name} {a:#x} / {b:#x}");
            }
        };
        for (i, name) in NAMES.iter().enumerate() {
            word(name, a.gpr[i], b.gpr[i]);
        }
        word("rip", a.rip, b.rip);
        let defined = if self.fault.is_some() {
            FLAGS
        } else {
            FLAGS & !case.undefined
        };
        word("rflags", a.rflags & defined, b.rflags & defined);
        if let Some(i) = (0..DATA_LEN).find(|&i| a.memory[i] != b.memory[i]) {
            let (x, y) = (a.memory[i], b.memory[i]);
            let _ = write!(text, " [{:#x}] {x:#x} / {y:#x}", DATA + i as u64);
        }
        (!text.is_empty()).then_some(text)
    }
}
