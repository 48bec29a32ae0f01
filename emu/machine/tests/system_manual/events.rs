//! Debug exceptions and non-maskable interrupts.

use super::*;

/// Volume 3B, 18.2.5: a data breakpoint is met by an access to any of its bytes; its range is
/// aligned to its length.
#[test]
fn a_data_breakpoint_is_met_by_any_byte_of_it() {
    for (len, code) in [(1, 0), (2, 1), (4, 3), (8, 2)] {
        for distance in -9_i64..=9 {
            let mut bench = Bench::new(0);
            let at = PAGE + 0x100;
            bench.cpu.dr[3] = at;
            bench.cpu.dr[7] = 0x400 | 1 << 6 | 3 << 28 | code << 30;
            let start = at.wrapping_add_signed(distance);
            let result = bench.run(&|a| {
                a.mov(eax, dword_ptr(start))?;
                a.nop()
            });
            let met = -4 < distance && distance < len;
            assert_eq!(result.is_err(), met, "{len} bytes, {distance}");
            assert_eq!(bench.cpu.dr[6] & 8 != 0, met, "{len} bytes, {distance}");
        }
    }
}

/// 6.7.1: an NMI's handler runs with NMIs blocked until the next IRET; 6.8.3: MOV to SS holds an
/// NMI back for one instruction.
#[test]
fn an_nmi_waits_for_iret_and_for_the_stack() {
    let mut bench = Bench::new(0);
    let send = |bench: &mut Bench| bench.bus.write(PhysAddr(0xFEE0_0300), 4, 0x400, 0);
    send(&mut bench);
    assert_eq!(bench.run(&|a| a.nop()), Err(2));
    send(&mut bench);
    assert_eq!(bench.run(&|a| a.nop()), Ok(()), "blocked");
    // IRET goes to the instruction behind it, which the waiting NMI comes before.
    let back = |a: &mut CodeAssembler| {
        for word in [0, STACK as i32, flag::FIXED as i32, 0x10] {
            a.push(word)?;
        }
        a.mov(rax, CODE + 0x20)?;
        a.push(rax)?;
        a.iretq()?;
        a.nops_with_size(16)
    };
    assert_eq!(bench.run(&back), Err(2));
    assert!(bench.cpu.nmi_blocked);
    bench.cpu.nmi_blocked = false;
    let mut asm = CodeAssembler::new(64).unwrap();
    asm.mov(ss, eax).unwrap();
    asm.inc(ecx).unwrap();
    asm.inc(ecx).unwrap();
    let bytes = asm.assemble(CODE).unwrap();
    assert!(bench.bus.ram.load(PhysAddr(CODE), &bytes));
    (bench.cpu.rip, bench.cpu.gpr[0], bench.cpu.gpr[1]) = (CODE, 0, 0);
    bench.step();
    send(&mut bench);
    bench.step();
    assert_eq!(bench.cpu.gpr[1], 1, "one instruction first");
    bench.step();
    assert_eq!((bench.cpu.rip, bench.cpu.gpr[1]), (HANDLERS + 32, 1));
}
