//! Bytes to instructions: the only file that knows the decoder library; and the cache of what has
//! been decoded.
//!
//! The cache is the host's business. It is keyed by physical frame, so it survives changes of the
//! page tables, and each frame's part is dropped when RAM reports a write to it.

mod announced;
mod vex;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use iced_x86::{
    Code, CodeSize, Decoder, DecoderError, DecoderOptions, EncodingKind, Instruction, MemorySize,
    Mnemonic, OpKind, Register,
};

use announced::{is_announced, options};

use super::debug::ATTEND;
use super::insn::{
    Class, Family, Gpr, Insn, Mem, NO_REGISTER, Op, Operand, RIP, Rep, Seg, Width,
    for_each_operation,
};
use super::model::{CpuModel, Features};
use super::{Cx, Fault};
use crate::addr::{PAGE_SIZE, PhysAddr, VirtAddr};
use crate::mmu::Access;

/// No instruction is longer.
pub const MAX_LENGTH: usize = 15;

/// The decoded instructions of one frame.
#[derive(Debug)]
struct CodePage {
    generation: u32,
    bits: u32,
    /// Place in `insns` plus one, for each offset at which an instruction begins.
    slots: Box<[u16; PAGE_SIZE as usize]>,
    insns: Vec<Insn>,
}

/// Decoded instructions: host only, never part of the machine's state.
#[derive(Debug, Default)]
pub struct CodeCache {
    pages: Vec<Option<CodePage>>,
    /// The instruction that crosses a page, which is decoded each time.
    crossing: Option<Insn>,
    recent: Recent,
}

/// The page that was fetched from last. While nothing has changed that could change its
/// translation or its code, the way there need not be gone again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Recent {
    /// Linear address of the page; its low bits are [`IN_USE`] and the mode of the CPU.
    page: u64,
    /// The epochs of translations and of code, added up: both only grow.
    epoch: u64,
    /// Where the page lies.
    frame: u64,
}

/// Bit of [`Recent::page`] that an empty one does not have.
const IN_USE: u64 = 4;

const UNSOUND: Fault = Fault::Missing("a sound cache of decoded instructions");

impl Clone for CodeCache {
    /// A copy of a machine decodes for itself.
    fn clone(&self) -> Self {
        CodeCache::default()
    }
}

impl CodeCache {
    /// Whether the decoded instructions of this frame are those that stand there.
    #[inline]
    fn knows(&self, frame: u64, generation: u32, bits: u32) -> bool {
        match self.pages.get(frame as usize) {
            Some(Some(page)) => page.generation == generation && page.bits == bits,
            _ => false,
        }
    }

    /// The place of an instruction within its frame's, if it has been decoded.
    #[inline]
    fn find(&self, frame: u64, offset: u64) -> Option<usize> {
        let page = self.pages.get(frame as usize)?.as_ref()?;
        usize::from(page.slots[(offset % PAGE_SIZE) as usize]).checked_sub(1)
    }

    #[inline]
    fn get(&self, frame: u64, index: usize) -> Option<&Insn> {
        self.pages.get(frame as usize)?.as_ref()?.insns.get(index)
    }

    fn page(&mut self, frame: u64) -> &mut Option<CodePage> {
        let index = frame as usize;
        if index >= self.pages.len() {
            self.pages.resize_with(index + 1, || None);
        }
        &mut self.pages[index]
    }
}

impl Cx<'_> {
    /// The instruction at CS:RIP.
    #[inline]
    pub(super) fn fetch<'c>(&mut self, code: &'c mut CodeCache) -> Result<&'c Insn, Fault> {
        let (va, bits) = self.fetch_address()?;
        if bits != 64 {
            return self.fetch_legacy(code, va, bits);
        }
        let mode = IN_USE | u64::from(self.user) << 1 | u64::from(self.code64) | self.attend;
        let page = va.0 & !(PAGE_SIZE - 1) | mode;
        let frame = code.recent.frame;
        if code.recent.page == page
            && code.recent.epoch == self.code_epoch()
            && let Some(index) = code.find(frame, va.offset())
        {
            return code.get(frame, index).ok_or(UNSOUND);
        }
        self.fetch_slowly(code, va, bits, page)
    }

    /// A number that changes whenever the bytes at some linear address may have.
    #[inline]
    pub(super) fn code_epoch(&self) -> u64 {
        self.mmu.epoch() + self.bus.ram.epoch()
    }

    /// Outside 64-bit code the instruction has to lie within the limit of CS.
    #[inline(never)]
    fn fetch_legacy<'c>(
        &mut self,
        code: &'c mut CodeCache,
        va: VirtAddr,
        bits: u32,
    ) -> Result<&'c Insn, Fault> {
        let rip = self.cpu.rip;
        let limit = u64::from(self.cpu.seg[Seg::Cs as usize].limit);
        let insn = self.fetch_slowly(code, va, bits, 0)?;
        match rip + u64::from(insn.len) - 1 <= limit {
            true => Ok(insn),
            false => Err(Fault::GP),
        }
    }

    #[inline(never)]
    fn fetch_slowly<'c>(
        &mut self,
        code: &'c mut CodeCache,
        va: VirtAddr,
        bits: u32,
        page: u64,
    ) -> Result<&'c Insn, Fault> {
        if self.attend != 0 {
            self.boundary(va)?;
        }
        let rights = Access {
            fetch: true,
            user: self.user,
            ..Access::default()
        };
        let pa = self.translate(va, rights)?;
        let frame = pa.frame();
        if code.knows(frame, self.bus.ram.generation(pa), bits)
            && let Some(index) = code.find(frame, pa.offset())
        {
            let epoch = self.code_epoch();
            let page = page & !ATTEND;
            code.recent = Recent { page, epoch, frame };
            return code.get(frame, index).ok_or(UNSOUND);
        }
        self.decode_into(code, va, pa, bits, rights)
    }

    /// The linear address of the next instruction and the width of the code.
    #[inline]
    fn fetch_address(&self) -> Result<(VirtAddr, u32), Fault> {
        let rip = self.cpu.rip;
        if self.code64 {
            let va = VirtAddr(rip);
            return if va.is_canonical() {
                Ok((va, 64))
            } else {
                Err(Fault::GP)
            };
        }
        let segment = &self.cpu.seg[Seg::Cs as usize];
        if rip > u64::from(segment.limit) {
            return Err(Fault::GP);
        }
        let va = VirtAddr(segment.base.wrapping_add(rip) & 0xFFFF_FFFF);
        Ok((va, self.cpu.code_bits()))
    }

    #[cold]
    fn decode_into<'c>(
        &mut self,
        code: &'c mut CodeCache,
        va: VirtAddr,
        pa: PhysAddr,
        bits: u32,
        rights: Access,
    ) -> Result<&'c Insn, Fault> {
        let mut bytes = [0xFF; MAX_LENGTH];
        let room = ((PAGE_SIZE - pa.offset()) as usize).min(MAX_LENGTH);
        self.copy_code(pa, &mut bytes[..room]);
        let model = self.cpu.model;
        if let Some(insn) = decode(&bytes[..room], bits, model)? {
            return Ok(self.keep(code, pa, bits, insn));
        }
        let second = self.translate(va.add(room as u64), rights)?;
        self.copy_code(second, &mut bytes[room..]);
        let insn = decode(&bytes, bits, model)?.ok_or(Fault::GP)?;
        Ok(code.crossing.insert(insn))
    }

    /// Copies instruction bytes of one frame; outside RAM all bits are set.
    fn copy_code(&self, pa: PhysAddr, to: &mut [u8]) {
        let start = pa.offset() as usize;
        if let Some(from) = self
            .bus
            .ram
            .page(pa)
            .and_then(|page| page.get(start..start + to.len()))
        {
            to.copy_from_slice(from);
        }
    }

    fn keep<'c>(
        &mut self,
        code: &'c mut CodeCache,
        pa: PhysAddr,
        bits: u32,
        insn: Insn,
    ) -> &'c Insn {
        if !self.bus.ram.contains(pa) {
            return code.crossing.insert(insn);
        }
        let generation = self.bus.ram.keep_code(pa);
        let entry = code.page(pa.frame());
        let stale =
            !matches!(entry, Some(page) if page.generation == generation && page.bits == bits);
        if stale {
            *entry = None;
        }
        let page = entry.get_or_insert_with(|| CodePage {
            generation,
            bits,
            slots: Box::new([0; PAGE_SIZE as usize]),
            insns: Vec::new(),
        });
        page.insns.push(insn);
        page.slots[pa.offset() as usize] = page.insns.len() as u16;
        let last = page.insns.len() - 1;
        &page.insns[last]
    }
}

/// What an instruction without an operation of ours is called until its bytes are at hand.
pub const UNNAMED: &str = "an instruction";

/// The name of the instruction in these bytes, for messages.
#[must_use]
pub fn name(bytes: &[u8], bits: u32, model: CpuModel) -> String {
    let mut decoder = Decoder::with_ip(bits, bytes, 0, options(model.features()));
    format!("{:?}", decoder.decode().mnemonic())
}

/// Decodes one instruction as this model has it; `None` if the bytes end before it does. Fifteen
/// bytes that do not hold a whole instruction are a general-protection fault.
pub fn decode(bytes: &[u8], bits: u32, model: CpuModel) -> Result<Option<Insn>, Fault> {
    let features = model.features();
    let mut decoder = Decoder::with_ip(bits, bytes, 0, options(features));
    let instruction = decoder.decode();
    if instruction.is_invalid() {
        return match decoder.last_error() {
            DecoderError::NoMoreBytes if bytes.len() < MAX_LENGTH => Ok(None),
            _ if instruction.len() >= MAX_LENGTH && !is_whole(bytes, bits, features) => {
                Err(Fault::GP)
            }
            _ => Ok(Some(special(Op::Undefined, 1))),
        };
    }
    let mut insn = translate(&instruction, features);
    if matches!(insn.family, Family::X87 | Family::X87Move) {
        insn.fop = x87_opcode(bytes);
    }
    Ok(Some(insn))
}

/// The low three bits of the first byte of an x87 instruction and the byte behind it; no prefix
/// looks like that first byte.
fn x87_opcode(bytes: &[u8]) -> u16 {
    let escape = bytes.windows(2).find(|pair| pair[0] & 0xF8 == 0xD8);
    escape.map_or(0, |pair| u16::from(pair[0] & 7) << 8 | u16::from(pair[1]))
}

/// Whether the bytes hold all of an instruction, if only one that is refused: with a LOCK prefix
/// that it cannot have, say.
fn is_whole(bytes: &[u8], bits: u32, features: Features) -> bool {
    let lenient = options(features) | DecoderOptions::NO_INVALID_CHECK;
    !Decoder::with_ip(bits, bytes, 0, lenient)
        .decode()
        .is_invalid()
}

fn special(op: Op, len: u8) -> Insn {
    Insn {
        op,
        family: op.family(),
        class: Class::Simple,
        size: Width::Byte,
        len,
        condition: 0,
        rep: Rep::None,
        lock: false,
        vex: false,
        fop: 0,
        operands: [Operand::None; 4],
        mem: Mem {
            base: NO_REGISTER,
            index: NO_REGISTER,
            scale: 1,
            address: Width::Qword,
            seg: Seg::Ds,
            disp: 0,
            bytes: 0,
        },
    }
}

fn translate(instruction: &Instruction, features: Features) -> Insn {
    let len = instruction.len() as u8;
    if !is_announced(instruction, features) {
        return special(Op::Undefined, len);
    }
    let Some(op) = operation(instruction) else {
        return special(Op::Missing, len);
    };
    let mut insn = special(op, len);
    for i in 0..instruction.op_count().min(4) {
        insn.operands[i as usize] = operand(instruction, i);
    }
    insn.vex = instruction.op_code().encoding() == EncodingKind::VEX;
    if op.family().is_vector() {
        vex::arrange(&mut insn, instruction);
    }
    insn.class = class(op);
    insn.mem = memory(instruction);
    insn.size = size(instruction, &insn);
    insn.condition = (instruction.condition_code() as u8).wrapping_sub(1) & 15;
    insn.lock = instruction.has_lock_prefix() || op == Op::Xchg;
    insn.rep = match (
        instruction.has_repne_prefix(),
        instruction.has_repe_prefix(),
    ) {
        (true, _) => Rep::Repne,
        (_, true) => Rep::Repe,
        _ => Rep::None,
    };
    insn
}

/// Our name for what the instruction does; `None` if we have none.
fn operation(instruction: &Instruction) -> Option<Op> {
    use Mnemonic as M;
    if instruction.is_string_instruction() {
        return string_operation(instruction.mnemonic());
    }
    if let Some(op) = far_operation(instruction) {
        return Some(op);
    }
    let kinds = || (0..instruction.op_count()).map(|i| operand(instruction, i));
    Some(match instruction.mnemonic() {
        M::Mov if kinds().any(|k| matches!(k, Operand::Cr(_))) => Op::MovCr,
        M::Mov if kinds().any(|k| matches!(k, Operand::Dr(_))) => Op::MovDr,
        M::Mov if kinds().any(|k| matches!(k, Operand::Seg(_))) => Op::MovSeg,
        M::Sal => Op::Shl,
        M::Pushfd | M::Pushfq => Op::Pushf,
        M::Popfd | M::Popfq => Op::Popf,
        M::Pushad => Op::Pusha,
        M::Popad => Op::Popa,
        M::Iretd | M::Iretq => Op::Iret,
        M::Sysretq => Op::Sysret,
        M::Jcxz | M::Jecxz => Op::Jrcxz,
        M::Reservednop => Op::Nop,
        // No-operations since the 387.
        M::Fneni | M::Fndisi => Op::Fnsetpm,
        M::Ud0 | M::Ud1 | M::Ud2 => Op::Undefined,
        _ if instruction.is_jcc_short_or_near() => Op::Jcc,
        _ if is_setcc(instruction.mnemonic()) => Op::Setcc,
        _ if is_cmovcc(instruction.mnemonic()) => Op::Cmovcc,
        mnemonic => return plain_operation(mnemonic).or_else(|| vex::operation(mnemonic)),
    })
}

fn is_setcc(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Seto
            | M::Setno
            | M::Setb
            | M::Setae
            | M::Sete
            | M::Setne
            | M::Setbe
            | M::Seta
            | M::Sets
            | M::Setns
            | M::Setp
            | M::Setnp
            | M::Setl
            | M::Setge
            | M::Setle
            | M::Setg
    )
}

fn is_cmovcc(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Cmovo
            | M::Cmovno
            | M::Cmovb
            | M::Cmovae
            | M::Cmove
            | M::Cmovne
            | M::Cmovbe
            | M::Cmova
            | M::Cmovs
            | M::Cmovns
            | M::Cmovp
            | M::Cmovnp
            | M::Cmovl
            | M::Cmovge
            | M::Cmovle
            | M::Cmovg
    )
}

fn string_operation(mnemonic: Mnemonic) -> Option<Op> {
    use Mnemonic as M;
    Some(match mnemonic {
        M::Movsb | M::Movsw | M::Movsd | M::Movsq => Op::Movs,
        M::Cmpsb | M::Cmpsw | M::Cmpsd | M::Cmpsq => Op::Cmps,
        M::Stosb | M::Stosw | M::Stosd | M::Stosq => Op::Stos,
        M::Lodsb | M::Lodsw | M::Lodsd | M::Lodsq => Op::Lods,
        M::Scasb | M::Scasw | M::Scasd | M::Scasq => Op::Scas,
        M::Insb | M::Insw | M::Insd => Op::Ins,
        M::Outsb | M::Outsw | M::Outsd => Op::Outs,
        _ => return None,
    })
}

fn far_operation(instruction: &Instruction) -> Option<Op> {
    let i = instruction;
    if i.is_jmp_far() || i.is_jmp_far_indirect() {
        return Some(Op::JmpFar);
    }
    if i.is_call_far() || i.is_call_far_indirect() {
        return Some(Op::CallFar);
    }
    (i.mnemonic() == Mnemonic::Retf).then_some(Op::RetFar)
}

macro_rules! by_mnemonic {
    ($($(#[$meta:meta])* $family:ident { $($op:ident),* $(,)? } + { $($own:ident),* $(,)? })*) => {
        /// Operations whose name is also the decoder's.
        fn plain_operation(mnemonic: Mnemonic) -> Option<Op> {
            Some(match mnemonic {
                $($(Mnemonic::$op => Op::$op,)*)*
                _ => return None,
            })
        }
    };
}
for_each_operation!(by_mnemonic);

fn operand(instruction: &Instruction, index: u32) -> Operand {
    let next = instruction.len() as u64;
    match instruction.op_kind(index) {
        OpKind::Register => register(instruction.op_register(index)),
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => {
            Operand::Imm(instruction.near_branch_target().wrapping_sub(next))
        }
        OpKind::FarBranch16 => Operand::Far {
            selector: instruction.far_branch_selector(),
            offset: u32::from(instruction.far_branch16()),
        },
        OpKind::FarBranch32 => Operand::Far {
            selector: instruction.far_branch_selector(),
            offset: instruction.far_branch32(),
        },
        kind if is_immediate(kind) => Operand::Imm(instruction.immediate(index)),
        _ => Operand::Mem,
    }
}

fn is_immediate(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Immediate8
            | OpKind::Immediate8_2nd
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate64
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64
    )
}

fn register(register: Register) -> Operand {
    let number = register.number() as u8;
    if register.is_gpr() {
        let high = matches!(
            register,
            Register::AH | Register::CH | Register::DH | Register::BH
        );
        let index = register.full_register().number() as u8;
        let width = Width::from_bytes(register.size()).unwrap_or(Width::Qword);
        return Operand::Gpr(Gpr { index, width, high });
    }
    match register {
        r if r.is_segment_register() => segment(r).map_or(Operand::None, Operand::Seg),
        r if r.is_cr() => Operand::Cr(number),
        r if r.is_dr() => Operand::Dr(number),
        r if r.is_ymm() => Operand::Ymm(number),
        r if r.is_xmm() => Operand::Xmm(number),
        r if r.is_mm() => Operand::Mmx(number),
        r if r.is_st() => Operand::St(number),
        _ => Operand::None,
    }
}

fn segment(register: Register) -> Option<Seg> {
    Some(match register {
        Register::ES => Seg::Es,
        Register::CS => Seg::Cs,
        Register::SS => Seg::Ss,
        Register::DS => Seg::Ds,
        Register::FS => Seg::Fs,
        Register::GS => Seg::Gs,
        _ => return None,
    })
}

/// The memory operand; for string instructions the segment of the source and the width of the
/// index registers.
fn memory(instruction: &Instruction) -> Mem {
    let base = instruction.memory_base();
    let index = instruction.memory_index();
    let number = |r: Register| {
        if r == Register::None {
            NO_REGISTER
        } else {
            r.number() as u8
        }
    };
    let mut disp = instruction.memory_displacement64();
    let ip_relative = instruction.is_ip_rel_memory_operand();
    if ip_relative {
        disp = disp.wrapping_sub(instruction.len() as u64);
    }
    Mem {
        base: if ip_relative { RIP } else { number(base) },
        index: number(index),
        scale: instruction.memory_index_scale() as u8,
        address: address_width(instruction),
        seg: memory_segment(instruction),
        disp,
        bytes: memory_bytes(instruction),
    }
}

/// The segment of the memory operand. In 64-bit code only the prefixes of FS and GS mean anything,
/// and the base alone says whether a bad address is a stack fault.
fn memory_segment(instruction: &Instruction) -> Seg {
    let named = segment(instruction.memory_segment()).unwrap_or(Seg::Ds);
    let ignored = !matches!(named, Seg::Fs | Seg::Gs)
        && instruction.segment_prefix() != Register::None
        && native_width(instruction) == Width::Qword;
    match instruction.memory_base() {
        _ if !ignored => named,
        Register::RSP | Register::ESP | Register::RBP | Register::EBP => Seg::Ss,
        _ => Seg::Ds,
    }
}

fn memory_bytes(instruction: &Instruction) -> u16 {
    match instruction.memory_size() {
        // The decoder counts these as unknown or without their real extent.
        MemorySize::Fxsave_512Byte | MemorySize::Fxsave64_512Byte => 512,
        size => size.size() as u16,
    }
}

/// The width of the address computation: what the base or index has, or the prefix says.
fn address_width(instruction: &Instruction) -> Width {
    for i in 0..instruction.op_count() {
        match instruction.op_kind(i) {
            OpKind::MemorySegSI | OpKind::MemorySegDI | OpKind::MemoryESDI => return Width::Word,
            OpKind::MemorySegESI | OpKind::MemorySegEDI | OpKind::MemoryESEDI => {
                return Width::Dword;
            }
            OpKind::MemorySegRSI | OpKind::MemorySegRDI | OpKind::MemoryESRDI => {
                return Width::Qword;
            }
            _ => {}
        }
    }
    let registers = [instruction.memory_base(), instruction.memory_index()];
    if let Some(register) = registers.iter().find(|r| r.is_gpr() || r.is_ip()) {
        return Width::from_bytes(register.size()).unwrap_or(Width::Qword);
    }
    if let Some(width) = Width::from_bytes(instruction.op_code().address_size() as usize / 8) {
        return width;
    }
    match Width::from_bytes(instruction.memory_displ_size() as usize) {
        Some(width) if width != Width::Byte => width,
        _ => native_width(instruction),
    }
}

/// The width of the code.
fn native_width(instruction: &Instruction) -> Width {
    match instruction.code_size() {
        CodeSize::Code16 => Width::Word,
        CodeSize::Code64 => Width::Qword,
        _ => Width::Dword,
    }
}

fn size(instruction: &Instruction, insn: &Insn) -> Width {
    let native = native_width(instruction);
    match insn.op.family() {
        Family::String => return element(instruction),
        _ if instruction.mnemonic() == Mnemonic::Sysret => return Width::Dword,
        Family::Stack | Family::Control => {
            return control_size(instruction.code()).unwrap_or(native);
        }
        _ => {}
    }
    if matches!(insn.op, Op::Lgdt | Op::Lidt | Op::Sgdt | Op::Sidt) {
        return control_size(instruction.code()).unwrap_or(native);
    }
    if matches!(insn.op, Op::Ins | Op::Outs) {
        return element(instruction);
    }
    match insn.operands[0] {
        Operand::Gpr(reg) => reg.width,
        Operand::Mem => Width::from_bytes(usize::from(insn.mem.bytes)).unwrap_or(native),
        _ => native,
    }
}

fn element(instruction: &Instruction) -> Width {
    Width::from_bytes(instruction.memory_size().size()).unwrap_or(Width::Byte)
}

/// The operand size of stack and control instructions, where the code tells it.
fn control_size(code: Code) -> Option<Width> {
    Width::from_bytes(code.op_code().operand_size() as usize / 8)
}

/// What it costs to issue.
fn class(op: Op) -> Class {
    match op.family() {
        Family::MulDiv if matches!(op, Op::Div | Op::Idiv) => Class::Div,
        Family::MulDiv => Class::Mul,
        Family::Bmi if matches!(op, Op::Mulx | Op::Pdep | Op::Pext) => Class::Mul,
        Family::Random => Class::Msr,
        Family::Control => control_class(op),
        Family::String => Class::StringIteration,
        Family::Io => Class::PortIo,
        Family::System => system_class(op),
        Family::Xsave => match op {
            Op::Xgetbv => Class::Simple,
            Op::Xsetbv => Class::CrWrite,
            _ => Class::X87Simple,
        },
        Family::SseAes | Family::SseClmul | Family::SseSha => Class::SseMul,
        family if family.is_vector() => sse_class(op.name()),
        Family::X87 | Family::X87Move | Family::X87Control => x87_class(op.name()),
        _ => Class::Simple,
    }
}

fn control_class(op: Op) -> Class {
    match op {
        Op::Iret => Class::Iret,
        Op::Syscall => Class::Syscall,
        Op::Sysret => Class::Sysret,
        _ => Class::Branch,
    }
}

fn system_class(op: Op) -> Class {
    match op {
        Op::Cpuid => Class::Cpuid,
        Op::Invlpg | Op::Invpcid => Class::Invlpg,
        Op::Rdmsr | Op::Wrmsr | Op::Rdtsc | Op::Rdtscp | Op::Rdpmc => Class::Msr,
        Op::Hlt | Op::Swapgs | Op::Str | Op::Sldt | Op::Sgdt | Op::Sidt | Op::Smsw => Class::Simple,
        _ => Class::CrWrite,
    }
}

fn sse_class(name: &str) -> Class {
    let is = |part: &str| name.contains(part);
    match () {
        () if is("Sqrt") => Class::SseSqrt,
        () if is("Div") => Class::SseDiv,
        () if is("Mul")
            || is("mul")
            || is("Cvt")
            || is("cvt")
            || is("Vf")
            || is("Pmadd")
            || is("Dpp") =>
        {
            Class::SseMul
        }
        () => Class::SseSimple,
    }
}

fn x87_class(name: &str) -> Class {
    match name {
        "F2xm1" | "Fcos" | "Fpatan" | "Fptan" | "Fsin" | "Fsincos" | "Fyl2x" | "Fyl2xp1" => {
            Class::X87Transcendental
        }
        "Fsqrt" | "Fprem" | "Fprem1" => Class::X87Div,
        name if name.contains("div") => Class::X87Div,
        _ => Class::X87Simple,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CPUID announces whole sets; whatever of them is missing stops the machine, so the list is
    /// kept here by name.
    #[test]
    fn what_is_announced_has_an_operation() {
        let missing: Vec<String> = Code::values()
            .filter(|code| code.op_code().is_instruction())
            // Decoded as two instructions.
            .filter(|code| !code.op_code().fwait())
            .filter(|code| {
                let mut instruction = Instruction::default();
                instruction.set_code(*code);
                is_announced(&instruction, CpuModel::V3.features())
                    && operation(&instruction).is_none()
            })
            .map(|code| format!("{code:?}"))
            .collect();
        assert_eq!(missing, [""; 0]);
    }

    /// LAHF, POPCNT, CMPXCHG16B, PSHUFB; and SAHF of 32-bit code, which is as old as that.
    #[test]
    fn what_a_model_does_not_announce_is_undefined() {
        let op = |bytes: &[u8], bits, model| decode(bytes, bits, model).unwrap().unwrap().op;
        let codes: [(&[u8], Op); 4] = [
            (&[0x9F], Op::Lahf),
            (&[0xF3, 0x0F, 0xB8, 0xC1], Op::Popcnt),
            (&[0x48, 0x0F, 0xC7, 0x0E], Op::Cmpxchg16b),
            (&[0x66, 0x0F, 0x38, 0x00, 0xC1], Op::Pshufb),
        ];
        for (bytes, expected) in codes {
            assert_eq!(op(bytes, 64, CpuModel::V1), Op::Undefined);
            assert_eq!(op(bytes, 64, CpuModel::V2), expected);
        }
        assert_eq!(op(&[0x9E], 32, CpuModel::V1), Op::Sahf);
        // Their prefix is ignored where they are not announced.
        let scan = [0xF3, 0x0F, 0xBC, 0xC1];
        assert_eq!(op(&scan, 64, CpuModel::V2), Op::Bsf);
        assert_eq!(op(&scan, 64, CpuModel::V3), Op::Tzcnt);
        assert_eq!(op(&[0xF3, 0x0F, 0x09], 64, CpuModel::V3), Op::Wbinvd);
    }

    #[test]
    fn addresses_relative_to_rip_do_not_depend_on_where_the_code_stands() {
        let insn = decode(&[0x48, 0x8B, 0x05, 0x10, 0, 0, 0], 64, CpuModel::V2)
            .unwrap()
            .unwrap();
        assert_eq!(
            (insn.op, insn.mem.base, insn.mem.disp),
            (Op::Mov, RIP, 0x10)
        );
        let insn = decode(&[0xEB, 0xFE], 64, CpuModel::V2).unwrap().unwrap();
        assert_eq!(
            (insn.op, insn.operands[0]),
            (Op::Jmp, Operand::Imm(-2_i64 as u64))
        );
    }

    #[test]
    fn fifteen_bytes_are_the_most() {
        let mut bytes = [0x66; 15];
        assert_eq!(decode(&bytes[..14], 64, CpuModel::V2), Ok(None));
        assert_eq!(decode(&bytes, 64, CpuModel::V2), Err(Fault::GP));
        // Fifteen that make a whole instruction are judged by what it is: LOCK NOP.
        bytes[13..].copy_from_slice(&[0xF0, 0x90]);
        let refused = decode(&bytes, 64, CpuModel::V2).unwrap().unwrap();
        assert_eq!(refused.op, Op::Undefined);
        bytes[13..].copy_from_slice(&[0x66, 0x90]);
        assert!(matches!(
            decode(&bytes, 64, CpuModel::V2),
            Ok(Some(Insn {
                op: Op::Nop,
                len: 15,
                ..
            }))
        ));
    }
}
