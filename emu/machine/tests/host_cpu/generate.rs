//! Cases: an instruction form becomes bytes, and a state that makes it do something.

use std::fmt;

use iced_x86::{
    Code, CpuidFeature, Encoder, EncodingKind, Instruction, MemoryOperand, Mnemonic,
    OpCodeOperandKind, OpKind, Register,
};

use crate::state::{CODE, DATA, DATA_LEN, FLAGS, GS_BASE, State};

/// One instruction with everything that it starts from.
pub struct Case {
    pub instruction: Instruction,
    pub bytes: Vec<u8>,
    pub state: State,
    /// Flags that the manual leaves undefined after this instruction.
    pub undefined: u64,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.instruction.code())?;
        for byte in &self.bytes {
            write!(f, " {byte:02x}")?;
        }
        write!(
            f,
            " ({}) flags {:#x} gpr",
            self.instruction, self.state.rflags
        )?;
        for value in self.state.gpr {
            write!(f, " {value:x}")?;
        }
        Ok(())
    }
}

/// Every form of a general-purpose instruction that means something to a program, and that the
/// interpreter announces.
pub fn general_purpose() -> Vec<Code> {
    use CpuidFeature as F;
    let base = [
        F::INTEL8086,
        F::INTEL186,
        F::INTEL286,
        F::INTEL386,
        F::INTEL486,
        F::X64,
        F::CX8,
        F::CMOV,
        F::CMPXCHG16B,
        F::POPCNT,
        F::MULTIBYTENOP,
        F::PAUSE,
    ];
    Code::values()
        .filter(|code| {
            let info = code.op_code();
            info.is_instruction()
                && info.mode64()
                && info.encoding() == EncodingKind::Legacy
                && code
                    .cpuid_features()
                    .iter()
                    .all(|feature| base.contains(feature))
                && !is_excluded(*code)
        })
        .collect()
}

/// What asks the kernel for something, what Linux virtualises, and what single-stepping shows.
fn is_excluded(code: Code) -> bool {
    use Mnemonic as M;
    let mnemonic = code.mnemonic();
    let name = format!("{code:?}");
    matches!(
        mnemonic,
        M::Int | M::Int1 | M::Int3 | M::Into | M::Bound | M::Syscall | M::Sysret | M::Sysenter
            | M::Pushf | M::Pushfd | M::Pushfq | M::Popf | M::Popfd | M::Popfq
            | M::Iret | M::Iretd | M::Iretq | M::Retf | M::Lss | M::Lfs | M::Lgs
            | M::Sgdt | M::Sidt | M::Sldt | M::Str | M::Smsw | M::Lar | M::Lsl | M::Verr | M::Verw
            | M::Wait | M::Enter | M::Ud0 | M::Ud1
    ) || name.contains("Sreg")
        || name.ends_with("_FS")
        || name.ends_with("_GS")
        || name.contains("m1616")
        || name.contains("m1632")
        || name.contains("m1664")
        || name.contains("_tr")
        // Forms with a 16-bit branch exist on AMD only.
        || (code.op_code().operand_size() == 16 && is_branch(code))
}

fn is_branch(code: Code) -> bool {
    use OpCodeOperandKind as K;
    let kinds = code.op_code().op_kinds();
    let relative = kinds
        .iter()
        .any(|k| matches!(k, K::br16_1 | K::br16_2 | K::br32_1 | K::br64_1 | K::br64_4));
    relative
        || matches!(
            code.mnemonic(),
            Mnemonic::Jmp | Mnemonic::Call | Mnemonic::Ret
        )
}

/// A small generator of numbers: the same on every host.
pub struct Random(u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    /// Numbers at which arithmetic changes its mind, and any others.
    pub fn value(&mut self) -> u64 {
        let edge = [
            0,
            1,
            2,
            0x7F,
            0x80,
            0xFF,
            0x7FFF,
            0x8000,
            0xFFFF,
            0x7FFF_FFFF,
            0x8000_0000,
        ];
        match self.below(8) {
            0 => edge[self.below(edge.len() as u64) as usize],
            1 => !edge[self.below(edge.len() as u64) as usize],
            2 => 1 << self.below(64),
            3 => self.below(256),
            4 => self.next() >> self.below(64),
            5 => [i64::MIN as u64, i64::MAX as u64, u64::MAX, 0][self.below(4) as usize],
            _ => self.next(),
        }
    }
}

/// Makes cases.
pub struct Generator {
    random: Random,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Generator {
            random: Random(seed),
        }
    }

    /// A case of this form; none if the operands that were drawn cannot be encoded.
    pub fn case(&mut self, code: Code) -> Option<Case> {
        let mut state = self.state();
        let mut instruction = Instruction::default();
        instruction.set_code(code);
        for (i, kind) in code.op_code().op_kinds().iter().enumerate() {
            self.operand(&mut instruction, i as u32, *kind)?;
        }
        self.prefixes(&mut instruction);
        let mut encoder = Encoder::new(64);
        encoder.encode(&instruction, CODE).ok()?;
        let bytes = encoder.take_buffer();
        instruction.set_len(bytes.len());
        instruction.set_next_ip(CODE + bytes.len() as u64);
        self.prepare(&instruction, &mut state)?;
        let undefined = undefined_flags(&instruction, &state);
        Some(Case {
            instruction,
            bytes,
            state,
            undefined,
        })
    }

    fn state(&mut self) -> State {
        let random = &mut self.random;
        let mut gpr: [u64; 16] = std::array::from_fn(|_| random.value());
        gpr[4] = DATA + 0x1000 + random.below(0x1000);
        let memory = (0..DATA_LEN / 8)
            .flat_map(|_| random.value().to_le_bytes())
            .collect();
        State {
            gpr,
            rip: CODE,
            rflags: random.next() & FLAGS | 0x202,
            memory,
        }
    }

    fn operand(
        &mut self,
        instruction: &mut Instruction,
        i: u32,
        kind: OpCodeOperandKind,
    ) -> Option<()> {
        use OpCodeOperandKind as K;
        let memory_or = |this: &mut Self, registers: &[Register]| {
            let take_memory = this.random.chance(2);
            if take_memory {
                None
            } else {
                Some(this.pick(registers))
            }
        };
        match kind {
            K::mem | K::mem_offs => self.memory(instruction, i, kind == K::mem_offs),
            K::r8_or_mem | K::r16_or_mem | K::r32_or_mem | K::r64_or_mem => {
                let set = registers(match kind {
                    K::r8_or_mem => 1,
                    K::r16_or_mem => 2,
                    K::r32_or_mem => 4,
                    _ => 8,
                });
                match memory_or(self, set) {
                    Some(register) => set_register(instruction, i, register),
                    None => self.memory(instruction, i, false),
                }
            }
            K::r8_reg | K::r8_opcode => set_register(instruction, i, self.pick(registers(1))),
            K::r16_reg | K::r16_rm | K::r16_opcode | K::r16_reg_mem => {
                set_register(instruction, i, self.pick(registers(2)));
            }
            K::r32_reg | K::r32_rm | K::r32_opcode | K::r32_reg_mem => {
                set_register(instruction, i, self.pick(registers(4)));
            }
            K::r64_reg | K::r64_rm | K::r64_opcode | K::r64_reg_mem => {
                set_register(instruction, i, self.pick(registers(8)));
            }
            K::al => set_register(instruction, i, Register::AL),
            K::cl => set_register(instruction, i, Register::CL),
            K::ax => set_register(instruction, i, Register::AX),
            K::dx => set_register(instruction, i, Register::DX),
            K::eax => set_register(instruction, i, Register::EAX),
            K::rax => set_register(instruction, i, Register::RAX),
            K::imm8_const_1 => self.immediate(instruction, i, OpKind::Immediate8, 1),
            K::imm8 => self.random_immediate(instruction, i, OpKind::Immediate8),
            K::imm16 => self.random_immediate(instruction, i, OpKind::Immediate16),
            K::imm32 => self.random_immediate(instruction, i, OpKind::Immediate32),
            K::imm64 => self.random_immediate(instruction, i, OpKind::Immediate64),
            K::imm8sex16 => self.random_immediate(instruction, i, OpKind::Immediate8to16),
            K::imm8sex32 => self.random_immediate(instruction, i, OpKind::Immediate8to32),
            K::imm8sex64 => self.random_immediate(instruction, i, OpKind::Immediate8to64),
            K::imm32sex64 => self.random_immediate(instruction, i, OpKind::Immediate32to64),
            K::br64_1 | K::br64_4 => {
                instruction.set_op_kind(i, OpKind::NearBranch64);
                instruction.set_near_branch64(CODE + self.random.below(100));
            }
            K::seg_rSI => instruction.set_op_kind(i, OpKind::MemorySegRSI),
            K::es_rDI => instruction.set_op_kind(i, OpKind::MemoryESRDI),
            K::seg_rBX_al => {
                instruction.set_op_kind(i, OpKind::Memory);
                instruction.set_memory_base(Register::RBX);
                instruction.set_memory_index(Register::AL);
            }
            _ => return None,
        }
        Some(())
    }

    fn pick(&mut self, registers: &[Register]) -> Register {
        registers[self.random.below(registers.len() as u64) as usize]
    }

    fn random_immediate(&mut self, instruction: &mut Instruction, i: u32, kind: OpKind) {
        let value = self.random.value();
        self.immediate(instruction, i, kind, value);
    }

    fn immediate(&mut self, instruction: &mut Instruction, i: u32, kind: OpKind, value: u64) {
        instruction.set_op_kind(i, kind);
        match kind {
            OpKind::Immediate8 => instruction.set_immediate8(value as u8),
            OpKind::Immediate16 => instruction.set_immediate16(value as u16),
            OpKind::Immediate32 => instruction.set_immediate32(value as u32),
            OpKind::Immediate64 => instruction.set_immediate64(value),
            OpKind::Immediate8to16 => instruction.set_immediate8to16(value as i8 as i16),
            OpKind::Immediate8to32 => instruction.set_immediate8to32(value as i8 as i32),
            OpKind::Immediate8to64 => instruction.set_immediate8to64(value as i8 as i64),
            _ => instruction.set_immediate32to64(i64::from(value as i32)),
        }
    }

    /// A memory operand of any shape.
    fn memory(&mut self, instruction: &mut Instruction, i: u32, offset_only: bool) {
        let wide = !self.random.chance(6);
        let pool = registers(if wide { 8 } else { 4 });
        let mut operand = MemoryOperand::with_displ(0, if wide { 8 } else { 4 });
        if !offset_only {
            match self.random.below(8) {
                0 => operand.base = if wide { Register::RIP } else { Register::EIP },
                1 => {}
                2..=4 => operand.base = self.pick(pool),
                _ => {
                    operand.base = self.pick(pool);
                    operand.index = self.pick(pool);
                    operand.scale = 1 << self.random.below(4);
                }
            }
        }
        operand.displacement = match operand.base {
            Register::None => (DATA + self.place()) as i64,
            Register::RIP | Register::EIP => (DATA + self.place()) as i64,
            _ => i64::from(self.random.value() as i32),
        };
        operand.displ_size = match operand.base {
            Register::None | Register::RIP => 8,
            Register::EIP => 4,
            _ => {
                if wide {
                    8
                } else {
                    4
                }
            }
        };
        if operand.base == Register::None {
            operand.displ_size = if offset_only { 8 } else { 4 };
        }
        if self.random.chance(8) {
            operand.segment_prefix = Register::GS;
        }
        instruction.set_op_kind(i, OpKind::Memory);
        instruction.set_memory_base(operand.base);
        instruction.set_memory_index(operand.index);
        instruction.set_memory_index_scale(operand.scale.max(1));
        instruction.set_memory_displacement64(operand.displacement as u64);
        instruction.set_memory_displ_size(operand.displ_size);
        instruction.set_segment_prefix(operand.segment_prefix);
    }

    /// An offset into the data, often at the seams of pages and now and then over the last end.
    fn place(&mut self) -> u64 {
        match self.random.below(10) {
            0 => 0x1000 * (1 + self.random.below(3)) - self.random.below(16),
            1 => DATA_LEN as u64 - self.random.below(20),
            2..=5 => (0x100 + self.random.below(0x3800)) & !15,
            _ => 0x100 + self.random.below(0x3800),
        }
    }

    fn prefixes(&mut self, instruction: &mut Instruction) {
        let info = instruction.op_code();
        let to_memory = instruction.op0_kind() == OpKind::Memory;
        if info.can_use_lock_prefix() && to_memory && self.random.chance(3) {
            instruction.set_has_lock_prefix(true);
        }
        if info.can_use_rep_prefix() && instruction.is_string_instruction() && self.random.chance(2)
        {
            instruction.set_has_rep_prefix(true);
        } else if info.can_use_repne_prefix()
            && instruction.is_string_instruction()
            && self.random.chance(2)
        {
            instruction.set_has_repne_prefix(true);
        }
    }

    /// Gives registers the values that make addresses meet memory, and counts small.
    fn prepare(&mut self, instruction: &Instruction, state: &mut State) -> Option<()> {
        let stack =
            instruction.stack_pointer_increment() != 0 || instruction.mnemonic() == Mnemonic::Leave;
        if instruction.mnemonic() == Mnemonic::Leave {
            state.gpr[5] = DATA + self.place();
        }
        if instruction.is_string_instruction() || instruction.mnemonic() == Mnemonic::Xlatb {
            state.gpr[1] = self.random.below(12);
            for index in [3, 6, 7] {
                state.gpr[index] = DATA + 0x200 + self.random.below(DATA_LEN as u64 - 0x400);
            }
            let prefix = instruction.segment_prefix();
            return (prefix == Register::None).then_some(());
        }
        if is_bit_string(instruction) {
            let number = instruction.op1_register().full_register().number();
            let width = instruction.op1_register().size();
            let unit = if instruction.has_lock_prefix() {
                !127
            } else {
                !0
            };
            let near = (self.random.below(8192) as i64 - 4096) & unit;
            let keep = if width == 8 {
                0
            } else {
                u64::MAX << (8 * width)
            };
            state.gpr[number] = state.gpr[number] & keep | near as u64 & !keep;
        }
        if matches!(instruction.mnemonic(), Mnemonic::Div | Mnemonic::Idiv)
            && !self.random.chance(4)
        {
            self.make_division_fit(instruction, state);
        }
        if instruction.op_kinds().any(|kind| kind == OpKind::Memory) {
            self.aim(instruction, state)?;
        }
        if stack && state.gpr[4].wrapping_sub(DATA) >= DATA_LEN as u64 {
            return None;
        }
        Some(())
    }

    /// A dividend whose upper half is small, so that most quotients fit.
    fn make_division_fit(&mut self, instruction: &Instruction, state: &mut State) {
        let small = self.random.below(4);
        let sign = self.random.chance(2) && instruction.mnemonic() == Mnemonic::Idiv;
        state.gpr[2] = if sign { u64::MAX } else { small };
        if matches!(instruction.code(), Code::Div_rm8 | Code::Idiv_rm8) {
            state.gpr[0] = state.gpr[0] & !0xFF00 | (state.gpr[2] & 0xFF) << 8;
        }
    }

    /// Sets the base (or the index) so that the operand lies in the data.
    fn aim(&mut self, instruction: &Instruction, state: &mut State) -> Option<()> {
        let base = instruction.memory_base();
        let index = instruction.memory_index();
        let segment = match instruction.segment_prefix() {
            Register::GS => GS_BASE,
            _ => 0,
        };
        let narrow = base.is_gpr32() || index.is_gpr32();
        let place = if locks(instruction) {
            self.place() & !15
        } else {
            self.place()
        };
        let target = (DATA + place).wrapping_sub(segment);
        if base == Register::None || base.is_ip() {
            let misaligned = instruction.memory_displacement64().wrapping_add(segment) & 15 != 0;
            return (!locks(instruction) || !misaligned).then_some(());
        }
        let scale = u64::from(instruction.memory_index_scale());
        let mut rest = target.wrapping_sub(instruction.memory_displacement64());
        let number = base.full_register().number();
        if index != Register::None {
            let index = index.full_register().number();
            if index == number {
                // base + base * scale: only a multiple can be met.
                return None;
            }
            if matches!(number, 4) {
                return None;
            }
            rest = rest.wrapping_sub(state.gpr[index].wrapping_mul(scale));
        }
        if number == 4 && is_stack(instruction) {
            return None;
        }
        state.gpr[number] = match narrow {
            true => state.gpr[number] & 0xFFFF_FFFF_0000_0000 | rest & 0xFFFF_FFFF,
            false => rest,
        };
        Some(())
    }
}

/// Locked accesses stay within a cache line: hosts punish others by slowing the whole machine.
fn locks(instruction: &Instruction) -> bool {
    instruction.has_lock_prefix() || instruction.mnemonic() == Mnemonic::Xchg
}

fn is_stack(instruction: &Instruction) -> bool {
    instruction.stack_pointer_increment() != 0
}

fn is_bit_string(instruction: &Instruction) -> bool {
    let mnemonic = instruction.mnemonic();
    matches!(
        mnemonic,
        Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc
    ) && instruction.op0_kind() == OpKind::Memory
        && instruction.op1_kind() == OpKind::Register
}

fn set_register(instruction: &mut Instruction, i: u32, register: Register) {
    instruction.set_op_kind(i, OpKind::Register);
    instruction.set_op_register(i, register);
}

/// All registers of a width; RSP is drawn as rarely as the others.
fn registers(bytes: usize) -> &'static [Register] {
    use Register::*;
    match bytes {
        1 => &[
            AL, CL, DL, BL, AH, CH, DH, BH, SPL, BPL, SIL, DIL, R8L, R9L, R10L, R11L, R12L, R13L,
            R14L, R15L,
        ],
        2 => &[
            AX, CX, DX, BX, SP, BP, SI, DI, R8W, R9W, R10W, R11W, R12W, R13W, R14W, R15W,
        ],
        4 => &[
            EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI, R8D, R9D, R10D, R11D, R12D, R13D, R14D, R15D,
        ],
        _ => &[
            RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
        ],
    }
}

const CF: u64 = 1;
const OF: u64 = 1 << 11;
const AF: u64 = 1 << 4;

/// The flags that the manual leaves undefined for this instruction with these operands.
fn undefined_flags(instruction: &Instruction, state: &State) -> u64 {
    use Mnemonic as M;
    if std::env::var_os("COE_EXACT_FLAGS").is_some() {
        return 0;
    }
    let mask = if instruction.op0_register().size() == 8
        || instruction.op0_kind() == OpKind::Memory && instruction.memory_size().size() == 8
    {
        63
    } else {
        31
    };
    let last = instruction.op_count().saturating_sub(1);
    let count = match instruction.op_kind(last) {
        OpKind::Register => state.gpr[1] & mask,
        OpKind::Immediate8 => u64::from(instruction.immediate8()) & mask,
        _ => 1,
    };
    let bits = 8 * match instruction.op0_kind() {
        OpKind::Memory => instruction.memory_size().size() as u64,
        _ => instruction.op0_register().size() as u64,
    };
    let rare = if count > 1 { OF } else { 0 };
    match instruction.mnemonic() {
        M::Rol | M::Ror | M::Rcl | M::Rcr => rare,
        M::Shl | M::Sal | M::Shr | M::Sar if count > 0 => {
            let beyond = count >= bits && instruction.mnemonic() != M::Sar;
            AF | rare | if beyond { CF } else { 0 }
        }
        M::Shld | M::Shrd if count > bits => FLAGS & !(1 << 10),
        M::Shld | M::Shrd if count > 0 => AF | rare,
        M::Shl | M::Sal | M::Shr | M::Sar | M::Shld | M::Shrd => 0,
        _ => u64::from(undefined_by_table(instruction)),
    }
}

/// The decoder library's table, in the positions of RFLAGS.
fn undefined_by_table(instruction: &Instruction) -> u32 {
    use iced_x86::RflagsBits as R;
    let bits = instruction.rflags_undefined();
    let pairs = [
        (R::CF, 0),
        (R::PF, 2),
        (R::AF, 4),
        (R::ZF, 6),
        (R::SF, 7),
        (R::OF, 11),
    ];
    pairs
        .iter()
        .filter(|(bit, _)| bits & bit != 0)
        .map(|(_, place)| 1 << place)
        .sum()
}
