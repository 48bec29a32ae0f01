//! What control registers and memory-type registers refuse.

use super::*;

/// Volume 2B, MOV to control registers: #GP(0) for reserved bits of CR4 and CR3, for clearing
/// CR4.PAE in IA-32e mode, for PG without PE, for NW without CD, for CR0[63:32], for clearing PG in
/// 64-bit mode, and for more than 15 in CR8.
#[test]
fn control_registers_refuse_contradictions() {
    let load = |number: u8, value: u64| {
        let mut bench = Bench::new(0);
        let old = (bench.cpu.cr0, bench.cpu.cr3, bench.cpu.cr4);
        let result = bench.run(&|a| {
            a.mov(rax, value)?;
            match number {
                0 => a.mov(cr0, rax),
                3 => a.mov(cr3, rax),
                4 => a.mov(cr4, rax),
                _ => a.mov(cr8, rax),
            }
        });
        let same = old == (bench.cpu.cr0, bench.cpu.cr3, bench.cpu.cr4);
        assert!(
            result.is_ok() || same,
            "cr{number} {value:#x} changed something"
        );
        result
    };
    let (pae, plain) = (cr4::PAE | cr4::OSFXSR, 0x8001_0031);
    for bit in [12, 13, 14, 15, 19, 22, 23, 24, 25, 31, 32, 63] {
        assert_eq!(load(4, pae | 1 << bit), Err(13), "CR4 bit {bit}");
    }
    assert_eq!(load(4, pae), Ok(()));
    assert_eq!(load(4, cr4::OSFXSR), Err(13));
    for bad in [plain ^ 1, plain | 1 << 29, plain | 1 << 32, plain ^ 1 << 31] {
        assert_eq!(load(0, bad), Err(13), "CR0 {bad:#x}");
    }
    assert_eq!(load(0, plain | 3 << 29), Ok(()));
    for bit in [40, 51, 52, 62, 63] {
        assert_eq!(load(3, TABLES[0] | 1 << bit), Err(13), "CR3 bit {bit}");
    }
    assert_eq!(load(8, 15), Ok(()));
    assert_eq!(load(8, 16), Err(13));
}

/// 12.11: the registers are there (IA32_MTRRCAP: eight variable ranges, fixed ranges, write
/// combining) and refuse types that do not exist and reserved bits with #GP.
#[test]
fn memory_types_are_kept_and_checked() {
    let mut bench = Bench::new(0);
    let write = |register: u32, value: u64| {
        move |a: &mut CodeAssembler| {
            a.mov(ecx, register)?;
            a.mov(eax, value as u32)?;
            a.mov(edx, (value >> 32) as u32)?;
            a.wrmsr()?;
            a.xor(eax, eax)?;
            a.rdmsr()
        }
    };
    let good: [(u32, u64); 7] = [
        (0x200, 0x12_3450_0006),
        (0x201, 0xFF_FFF0_0800),
        (0x20F, 0x800),
        (0x250, 0x0606_0606_0504_0100),
        (0x26F, 0x0505_0505_0505_0505),
        (0x2FF, 0xC06),
        (0x277, 0x0007_0106_0007_0406),
    ];
    for (register, value) in good {
        assert_eq!(bench.run(&write(register, value)), Ok(()), "{register:#x}");
        let read = bench.cpu.gpr[2] << 32 | bench.cpu.gpr[0];
        assert_eq!(read, value, "{register:#x}");
    }
    let bad: [(u32, u64); 10] = [
        (0xFE, 0x508),
        (0x200, 2),
        (0x200, 0x106),
        (0x200, 1 << 40),
        (0x201, 0x400),
        (0x210, 0),
        (0x250, 3 << 56),
        (0x2FF, 0x1000),
        (0x2FF, 7),
        (0x277, 2),
    ];
    for (register, value) in bad {
        assert_eq!(bench.run(&write(register, value)), Err(13), "{register:#x}");
    }
    bench
        .run(&|a| {
            a.mov(ecx, 0xFE)?;
            a.rdmsr()
        })
        .unwrap();
    assert_eq!(bench.cpu.gpr[RAX], 0x508);
}
