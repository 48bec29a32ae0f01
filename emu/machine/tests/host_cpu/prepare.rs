//! Registers and memory that make an instruction do something: addresses that meet the data,
//! small counts, quotients that fit.

use iced_x86::{Code, Instruction, Mnemonic, OpKind, Register};

use crate::forms::{is_gather, is_implicit, is_xsave, number};
use crate::operands::{Place, place};
use crate::random::Random;
use crate::state::{DATA, DATA_LEN, State};
use crate::values;

/// Prepares a case; none if the operands cannot be met, or must not be.
pub fn registers(random: &mut Random, instruction: &Instruction, state: &mut State) -> Option<()> {
    use Mnemonic as M;
    match instruction.mnemonic() {
        M::Leave | M::Enter => state.gpr[5] = place(random, Place::Stack),
        M::Loop | M::Loope | M::Loopne | M::Jcxz | M::Jecxz | M::Jrcxz if random.chance(2) => {
            state.gpr[1] = random.below(3) | random.below(2) << 32;
        }
        _ if is_xsave(instruction) => components(random, instruction, state)?,
        M::Div | M::Idiv if !random.chance(4) => make_division_fit(random, instruction, state),
        _ => {}
    }
    if is_implicit(instruction) {
        return implicit(random, instruction, state);
    }
    if is_bit_string(instruction) {
        bit_offset(random, instruction, state);
    }
    if instruction.op_kinds().any(|kind| kind == OpKind::Memory) {
        if is_gather(instruction) {
            scatter(random, instruction, state);
        }
        aim(random, instruction, state)?;
        contents(random, instruction, state);
    }
    if instruction.mnemonic() == M::Popfq || instruction.mnemonic() == M::Popf {
        let at = state.gpr[4];
        store(state, at, &(random.next() & 0x25_FFFF).to_le_bytes());
    }
    make_equal(random, instruction, state);
    Some(())
}

/// Strings, XLAT, MASKMOVDQU: registers that the instruction names by itself.
fn implicit(random: &mut Random, instruction: &Instruction, state: &mut State) -> Option<()> {
    // Only with an address size of 32 bits do upper halves not count.
    let narrow = instruction.op_kinds().any(|kind| {
        matches!(
            kind,
            OpKind::MemorySegESI | OpKind::MemoryESEDI | OpKind::MemorySegEDI
        )
    });
    if instruction.is_string_instruction() {
        let high = u64::from(narrow && random.chance(8)) << 32;
        state.gpr[1] = random.below(12) | high;
    }
    let base = segment_base(instruction.segment_prefix(), state);
    for index in [3, 6, 7] {
        let from = if index == 7 && instruction.is_string_instruction() {
            0
        } else {
            base
        };
        let at = match random.below(6) {
            0 => place(random, Place::Any),
            _ => DATA + 0x200 + random.below(0x1A00),
        };
        state.gpr[index] = at.wrapping_sub(from);
        if narrow && random.chance(4) {
            state.gpr[index] ^= random.next() << 32;
        }
    }
    if random.chance(4) {
        // Strings that are equal for a while.
        let (from, to) = (state.gpr[6].wrapping_add(base), state.gpr[7]);
        let bytes: [u8; 24] = std::array::from_fn(|i| load(state, from.wrapping_add(i as u64)));
        store(state, to, &bytes);
    }
    Some(())
}

fn segment_base(prefix: Register, state: &State) -> u64 {
    match prefix {
        Register::FS => state.base[0],
        Register::GS => state.base[1],
        _ => 0,
    }
}

/// A bit offset that stays near its operand.
fn bit_offset(random: &mut Random, instruction: &Instruction, state: &mut State) {
    let register = number(instruction.op1_register());
    let width = instruction.op1_register().size();
    let unit = if instruction.has_lock_prefix() {
        !127
    } else {
        !0
    };
    let near = (random.below(8192) as i64 - 4096) & unit;
    let keep = if width == 8 {
        0
    } else {
        u64::MAX << (8 * width)
    };
    state.gpr[register] = state.gpr[register] & keep | near as u64 & !keep;
}

fn is_bit_string(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    matches!(instruction.mnemonic(), M::Bt | M::Bts | M::Btr | M::Btc)
        && instruction.op0_kind() == OpKind::Memory
        && instruction.op1_kind() == OpKind::Register
}

/// A dividend whose upper half is small, so that most quotients fit.
fn make_division_fit(random: &mut Random, instruction: &Instruction, state: &mut State) {
    let small = random.below(4);
    let sign = random.chance(2) && instruction.mnemonic() == Mnemonic::Idiv;
    state.gpr[2] = if sign { u64::MAX } else { small };
    if matches!(instruction.code(), Code::Div_rm8 | Code::Idiv_rm8) {
        state.gpr[0] = state.gpr[0] & !0xFF00 | (state.gpr[2] & 0xFF) << 8;
    }
}

/// Indices of a gather, mostly near.
fn scatter(random: &mut Random, instruction: &Instruction, state: &mut State) {
    let index = instruction.memory_index().number();
    let wide = format!("{:?}", instruction.op_code().op_kind(1)).contains("vsib64");
    let mut lanes = [0_u128; 2];
    for lane in &mut lanes {
        let step = if wide { 64 } else { 32 };
        for shift in (0..128).step_by(step) {
            let near = random.below(256).wrapping_sub(128);
            let value = if random.chance(40) {
                random.value()
            } else {
                near
            };
            let value = u128::from(value) & (u128::MAX >> (128 - step));
            *lane |= value << shift;
        }
    }
    state.set_xmm(index, lanes[0]);
    state.high[index] = lanes[1];
}

/// What an operand's address must be fit for.
fn fit(instruction: &Instruction) -> Place {
    let bytes = instruction.memory_size().size() as u64;
    if instruction.has_lock_prefix() || instruction.mnemonic() == Mnemonic::Xchg {
        return Place::Locked;
    }
    match bytes {
        16 | 32 => Place::Aligned(bytes),
        512 => Place::Aligned(16),
        0 => Place::Aligned(64),
        _ => Place::Any,
    }
}

/// Sets the base (or the index) so that the operand lies in the data.
fn aim(random: &mut Random, instruction: &Instruction, state: &mut State) -> Option<()> {
    let (base, index) = (instruction.memory_base(), instruction.memory_index());
    let index = if is_gather(instruction) {
        Register::None
    } else {
        index
    };
    let segment = segment_base(instruction.segment_prefix(), state);
    let target = place(random, fit(instruction)).wrapping_sub(segment);
    let displacement = instruction.memory_displacement64();
    if base.is_ip() || base == Register::None && index == Register::None {
        let seam = displacement.wrapping_add(segment) & 15 != 0;
        return (fit(instruction) != Place::Locked || !seam).then_some(());
    }
    let stack = instruction.stack_pointer_increment() != 0;
    if stack && base.is_gpr() && number(base) == 4 {
        return (index == Register::None).then_some(());
    }
    let narrow = base.is_gpr32() || index.is_gpr32();
    let scale = u64::from(instruction.memory_index_scale());
    let mut rest = target.wrapping_sub(displacement);
    let register = if base == Register::None {
        number(index)
    } else {
        number(base)
    };
    let mut factor = if base == Register::None { scale } else { 1 };
    if base != Register::None && index != Register::None {
        match number(index) == register {
            true => factor += scale,
            false => rest = rest.wrapping_sub(state.gpr[number(index)].wrapping_mul(scale)),
        }
    }
    if factor != 1 && fit(instruction) == Place::Locked {
        return None;
    }
    let size = instruction.memory_size().size() as u64;
    if narrow && size > 16 && (target & 0xFFFF_FFFF) + size > 1 << 32 {
        // Parts of a state at both ends of 4 GiB.
        return None;
    }
    let register = &mut state.gpr[register];
    *register = match narrow {
        true => (*register & 0xFFFF_FFFF_0000_0000) | ((rest & 0xFFFF_FFFF) / factor),
        false => rest / factor,
    };
    Some(())
}

/// The operand's linear address, if it has one that is not the instruction's own.
fn address(instruction: &Instruction, state: &State) -> Option<u64> {
    if is_gather(instruction) {
        return None;
    }
    let operand =
        (0..instruction.op_count()).find(|&i| instruction.op_kind(i) == OpKind::Memory)?;
    instruction.virtual_address(operand, 0, |register, _, _| match register {
        Register::FS => Some(state.base[0]),
        Register::GS => Some(state.base[1]),
        _ if register.is_segment_register() => Some(0),
        _ => Some(state.gpr[number(register)]),
    })
}

/// What the operand holds.
fn contents(random: &mut Random, instruction: &Instruction, state: &mut State) {
    let Some(at) = address(instruction, state) else {
        return;
    };
    let bytes = instruction.memory_size().size().clamp(8, 64);
    for offset in (0..bytes).step_by(8) {
        store(
            state,
            at.wrapping_add(offset as u64),
            &random.word().to_le_bytes(),
        );
    }
    use Mnemonic as M;
    match instruction.mnemonic() {
        M::Fld if instruction.code() == Code::Fld_m80fp => {
            store(state, at, &random.extended().to_le_bytes()[..10]);
        }
        M::Fbld => {
            let mut digits: [u8; 10] =
                std::array::from_fn(|_| (random.below(10) << 4 | random.below(10)) as u8);
            digits[9] = random.next() as u8 & 0x80;
            store(state, at, &digits);
        }
        M::Fldcw => store(
            state,
            at,
            &[random.next() as u8, random.next() as u8 & 0x1F],
        ),
        M::Ldmxcsr | M::Vldmxcsr if !random.chance(8) => {
            store(state, at, &values::mxcsr(random).to_le_bytes());
        }
        M::Xsave | M::Xsave64 | M::Xsaveopt | M::Xsaveopt64 if random.chance(2) => {
            store(state, at.wrapping_add(512), &random.below(8).to_le_bytes());
        }
        M::Xrstor | M::Xrstor64 => extended_image(random, state, at),
        M::Fldenv | M::Frstor | M::Fxrstor | M::Fxrstor64 => image(random, instruction, state, at),
        _ => {}
    }
}

/// A saved state of the x87, or of SSE too.
fn image(random: &mut Random, instruction: &Instruction, state: &mut State, at: u64) {
    let mut other = State::plain();
    values::vectors(random, &mut other);
    if matches!(
        instruction.mnemonic(),
        Mnemonic::Fxrstor | Mnemonic::Fxrstor64
    ) {
        if random.chance(16) {
            other.image[26] = 1;
        }
        store(state, at, &other.image.clone());
        return;
    }
    let wide = matches!(
        instruction.code(),
        Code::Fldenv_m28byte | Code::Frstor_m108byte
    );
    let (unit, header) = if wide { (4, 28) } else { (2, 14) };
    let control = other.image[0..2].to_vec();
    let status = other.image[2..4].to_vec();
    let tags = (random.next() as u16).to_le_bytes();
    for (i, word) in [control, status, tags.to_vec()].iter().enumerate() {
        store(state, at.wrapping_add(i as u64 * unit), word);
    }
    if instruction.mnemonic() == Mnemonic::Frstor {
        for i in 0..8 {
            let number = other.st(i).to_le_bytes();
            store(
                state,
                at.wrapping_add(header + 10 * i as u64),
                &number[..10],
            );
        }
    }
}

/// EDX:EAX names x87, SSE and AVX only: the host may have more, and its header tells of it.
fn components(random: &mut Random, instruction: &Instruction, state: &mut State) -> Option<()> {
    let used = [instruction.memory_base(), instruction.memory_index()];
    let taken = used
        .iter()
        .any(|register| register.is_gpr() && matches!(number(*register), 0 | 2));
    state.gpr[0] = random.below(8) | random.next() << 32;
    state.gpr[2] = random.next() << 32;
    (!taken).then_some(())
}

/// An area for XRSTOR, in either format, mostly a sound one.
fn extended_image(random: &mut Random, state: &mut State, at: u64) {
    let mut other = State::plain();
    values::vectors(random, &mut other);
    if random.chance(16) {
        other.image[26] = 1;
    }
    store(state, at, &other.image.clone());
    let mut header = [0_u8; 64];
    header[0] = random.below(8) as u8;
    if random.chance(2) {
        header[8] = header[0] | random.below(8) as u8;
        header[15] = 0x80;
    }
    if random.chance(6) {
        // Of the components these two are on no CPU that has AVX2 and no MPX.
        let unknown = [(0, 8), (8, 16), (16, 1)];
        let (byte, bit) = random.pick(&unknown);
        let byte = if byte == 16 {
            16 + random.below(48) as usize
        } else {
            byte
        };
        header[byte] ^= bit;
    }
    store(state, at.wrapping_add(512), &header);
    for (i, high) in other.high.iter().enumerate() {
        let place = at.wrapping_add(576 + 16 * i as u64);
        store(state, place, &high.to_le_bytes());
    }
}

/// Comparands that are equal, as they seldom are by chance.
fn make_equal(random: &mut Random, instruction: &Instruction, state: &mut State) {
    use Mnemonic as M;
    if !random.chance(2) {
        return;
    }
    let memory = address(instruction, state);
    let word = |state: &State, at: u64| {
        u64::from_le_bytes(std::array::from_fn(|i| {
            load(state, at.wrapping_add(i as u64))
        }))
    };
    match (instruction.mnemonic(), memory) {
        (M::Cmpxchg, Some(at)) => state.gpr[0] = word(state, at),
        (M::Cmpxchg, None) => state.gpr[0] = state.gpr[number(instruction.op0_register())],
        (M::Cmpxchg8b, Some(at)) => {
            state.gpr[0] = word(state, at);
            state.gpr[2] = word(state, at) >> 32;
        }
        (M::Cmpxchg16b, Some(at)) => {
            state.gpr[0] = word(state, at);
            state.gpr[2] = word(state, at.wrapping_add(8));
        }
        _ => {}
    }
}

fn load(state: &State, at: u64) -> u8 {
    let offset = at.wrapping_sub(DATA) as usize;
    state.memory.get(offset).copied().unwrap_or(0)
}

/// Writes as much of it as lies in the data.
fn store(state: &mut State, at: u64, bytes: &[u8]) {
    for (i, byte) in bytes.iter().enumerate() {
        let offset = at.wrapping_add(i as u64).wrapping_sub(DATA);
        if offset < DATA_LEN as u64 {
            state.memory[offset as usize] = *byte;
        }
    }
}
