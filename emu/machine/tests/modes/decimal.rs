//! Decimal arithmetic and SALC, against the host's CPU in 32-bit code.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use iced_x86::code_asm::*;
use machine::cpu::state::flag;

use crate::pc::{CODE, Pc};

/// Linux's selectors of user code.
const CODE32: u64 = 0x23;

/// A page of memory that 32-bit code can reach: at 0 code of 64 bits, at 0x100 what it calls, at
/// 0x200 the far pointer to that, and a stack that ends with the page.
struct Host(u64);

impl Host {
    fn new() -> Host {
        let prot = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
        // SAFETY: an anonymous mapping below 2 GiB, wherever the kernel likes.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, prot, flags, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED, "the host has low memory");
        let host = Host(page as u64);
        let mut a = CodeAssembler::new(64).unwrap();
        // fn(ax, flags) -> ax | flags << 16
        a.push(rbx).unwrap();
        a.mov(rbx, rsp).unwrap();
        a.mov(eax, edi).unwrap();
        a.mov(esp, (host.0 + 4096) as i32).unwrap();
        a.push(rsi).unwrap();
        a.popfq().unwrap();
        // call far [0x200]
        a.db(&[0xFF, 0x1C, 0x25]).unwrap();
        a.dd(&[(host.0 + 0x200) as u32]).unwrap();
        a.pushfq().unwrap();
        a.pop(rdx).unwrap();
        a.mov(rsp, rbx).unwrap();
        a.pop(rbx).unwrap();
        a.movzx(eax, ax).unwrap();
        a.shl(edx, 16).unwrap();
        a.or(eax, edx).unwrap();
        a.ret().unwrap();
        host.write(0, &a.assemble(host.0).unwrap());
        host.write(0x200, &((host.0 + 0x100) | (CODE32 << 32)).to_le_bytes());
        host
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        assert!(at as usize + bytes.len() <= 0x400);
        // SAFETY: the first part of our page.
        unsafe { ((self.0 + at) as *mut u8).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// AX and the status flags after an instruction.
    fn run(&self, word: u64, flags: u64) -> (u64, u64) {
        // SAFETY: the code above, which keeps the registers that C functions keep.
        let run: extern "C" fn(u64, u64) -> u64 = unsafe { std::mem::transmute(self.0) };
        let both = run(word, flags);
        (both & 0xFFFF, both >> 16 & flag::STATUS)
    }
}

/// Which flags the manual promises.
fn defined(opcode: u8) -> u64 {
    match opcode {
        0x37 | 0x3F => flag::AF | flag::CF,
        0x27 | 0x2F => flag::STATUS & !flag::OF,
        0xD4 | 0xD5 => flag::SF | flag::ZF | flag::PF,
        _ => flag::STATUS,
    }
}

#[test]
fn digits_are_adjusted_as_on_the_host() {
    let (host, mut pc) = (Host::new(), Pc::protected());
    for instruction in [
        &[0x37][..],
        &[0x3F],
        &[0x27],
        &[0x2F],
        &[0xD6],
        &[0xD4, 10],
        &[0xD4, 3],
        &[0xD5, 10],
        &[0xD5, 0xFB],
    ] {
        host.write(0x100, &[instruction, &[0xCB]].concat());
        pc.program32(|a| a.db(instruction));
        let promised = defined(instruction[0]);
        for word in (0..0x100).flat_map(|low| [0, 0x300, 0xFF00].map(|high| high | low)) {
            for carries in 0..4 {
                let flags = flag::FIXED | (carries & 1) | (carries & 2) << 3;
                pc.cpu.rip = CODE;
                (pc.cpu.gpr[0], pc.cpu.rflags) = (word, flags);
                pc.step().unwrap();
                let got = (pc.cpu.gpr[0], pc.cpu.rflags & promised);
                let (want, status) = host.run(word, flags);
                assert_eq!(
                    got,
                    (want, status & promised),
                    "{instruction:x?} ax {word:#x} flags {flags:#x}"
                );
            }
        }
    }
}
