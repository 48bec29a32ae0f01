//! Random code with a structure: blocks that lead to each other, loops, calls,
//! and between them whatever instructions there are.

use super::dice::Dice;
use super::forms::instruction;
use super::guest::Nature;
use super::layout::*;

/// What was generated.
pub(super) struct Program {
    pub(super) bytes: Vec<u8>,
    /// Offsets of instructions at which blocks begin.
    pub(super) landings: Vec<u32>,
    /// Offsets of bytes that are no more than numbers to the code.
    pub(super) patches: Vec<u32>,
}

/// Code that grows.
pub(super) struct Emitter<'d, 'a> {
    pub(super) dice: &'d mut Dice<'a>,
    pub(super) bytes: Vec<u8>,
    pub(super) patches: Vec<u32>,
    pub(super) user: bool,
    pub(super) avx: bool,
    /// Places of 32-bit numbers that lead to a block from behind them.
    relative: Vec<(usize, usize)>,
    /// The same for the block's address.
    absolute: Vec<(usize, usize)>,
    blocks: usize,
    /// Blocks from here on are functions: they end in RET.
    functions: usize,
}

/// Draws a program.
pub(super) fn generate(dice: &mut Dice<'_>, nature: &Nature) -> Program {
    let blocks = 8 + dice.below(24) as usize;
    let mut code = Emitter {
        dice,
        bytes: Vec::new(),
        patches: Vec::new(),
        user: nature.user,
        avx: nature.avx,
        relative: Vec::new(),
        absolute: Vec::new(),
        blocks,
        functions: blocks - 4,
    };
    let mut starts = Vec::new();
    for block in 0..blocks {
        starts.push(code.bytes.len() as u32);
        code.block(block);
        code.far();
    }
    code.bytes.extend([0xCC; 16]);
    code.bytes.truncate((CODE_PAGES * 4096) as usize);
    code.resolve(&starts);
    if code.patches.is_empty() {
        code.patches.push(0);
    }
    let patches = code.patches.iter().copied();
    Program {
        landings: starts[..blocks - 4].to_vec(),
        patches: patches
            .filter(|at| (*at as usize) < code.bytes.len())
            .collect(),
        bytes: code.bytes,
    }
}

impl Emitter<'_, '_> {
    /// A byte that may change behind the code's back.
    pub(super) fn number(&mut self, byte: u8) {
        self.patches.push(self.bytes.len() as u32);
        self.bytes.push(byte);
    }

    pub(super) fn word(&mut self, word: u32) {
        self.bytes.extend(word.to_le_bytes());
    }

    /// Mostly right behind the last block; sometimes so that the next one lies
    /// across a page's end.
    fn far(&mut self) {
        if self.dice.once_in(5) {
            let end = self.bytes.len().next_multiple_of(4096);
            if end < 7 * 4096 {
                let before = self.dice.below(24) as usize;
                self.bytes
                    .resize(end.saturating_sub(before).max(self.bytes.len()), 0x90);
            }
        }
    }

    fn block(&mut self, block: usize) {
        let body = self.bytes.len();
        let counted = self.dice.once_in(2).then(|| {
            // mov r15d, n
            let most = self.dice.pick(&[4, 40, 400, 4000]);
            let n = 1 + self.dice.below(most);
            self.bytes.extend([0x41, 0xBF]);
            self.word(n);
            self.bytes.len()
        });
        for _ in 0..1 + self.dice.below(12) {
            match self.dice.below(16) {
                0 => self.pointer(),
                1 => self.system(),
                _ => instruction(self),
            }
        }
        if let Some(start) = counted {
            // dec r15d; jnz
            self.bytes.extend([0x41, 0xFF, 0xCF]);
            self.back(start);
        }
        if block >= self.functions {
            self.bytes.push(0xC3);
            return;
        }
        self.end(body);
    }

    /// JNZ to a place in this block.
    fn back(&mut self, start: usize) {
        let distance = start as i64 - self.bytes.len() as i64;
        if distance >= -126 && self.dice.once_in(2) {
            self.bytes.extend([0x75, (distance - 2) as u8]);
        } else {
            self.bytes.extend([0x0F, 0x85]);
            self.word((distance - 6) as u32);
        }
    }

    fn some_block(&mut self) -> usize {
        self.dice.below(self.functions as u32) as usize
    }

    fn to(&mut self, block: usize) {
        self.relative.push((self.bytes.len(), block));
        self.word(0);
    }

    /// What a block ends with.
    fn end(&mut self, body: usize) {
        let block = self.some_block();
        match self.dice.below(16) {
            // A condition, then on to the next block.
            0..=4 => {
                let condition = self.dice.below(16) as u8;
                self.bytes.extend([0x0F, 0x80 | condition]);
                self.to(block);
            }
            5 | 6 => {
                self.bytes.push(0xE9);
                self.to(block);
            }
            7..=9 => {
                let function = self.functions + self.dice.below(4) as usize;
                self.bytes.push(0xE8);
                self.to(function.min(self.blocks - 1));
            }
            10 | 11 => self.indirect(block),
            12 => self.ask(),
            13 => {
                // LOOP, LOOPZ, LOOPNZ or JRCXZ, back to the block's beginning if it is near.
                let distance = body as i64 - self.bytes.len() as i64 - 2;
                let opcode = 0xE0 + self.dice.below(4) as u8;
                self.bytes.extend([opcode, distance.clamp(-128, 0) as u8]);
            }
            14 => {
                let ends: [&[u8]; 7] = [
                    &[0x0F, 0x0B],
                    &[0xCC],
                    &[0xC3],
                    &[0xC2, 8, 0],
                    &[0xF4],
                    &[0x48, 0xCF],
                    &[0xCD, 0x31],
                ];
                let end = self.dice.pick(&ends);
                self.bytes.extend(end);
            }
            _ => {}
        }
    }

    /// A jump or a call through a register.
    fn indirect(&mut self, block: usize) {
        self.bytes.push(0xB8);
        self.absolute.push((self.bytes.len(), block));
        self.word(0);
        let call = self.dice.once_in(4);
        self.bytes.extend([0xFF, if call { 0xD0 } else { 0xE0 }]);
    }

    /// A system call, by either way in.
    fn ask(&mut self) {
        self.bytes.push(0xB8);
        let what = self.dice.word();
        self.word(what);
        let way = self.dice.pick(&[[0xCD, 0x80], [0x0F, 0x05]]);
        self.bytes.extend(way);
    }

    /// Lets a register point somewhere again, or hold a small number.
    fn pointer(&mut self) {
        let places = [
            DATA,
            DATA,
            DATA,
            DATA_READ_ONLY,
            DATA_ALIAS,
            HOLE,
            CODE_ALIAS,
            CODE,
        ];
        match self.dice.below(8) {
            0 => {
                let small = self.dice.below(4096);
                self.bytes.extend([0x41, 0xBE]);
                self.word(small);
            }
            1 | 2 => {
                let most = self.dice.pick(&[3, 30, 300]);
                let count = self.dice.below(most);
                self.bytes.push(0xB9);
                self.word(count);
            }
            _ => {
                let (prefix, opcode): (&[u8], u8) = self.dice.pick(&[
                    (&[][..], 0xBB),
                    (&[], 0xBE),
                    (&[], 0xBF),
                    (&[], 0xBF),
                    (&[], 0xBD),
                    (&[0x41], 0xBC),
                    (&[0x41], 0xBD),
                ]);
                let place = self.dice.pick(&places) as u32;
                let page = self.dice.below(4) << 12;
                let offset = match self.dice.below(3) {
                    0 => 4096 - self.dice.below(40),
                    1 => self.dice.below(256) * 16,
                    _ => self.dice.below(4096),
                };
                self.bytes.extend(prefix);
                self.bytes.push(opcode);
                self.word(place + page + offset);
            }
        }
    }

    /// What only a kernel may do, and what asks for the time or the flags.
    fn system(&mut self) {
        let anywhere: &[&[u8]] = &[
            &[0x0F, 0x31],                               // rdtsc
            &[0x0F, 0xA2],                               // cpuid
            &[0x9C, 0x9D],                               // pushfq; popfq
            &[0x9C, 0x58, 0x0D, 0, 1, 0, 0, 0x50, 0x9D], // popfq with TF
            &[0x9C, 0x58, 0x0D, 0, 0, 4, 0, 0x50, 0x9D], // popfq with AC
            &[0x9C, 0x58, 0x25, 0xFF, 0xFE, 0xFB, 0xFF, 0x50, 0x9D],
            &[0x0F, 0xAE, 0xF0],             // mfence
            &[0x0F, 0xAE, 0x3B],             // clflush [rbx]
            &[0x0F, 0xAE, 0x5B, 0x10],       // stmxcsr [rbx+16]
            &[0xDB, 0xE3],                   // fninit
            &[0xF0, 0x48, 0x0F, 0xC1, 0x03], // lock xadd [rbx], rax
            &[0x8C, 0xD8],                   // mov eax, ds
            &[0x8E, 0xD8],                   // mov ds, eax
            &[0xF1],                         // int1
            &[0xFA],                         // cli
            &[0xFB],                         // sti
        ];
        let kernel: &[&[u8]] = &[
            &[0xFB],
            &[0xFB],
            &[0xFA],
            &[0xFB, 0xF4],                                     // sti; hlt
            &[0x0F, 0x01, 0xCB],                               // stac
            &[0x0F, 0x01, 0xCA],                               // clac
            &[0x0F, 0x01, 0x3B],                               // invlpg [rbx]
            &[0x0F, 0x20, 0xD8, 0x0F, 0x22, 0xD8],             // mov rax, cr3; mov cr3, rax
            &[0x66, 0xBA, 0xF8, 0x03, 0xEE],                   // mov dx, 0x3F8; out dx, al
            &[0xE4, 0x61],                                     // in al, 0x61
            &[0xE6, 0x80],                                     // out 0x80, al
            &[0x0F, 0x06],                                     // clts
            &[0x8B, 0x04, 0x25, 0x90, 0x03, 0xE0, 0xFE], // mov eax, [APIC timer], sign extended
            &[0x0F, 0x01, 0xF8],                         // swapgs
            &[0xB9, 0, 3, 0xE0, 0xFE, 0xC7, 1, 0x41, 0, 4, 0], // an interrupt to itself
        ];
        let from = if self.user || self.dice.once_in(3) {
            anywhere
        } else {
            kernel
        };
        let bytes = self.dice.pick(from);
        self.bytes.extend(bytes);
    }

    fn resolve(&mut self, starts: &[u32]) {
        for (at, block) in std::mem::take(&mut self.relative) {
            let word = starts[block].wrapping_sub(at as u32 + 4);
            self.put(at, word);
        }
        for (at, block) in std::mem::take(&mut self.absolute) {
            self.put(at, CODE as u32 + starts[block]);
        }
    }

    fn put(&mut self, at: usize, word: u32) {
        if let Some(place) = self.bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&word.to_le_bytes());
        }
    }
}
