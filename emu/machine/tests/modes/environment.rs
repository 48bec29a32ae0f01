//! The x87's environment in memory, in its four forms; values as an Intel CPU without FCS and FDS
//! that keeps FDP for unmasked exceptions alone stores them.

use iced_x86::IcedError;
use iced_x86::code_asm::*;

use crate::pc::{CODE, Pc};

/// Divides 1 by zero with that exception unmasked: `fdiv qword ptr [0x6000]`, whose opcode is
/// recorded as 0x435, or 0x436 in code of 16 bits.
fn divide_by_zero(a: &mut CodeAssembler, bits: u32) -> Result<(), IcedError> {
    a.fninit()?;
    a.mov(word_ptr(0x6010), 0x37B)?;
    a.fldcw(word_ptr(0x6010))?;
    a.fld1()?;
    match bits {
        16 => a.db(&[0xDC, 0x36, 0x00, 0x60]),
        _ => a.db(&[0xDC, 0x35, 0x00, 0x60, 0x00, 0x00]),
    }
}

#[test]
fn protected_mode_has_addresses_and_the_long_form_the_opcode() {
    let mut pc = Pc::protected();
    pc.program32(|a| {
        divide_by_zero(a, 32)?;
        a.fnstenv(ptr(0x6100))?;
        a.db(&[0x66, 0xD9, 0x35, 0x00, 0x62, 0x00, 0x00])?; // fnstenvs [0x6200]
        a.fnclex()?;
        // No exception: the instruction's address alone is new.
        a.fldz()?;
        a.fnstenv(ptr(0x6300))?;
        a.hlt()
    });
    pc.run().unwrap();
    let at = CODE + 2 + 9 + 6 + 2;
    let [_, status, tags, ip, opcode, dp, unused] = pc.stack(0x6100, 4);
    assert_eq!((status, tags), (0xFFFF_B884, 0xFFFF_3FFF));
    assert_eq!(
        (ip, opcode, dp, unused),
        (at, 0x435 << 16, 0x6000, 0xFFFF_0000)
    );
    // The first store has masked all exceptions.
    assert_eq!(
        pc.stack(0x6200, 2),
        [0x37F, 0x3804, 0x3FFF, at, 0, 0x6000, 0]
    );
    let [.., ip, opcode, dp, _] = pc.stack::<7>(0x6300, 4);
    assert_eq!((ip, opcode, dp), (at + 6 + 6 + 7 + 2, 0x435 << 16, 0x6000));
}

#[test]
fn real_mode_splits_addresses_at_16_bits() {
    let mut pc = Pc::real();
    pc.program16(|a| {
        divide_by_zero(a, 16)?;
        a.db(&[0x66, 0xD9, 0x36, 0x00, 0x61])?; // fnstenvl [0x6100]
        a.fnstenv(ptr(0x6200))?;
        // All of it comes back, with upper halves that the stores above did not have.
        a.or(byte_ptr(0x6111), 0x20)?;
        a.or(byte_ptr(0x6119), 0x30)?;
        a.db(&[0x66, 0xD9, 0x26, 0x00, 0x61])?; // fldenvl [0x6100]
        a.hlt()
    });
    pc.run().unwrap();
    let at = 2 + 6 + 4 + 2;
    let [_, _, _, ip, opcode, dp, upper] = pc.stack(0x6100, 4);
    assert_eq!(
        (ip, opcode, dp, upper),
        (0xFFFF_0000 | at, 0x2436, 0xFFFF_6000, 0x3000)
    );
    assert_eq!(pc.stack::<7>(0x6200, 2)[3..], [at, 0x436, 0x6000, 0]);
    let x87 = &pc.cpu.x87;
    assert_eq!(
        (x87.instruction, x87.opcode, x87.data),
        (0x2_0000 | at, 0x436, 0x3_6000)
    );
}

#[test]
fn real_mode_stores_the_upper_halves_from_bit_12_on() {
    let mut pc = Pc::real();
    (pc.cpu.x87.instruction, pc.cpu.x87.data, pc.cpu.x87.opcode) = (0x5_1234, 0x6_5678, 0x7AB);
    pc.program16(|a| {
        a.db(&[0x66, 0xD9, 0x36, 0x00, 0x61])?; // fnstenvl [0x6100]
        a.fnstenv(ptr(0x6200))?;
        a.hlt()
    });
    pc.run().unwrap();
    assert_eq!(
        pc.stack::<7>(0x6100, 4)[3..],
        [0xFFFF_1234, 0x57AB, 0xFFFF_5678, 0x6000]
    );
    assert_eq!(
        pc.stack::<7>(0x6200, 2)[3..],
        [0x1234, 0x57AB, 0x5678, 0x6000]
    );
}
