//! The small kernel around random code: it gets there, and goes on whatever the
//! code does.
//!
//! An exception leads on to another part of the code, with registers that point
//! somewhere; a page fault maps the page at every other time; the timer ticks,
//! and each interrupt changes a byte of the code. System calls change page
//! tables, rights, code, counters and breakpoints: see `handler`.

use super::code::{Program, generate};
use super::dice::Dice;
use super::handler::handler;
use super::layout::*;
use super::start::{ENTRY, start};

/// What differs from guest to guest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nature {
    /// Random code runs at CPL 3.
    pub(super) user: bool,
    /// It has AVX.
    pub(super) avx: bool,
    /// The kernel itself may reach the window's data only while AC is set.
    pub(super) smap: bool,
    /// Programs may have accesses checked to be aligned.
    pub(super) align: bool,
    /// Ticks of the APIC's timer between two interrupts.
    pub(super) ticks: u32,
    /// Interrupts change the code.
    pub(super) patch: bool,
    /// Pages of code that may be written to, as bits.
    pub(super) writable: u32,
    /// What stops floating-point instructions: MXCSR.
    pub(super) mxcsr: u32,
}

impl Nature {
    /// Whether the window's pages are those of a program.
    pub(super) fn low_rights(&self) -> bool {
        self.user || self.smap
    }

    fn draw(dice: &mut Dice<'_>) -> Self {
        let user = !dice.once_in(3);
        Nature {
            user,
            smap: !user && dice.once_in(2),
            align: dice.once_in(3),
            avx: dice.once_in(4),
            ticks: 20 + dice.below(400),
            patch: dice.once_in(2),
            writable: dice.word(),
            mxcsr: dice.pick(&[0x1F80, 0x1FA0, 0x1F80, 0x9FC0, 0x7F80, 0x0F80, 0x1D80]),
        }
    }
}

/// A kernel's ELF.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    /// The file.
    pub(crate) elf: Vec<u8>,
    /// Whether its CPU has to be of the third level.
    pub(crate) avx: bool,
}

/// The guest that these dice make.
pub(crate) fn guest(dice: &mut Dice<'_>) -> Guest {
    let nature = Nature::draw(dice);
    let program = generate(dice, &nature);
    let mut image = Image(vec![0; SIZE]);
    image.put(BASE, &start(&nature));
    image.tables(&nature);
    image.descriptors(&nature);
    image.put(HANDLER, &handler(&nature));
    image.program(dice, &program);
    image.float(&nature);
    Guest {
        elf: elf(&image.0),
        avx: nature.avx,
    }
}

struct Image(Vec<u8>);

impl Image {
    fn put(&mut self, at: u64, bytes: &[u8]) {
        let start = (at - BASE) as usize;
        self.0[start..start + bytes.len()].copy_from_slice(bytes);
    }

    fn word(&mut self, at: u64, value: u64) {
        self.put(at, &value.to_le_bytes());
    }

    /// RAM one to one and the APIC for the kernel, the window for the code.
    fn tables(&mut self, nature: &Nature) {
        self.word(PML4, PDPT | 7);
        self.word(PDPT, PD_RAM | 7);
        self.word(PDPT + 8, PD_WINDOW | 7);
        self.word(PDPT + 3 * 8, 3 << 30 | 0x93);
        for n in 0..8 {
            self.word(PD_RAM + n * 8, n << 21 | 0x83);
        }
        self.word(PD_WINDOW, PT_WINDOW | 7);
        let right = if nature.low_rights() { 5 } else { 1 };
        for n in 0..CODE_PAGES {
            let write = u64::from(nature.writable >> n & 1) << 1;
            self.word(PT_WINDOW + n * 8, (CODE_FRAMES + n * 4096) | right | write);
            self.word(
                PT_WINDOW + (n + 8) * 8,
                (CODE_FRAMES + n * 4096) | right | 2,
            );
        }
        for n in 0..16 {
            self.word(
                PT_WINDOW + (n + 16) * 8,
                (DATA_FRAMES + n * 4096) | right | 2,
            );
        }
        for n in 0..4 {
            self.word(PT_WINDOW + (n + 32) * 8, (DATA_FRAMES + n * 4096) | right);
            self.word(
                PT_WINDOW + (n + 36) * 8,
                (DATA_FRAMES + n * 4096) | right | 2,
            );
        }
    }

    fn descriptors(&mut self, nature: &Nature) {
        let code = |level: u64| 0x00AF_9B00_0000_FFFF | level << 45;
        let data = |level: u64| 0x00CF_9300_0000_FFFF | level << 45;
        let task = 0x67 | (TSS & 0xFF_FFFF) << 16 | 0x89 << 40 | (TSS >> 24 & 0xFF) << 56;
        let all = [0, code(0), data(0), 0, data(3), code(3), task, TSS >> 32];
        for (n, descriptor) in all.into_iter().enumerate() {
            self.word(GDT + n as u64 * 8, descriptor);
        }
        // RSP0 and the first stack of the table.
        self.put(TSS + 4, &STACK.to_le_bytes());
        self.put(TSS + 36, &STACK.to_le_bytes());
        for vector in 0..256 {
            self.gate(vector, nature);
        }
    }

    fn gate(&mut self, vector: u64, nature: &Nature) {
        let at = STUBS + vector * 16;
        let with_code = matches!(vector, 8 | 10..=14 | 17);
        let mut stub = Vec::new();
        if !with_code {
            stub.extend([0x6A, 0]);
        }
        stub.push(0x68);
        stub.extend((vector as u32).to_le_bytes());
        stub.push(0xE9);
        let next = at + stub.len() as u64 + 4;
        stub.extend((HANDLER as u32).wrapping_sub(next as u32).to_le_bytes());
        self.put(at, &stub);
        let level = match vector {
            0x80 | 3 if nature.user => 3 << 45,
            _ => 0,
        };
        let selector = u64::from(KERNEL_CODE) << 16;
        let gate = at & 0xFFFF | selector | 1 << 32 | 0x8E << 40 | level | (at >> 16) << 48;
        self.word(IDT + vector * 16, gate);
    }

    fn program(&mut self, dice: &mut Dice<'_>, program: &Program) {
        self.put(CODE_FRAMES, &program.bytes);
        for n in 0..64 {
            let offset = u64::from(dice.pick(&program.landings));
            self.word(LANDINGS + n * 8, CODE + offset);
        }
        for n in 0..16 {
            let offset = u64::from(dice.pick(&program.patches));
            self.word(PATCHES + n * 8, CODE_FRAMES + offset);
        }
        for n in 0..512 {
            let value = u64::from(dice.word());
            self.word(DATA_FRAMES + n * 8, value << (n % 33));
        }
    }

    /// Doubles that are numbers, and the control words.
    fn float(&mut self, nature: &Nature) {
        self.put(FX, &0x037Fu16.to_le_bytes());
        self.put(FX + 24, &nature.mxcsr.to_le_bytes());
        for n in 0..16u64 {
            let value = f64::from_bits(0x3FF0_0000_0000_0000 + (n << 52) + n * 0x1234_5678);
            self.word(FX + 160 + n * 16, value.to_bits());
            self.word(FX + 168 + n * 16, 1.0f64.to_bits() | n << 30);
        }
    }
}

/// An ELF with one segment, entered through its PVH note.
fn elf(image: &[u8]) -> Vec<u8> {
    const HEADERS: u64 = 0x1000;
    let mut elf = vec![0x7F, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    elf.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [ENTRY, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 64, 0, 0, 0, 0, 0]);
    let note = 64 + 2 * 56;
    for (kind, offset, place, size) in [(4u32, note, 0, 20), (1, HEADERS, BASE, SIZE as u64)] {
        elf.extend(kind.to_le_bytes());
        elf.extend(7u32.to_le_bytes());
        for word in [offset, place, place, size, size, 1] {
            elf.extend(word.to_le_bytes());
        }
    }
    for word in [4u32, 4, 18] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(b"Xen\0");
    elf.extend((ENTRY as u32).to_le_bytes());
    elf.resize(HEADERS as usize, 0);
    elf.extend(image);
    elf
}
