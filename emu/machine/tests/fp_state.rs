//! Whole states of the x87 and SSE in memory, against the host's CPU; and the faults by which a
//! kernel learns that a task wants them, against the manual.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod native;

use machine::cpu::state::{cr0, cr4};
use machine::cpu::vector;
use native::{Case, Guest, OPERAND, Random, host};

const CASES: usize = 3000;

const FXSAVE: [u8; 3] = [0x0f, 0xae, 0x07];
const FXSAVE64: [u8; 4] = [0x48, 0x0f, 0xae, 0x07];
const FXRSTOR: [u8; 3] = [0x0f, 0xae, 0x0f];
const FXRSTOR64: [u8; 4] = [0x48, 0x0f, 0xae, 0x0f];
const LDMXCSR: [u8; 3] = [0x0f, 0xae, 0x17];
const STMXCSR: [u8; 3] = [0x0f, 0xae, 0x1f];
const FADD: [u8; 2] = [0xd8, 0xc1];
const FNSTSW: [u8; 2] = [0xdf, 0xe0];
const FWAIT: [u8; 1] = [0x9b];
const ADDPS: [u8; 3] = [0x0f, 0x58, 0xc1];
const PADDB_MMX: [u8; 3] = [0x0f, 0xfc, 0xc1];
const EMMS: [u8; 2] = [0x0f, 0x77];

fn case(random: &mut Random) -> Case {
    let mut case = Case::random(random);
    case.full = random.next() as u8;
    case.status = random.next() as u16 & 0x7f7f;
    case.control = 0x7f | random.next() as u16 & 0xf00;
    case.mxcsr = 0x1f80 | random.next() as u32 & 0xe07f;
    for st in &mut case.st {
        *st = random.f80();
    }
    case
}

/// Runs one instruction on both; `forget` wipes what the harness cannot make equal.
#[track_caller]
fn judge(guest: &mut Guest, bytes: &[u8], case: &Case, forget: impl Fn(&mut Case)) {
    let mut want = host().run(bytes, case);
    let mut got = guest.run(bytes, case).unwrap();
    forget(&mut want);
    forget(&mut got);
    assert!(got == want, "{bytes:02x?}\n{}", got.difference(&want));
}

#[test]
fn fxsave_stores_what_the_host_stores() {
    let (mut guest, mut random) = (Guest::new(), Random(3));
    for _ in 0..CASES {
        let case = case(&mut random);
        // The last instruction's opcode and addresses.
        let forget = |case: &mut Case| case.memory[OPERAND + 6..OPERAND + 24].fill(0);
        judge(&mut guest, &FXSAVE, &case, forget);
        judge(&mut guest, &FXSAVE64, &case, forget);
    }
}

#[test]
fn fxrstor_loads_what_the_host_loads() {
    let (mut guest, mut random) = (Guest::new(), Random(4));
    for round in 0..CASES {
        let mut case = case(&mut random);
        let image = &mut case.memory[OPERAND..OPERAND + 512];
        image[1] &= 0x1f;
        // Every eighth time a reserved bit of MXCSR is set.
        image[26..28].fill(0);
        image[26] = u8::from(round % 8 == 0);
        judge(&mut guest, &FXRSTOR, &case, |_| {});
        judge(&mut guest, &FXRSTOR64, &case, |_| {});
    }
}

#[test]
fn mxcsr_goes_to_memory_and_back() {
    let (mut guest, mut random) = (Guest::new(), Random(5));
    for round in 0..CASES {
        let mut case = case(&mut random);
        case.memory[OPERAND + 2..OPERAND + 4].fill(0);
        case.memory[OPERAND + 2 + round % 2] = u8::from(round % 8 == 0);
        judge(&mut guest, &LDMXCSR, &case, |_| {});
        judge(&mut guest, &STMXCSR, &case, |_| {});
    }
}

/// The exception that the machine raises with these control registers.
fn fault(set: u64, clear: u64, bytes: &[u8], case: &Case) -> Option<u8> {
    let mut guest = Guest::new();
    guest.cr0 |= set;
    guest.cr4 &= !clear;
    guest.run(bytes, case).unwrap().fault
}

#[test]
fn a_kernel_can_keep_the_registers_from_a_task() {
    let case = case(&mut Random(6));
    for bytes in [
        &FADD[..],
        &FNSTSW,
        &FWAIT,
        &ADDPS,
        &PADDB_MMX,
        &EMMS,
        &FXSAVE,
        &STMXCSR,
    ] {
        assert_eq!(fault(0, 0, bytes, &case), None, "{bytes:02x?}");
        assert_eq!(
            fault(cr0::TS, 0, bytes, &case),
            Some(vector::NM),
            "TS {bytes:02x?}"
        );
    }
    for bytes in [&ADDPS[..], &PADDB_MMX, &EMMS, &STMXCSR] {
        assert_eq!(
            fault(cr0::EM, 0, bytes, &case),
            Some(vector::UD),
            "EM {bytes:02x?}"
        );
    }
    for bytes in [&FADD[..], &FNSTSW, &FXSAVE] {
        assert_eq!(
            fault(cr0::EM, 0, bytes, &case),
            Some(vector::NM),
            "EM {bytes:02x?}"
        );
    }
    for bytes in [&ADDPS[..], &STMXCSR] {
        assert_eq!(
            fault(0, cr4::OSFXSR, bytes, &case),
            Some(vector::UD),
            "{bytes:02x?}"
        );
    }
}

#[test]
fn an_exception_waits_for_the_next_instruction_that_waits() {
    let mut case = case(&mut Random(7));
    // Division by zero, unmasked and not yet reported.
    (case.control, case.status) = (0x37b, 0x8084);
    for bytes in [&FADD[..], &FWAIT, &PADDB_MMX, &EMMS] {
        assert_eq!(fault(0, 0, bytes, &case), Some(vector::MF), "{bytes:02x?}");
    }
    for bytes in [&FNSTSW[..], &FXSAVE, &ADDPS] {
        assert_eq!(fault(0, 0, bytes, &case), None, "{bytes:02x?}");
    }
}

#[test]
fn an_unmasked_exception_of_sse_is_undefined_unless_the_kernel_handles_it() {
    let mut case = case(&mut Random(8));
    // A signalling NaN.
    case.xmm[0] = 0x7f80_0001;
    case.mxcsr = 0x1f00;
    assert_eq!(fault(0, 0, &ADDPS, &case), Some(vector::XM));
    assert_eq!(fault(0, cr4::OSXMMEXCPT, &ADDPS, &case), Some(vector::UD));
}
