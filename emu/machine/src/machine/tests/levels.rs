//! What belongs to user instructions: their cycles, their count, and the alarm set on it.

use super::*;

/// Asks to be told when so many user instructions have retired.
struct Alarm {
    at: u64,
    rang: Vec<u64>,
}

impl Host for Alarm {
    fn event(&mut self, event: Event) {
        let wake = Payload::Input(Input::Interrupt(0x77));
        self.rang
            .extend((event.payload == wake).then_some(event.at.retired_user));
    }

    fn choose(&mut self, choice: &Choice) -> u32 {
        choice.default
    }

    fn alarm(&self) -> Option<u64> {
        Some(self.at)
    }

    fn reached(&mut self) -> Option<Input> {
        Some(Input::Interrupt(0x77))
    }
}

/// However the run is cut; what lies behind or beyond never rings.
#[test]
fn an_alarm_rings_once_right_after_its_user_instruction() {
    for at in 0..6 {
        let expected = if (1..5).contains(&at) {
            vec![at]
        } else {
            vec![]
        };
        for stride in [u64::MAX, 1, 3, 50] {
            let (mut m, mut alarm) = (machine_with_a_program(), Alarm { at, rang: vec![] });
            while m.run(m.cycle().saturating_add(stride), &mut alarm) == Stop::Deadline {}
            assert_eq!(alarm.rang, expected, "{at}, stride {stride}");
        }
        let (mut m, mut alarm) = (machine_with_a_program(), Alarm { at, rang: vec![] });
        while m.step(&mut alarm).is_none() {}
        assert_eq!(alarm.rang, expected, "{at}, stepped");
    }
}

/// A machine whose program at CPL 3 makes a fault, writes to memory, and then a system call that
/// ends the run. It is entered by SYSRET.
fn machine_with_a_program() -> Machine {
    const PROGRAM: u64 = CODE + 0x1000;
    const CALLED: u64 = CODE + 0x2000;
    const SKIP: u64 = CODE + 0x3000;
    const TSS: u64 = 0x30_2000;
    let mut m = machine(|a| {
        a.mov(rcx, PROGRAM)?;
        a.mov(r11d, 2)?;
        a.sysretq()
    });
    m.code_at(PROGRAM, |a| {
        a.mov(rbx, STACK + 0x1_0000)?;
        a.mov(qword_ptr(rbx), rax)?;
        a.ud2()?;
        a.add(rax, qword_ptr(rbx))?;
        a.syscall()
    });
    m.code_at(CALLED, |a| {
        a.mov(rbx, STACK + 0x20_0000)?;
        a.mov(rax, qword_ptr(rbx))?;
        exit(a, 0)
    });
    m.code_at(SKIP, |a| {
        a.add(qword_ptr(rsp), 2)?;
        a.iretq()
    });
    m.gate(6, SKIP);
    let ram = &mut m.bus.ram;
    let mut put = |at: u64, value: u64| assert!(ram.write(PhysAddr(at), 8, value));
    put(GDT + 24, 0x00CF_F300_0000_FFFF);
    put(GDT + 32, 0x00AF_FB00_0000_FFFF);
    put(TSS + 4, STACK);
    put(TABLES[0], TABLES[1] | 7);
    put(TABLES[1], TABLES[2] | 7);
    for n in 0..8 {
        put(TABLES[2] + n * 8, n << 21 | 0x87);
    }
    m.cpu.gdtr.limit = 39;
    m.cpu.tr.base = TSS;
    m.cpu.msr.efer |= efer::SCE;
    m.cpu.msr.star = 8 << 32 | 0x10 << 48;
    m.cpu.msr.lstar = CALLED;
    m
}

#[test]
fn cycles_belong_to_the_level_at_which_an_instruction_began() {
    let mut m = machine_with_a_program();
    let (mut user, mut since, mut stays, mut last) = (0, 0, 0, 0);
    loop {
        let (level, before) = (m.cpu.cpl(), m.cycle());
        stays += u32::from(level == 3 && last != 3);
        last = level;
        let stop = m.step(&mut Nobody);
        user += if level == 3 { m.cycle() - before } else { 0 };
        assert_eq!(m.position().user, user, "{m:?}");
        if (m.cpu.cpl() == 3) != (level == 3) {
            since = m.cycle();
        }
        assert_eq!(m.position().mode_since, since, "{m:?}");
        match stop {
            None => {}
            Some(stop) => break assert_eq!(stop, Stop::Exit(0)),
        }
    }
    assert_eq!((stays, m.position().retired_user), (2, 4));
    let at_the_end = m.position();
    assert!(at_the_end.user > 100 && at_the_end.user < at_the_end.cycle);
    let mut whole = machine_with_a_program();
    assert_eq!(whole.run(u64::MAX, &mut Nobody), Stop::Exit(0));
    assert_eq!(whole.position(), at_the_end);
}
