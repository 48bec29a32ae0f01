//! One instruction, or a few, on the host's own CPU.

use machine::cpu::fp::F80;

/// Runs SSE code with `xmm0 = a`, `xmm1 = b`: xmm0 and the exceptions' flags after it.
macro_rules! host_sse {
    ($text:expr, $a:expr, $b:expr, $mxcsr:expr) => {{
        let (mut a, b): (u64, u64) = ($a, $b);
        let saved: u32 = 0x1f80;
        let mut control: u32 = $mxcsr;
        // SAFETY: only the named registers change, and MXCSR is put back.
        unsafe {
            ::std::arch::asm!(
                "ldmxcsr [{control}]",
                "movq xmm0, {a}",
                "movq xmm1, {b}",
                $text,
                "stmxcsr [{control}]",
                "movq {a}, xmm0",
                "ldmxcsr [{saved}]",
                control = in(reg) &mut control,
                saved = in(reg) &saved,
                a = inout(reg) a,
                b = in(reg) b,
                out("rax") _,
                out("xmm0") _,
                out("xmm1") _,
            );
        }
        (a, ::machine::cpu::fp::Flags::from_bits_truncate(control as u8 & 0x3f))
    }};
}

/// The same with three operands.
macro_rules! host_fma {
    ($text:expr, $operands:expr, $mxcsr:expr) => {{
        let [mut a, b, c]: [u64; 3] = $operands;
        let saved: u32 = 0x1f80;
        let mut control: u32 = $mxcsr;
        // SAFETY: only the named registers change, and MXCSR is put back.
        unsafe {
            ::std::arch::asm!(
                "ldmxcsr [{control}]",
                "movq xmm0, {a}",
                "movq xmm1, {b}",
                "movq xmm2, {c}",
                $text,
                "stmxcsr [{control}]",
                "movq {a}, xmm0",
                "ldmxcsr [{saved}]",
                control = in(reg) &mut control,
                saved = in(reg) &saved,
                a = inout(reg) a,
                b = in(reg) b,
                c = in(reg) c,
                out("xmm0") _,
                out("xmm1") _,
                out("xmm2") _,
            );
        }
        (a, ::machine::cpu::fp::Flags::from_bits_truncate(control as u8 & 0x3f))
    }};
}

/// Runs x87 code on the host with `st(0) = a`, `st(1) = b`: st(0) and the status word after it.
macro_rules! host_x87 {
    ($text:expr, $a:expr, $b:expr, $fcw:expr) => {{
        let mut bytes = [[0u8; 16]; 2];
        for (bytes, value) in bytes.iter_mut().zip([$a, $b]) {
            bytes[..8].copy_from_slice(&value.sig.to_le_bytes());
            bytes[8..10].copy_from_slice(&value.se.to_le_bytes());
        }
        let fcw: u16 = $fcw;
        let status: u16;
        // SAFETY: the x87 is empty between statements of Rust code, and is left so.
        unsafe {
            ::std::arch::asm!(
                "fninit",
                "fldcw [{fcw}]",
                "fld tbyte ptr [{bytes} + 16]",
                "fld tbyte ptr [{bytes}]",
                $text,
                "fnstsw ax",
                "fnclex",
                "fstp tbyte ptr [{bytes}]",
                "fninit",
                fcw = in(reg) &fcw,
                bytes = in(reg) &mut bytes,
                out("ax") status,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
            );
        }
        ($crate::host::read_f80(&bytes[0]), status)
    }};
}

/// Ten bytes of memory.
pub fn read_f80(bytes: &[u8; 16]) -> F80 {
    F80 {
        sig: u64::from_le_bytes(bytes[..8].try_into().unwrap()),
        se: u16::from_le_bytes(bytes[8..10].try_into().unwrap()),
    }
}

/// Runs one x87 store of `a` on the host: what was stored, and the status word.
macro_rules! host_store {
    ($text:expr, $a:expr, $fcw:expr) => {{
        let mut bytes = [0u8; 16];
        bytes[..8].copy_from_slice(&$a.sig.to_le_bytes());
        bytes[8..10].copy_from_slice(&$a.se.to_le_bytes());
        let fcw: u16 = $fcw;
        let mut stored = [0u8; 16];
        let status: u16;
        // SAFETY: the x87 is empty between statements of Rust code, and is left so.
        unsafe {
            ::std::arch::asm!(
                "fninit",
                "fldcw [{fcw}]",
                "fld tbyte ptr [{bytes}]",
                $text,
                "fnstsw ax",
                "fninit",
                fcw = in(reg) &fcw,
                bytes = in(reg) &bytes,
                stored = in(reg) &mut stored,
                out("ax") status,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
            );
        }
        (stored, status)
    }};
}

/// Runs one x87 load: st(0) and the exceptions' flags.
macro_rules! host_load {
    ($text:expr, $bits:expr) => {{
        let bits: [u8; 16] = u128::from($bits).to_le_bytes();
        let mut stored = [0u8; 16];
        let status: u16;
        // SAFETY: the x87 is empty between statements of Rust code, and is left so.
        unsafe {
            ::std::arch::asm!(
                "fninit",
                $text,
                "fnstsw ax",
                "fstp tbyte ptr [{stored}]",
                "fninit",
                bits = in(reg) &bits,
                stored = in(reg) &mut stored,
                out("ax") status,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
            );
        }
        ($crate::host::read_f80(&stored), status & 0x3f)
    }};
}

pub(crate) use {host_fma, host_load, host_sse, host_store, host_x87};
