//! What a program can see of a CPU, and the exceptions that it can meet.

/// Where the memory begins that both sides can reach: two pages to read and write, one to read
/// only, and then one that is not mapped.
pub const DATA: u64 = 0x10_0000;
pub const DATA_LEN: usize = 3 * 4096;
/// The page that may only be read, as an offset.
pub const READ_ONLY: usize = 2 * 4096;
/// Where the instruction stands.
pub const CODE: u64 = 0x11_0000;
/// So many bytes of its page: the instruction, and NOPs. Behind them are zeros, which a lane of a
/// gather may read.
pub const SLOT: usize = 16;

/// CF, PF, AF, ZF, SF, DF, OF.
pub const STATUS: u64 = 0xCD5;
pub const AC: u64 = 1 << 18;
/// The flags that are compared: also NT, AC, ID, and RF, which faults leave set.
pub const FLAGS: u64 = STATUS | 1 << 14 | 1 << 16 | AC | 1 << 21;

/// The registers and the memory, before or after. Its layout is what the child reads.
#[derive(Clone, PartialEq)]
#[repr(C)]
pub struct State {
    /// rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 … r15.
    pub gpr: [u64; 16],
    pub rip: u64,
    pub rflags: u64,
    /// The bases of FS and GS.
    pub base: [u64; 2],
    /// x87, MXCSR and XMM as FXSAVE64 stores them.
    pub image: [u8; 512],
    /// The upper halves of the YMM registers.
    pub high: [u128; 16],
    pub memory: [u8; DATA_LEN],
}

/// Places in [`State::image`].
pub mod place {
    pub const CONTROL: usize = 0;
    pub const STATUS: usize = 2;
    /// A bit for each register that is not empty.
    pub const FULL: usize = 4;
    pub const OPCODE: usize = 6;
    pub const INSTRUCTION: usize = 8;
    pub const OPERAND: usize = 16;
    pub const MXCSR: usize = 24;
    pub const ST: usize = 32;
    pub const XMM: usize = 160;
    pub const END: usize = 416;
}

impl State {
    /// Zeros everywhere but where software finds something else after FNINIT and a reset.
    pub fn plain() -> Box<State> {
        let mut state = Box::new(State {
            gpr: [0; 16],
            rip: CODE,
            rflags: 0x202,
            base: [DATA + 0x1000, DATA + 0x40],
            image: [0; 512],
            high: [0; 16],
            memory: [0; DATA_LEN],
        });
        state.gpr[4] = DATA + 0x1800;
        state.put16(place::CONTROL, 0x37F);
        state.set_mxcsr(0x1F80);
        state
    }

    pub fn get16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.image[at], self.image[at + 1]])
    }

    pub fn put16(&mut self, at: usize, value: u16) {
        self.image[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    pub fn get64(&self, at: usize) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|i| self.image[at + i]))
    }

    pub fn put64(&mut self, at: usize, value: u64) {
        self.image[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    pub fn mxcsr(&self) -> u32 {
        u32::from_le_bytes(std::array::from_fn(|i| self.image[place::MXCSR + i]))
    }

    pub fn set_mxcsr(&mut self, value: u32) {
        self.image[place::MXCSR..][..4].copy_from_slice(&value.to_le_bytes());
    }

    pub fn xmm(&self, i: usize) -> u128 {
        let at = place::XMM + 16 * i;
        u128::from_le_bytes(std::array::from_fn(|byte| self.image[at + byte]))
    }

    pub fn set_xmm(&mut self, i: usize, value: u128) {
        self.image[place::XMM + 16 * i..][..16].copy_from_slice(&value.to_le_bytes());
    }

    /// `st(i)`, counted from the top, in its low 80 bits.
    pub fn st(&self, i: usize) -> u128 {
        let at = place::ST + 16 * i;
        u128::from_le_bytes(std::array::from_fn(|byte| {
            if byte < 10 { self.image[at + byte] } else { 0 }
        }))
    }

    pub fn set_st(&mut self, i: usize, value: u128) {
        self.image[place::ST + 16 * i..][..10].copy_from_slice(&value.to_le_bytes()[..10]);
    }
}

/// An exception: what its handler gets to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub vector: u8,
    pub error: u16,
    /// CR2, if it is a page fault.
    pub address: u64,
}

impl Fault {
    /// A fault as both sides tell it. Linux hides whether something is mapped in the half that is
    /// its own and in the page before, and the lowest pages are the interpreter's system memory.
    pub fn new(vector: u8, error: u16, address: u64) -> Fault {
        match vector {
            14 if (0x1_0000..(1 << 47) - 4096).contains(&address) => Fault {
                vector,
                error,
                address,
            },
            14 => Fault {
                vector,
                error: error & !1,
                address,
            },
            _ => Fault {
                vector,
                error,
                address: 0,
            },
        }
    }
}

/// What an instruction did.
pub struct Outcome {
    pub state: Box<State>,
    pub fault: Option<Fault>,
}
