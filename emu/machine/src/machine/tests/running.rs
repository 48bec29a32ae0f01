//! What a run does with time: sleep, timers, interrupts and inputs come at their boundaries, however
//! the run is cut.

use super::*;

#[test]
fn it_speaks_and_exits() {
    let mut machine = machine(|a| {
        say(a, b'h')?;
        say(a, b'i')?;
        exit(a, 0x2A)
    });
    let mut ear = Ear::default();
    assert_eq!(machine.run(10_000, &mut ear), Stop::Exit(0x2A));
    assert_eq!(ear.console(), "hi");
    assert_eq!(machine.retired(), 9);
    assert_eq!(ear.events[1].at.retired, 6, "right after its OUT");
    let digest = machine.digest();
    assert_eq!(
        machine.run(20_000, &mut ear),
        Stop::Exit(0x2A),
        "it stays stopped"
    );
    assert_eq!(machine.step(&mut ear), Some(Stop::Exit(0x2A)));
    assert_eq!(machine.digest(), digest);
}

#[test]
fn nothing_wakes_a_cpu_that_nobody_calls() {
    for deaf in [true, false] {
        let mut machine = machine(|a| {
            if deaf {
                start_timer(a, 100, true)?;
                a.cli()?;
            } else {
                a.sti()?;
            }
            a.hlt()
        });
        assert_eq!(
            machine.run(1 << 30, &mut Nobody),
            Stop::Idle,
            "deaf: {deaf}"
        );
        assert!(machine.cycle() < 10_000);
        assert_eq!(machine.step(&mut Nobody), Some(Stop::Idle));
    }
}

#[test]
fn hlt_skips_to_the_timer_and_not_beyond() {
    let mut machine = with_handler(machine(|a| {
        start_timer(a, 1_000_000, false)?;
        a.sti()?;
        a.hlt()?;
        exit(a, 7)
    }));
    assert_eq!(machine.run(5_000_000, &mut Nobody), Stop::Deadline);
    assert_eq!(machine.cycle(), 5_000_000);
    let slept = machine.retired();
    assert_eq!(machine.run(39_999_000, &mut Nobody), Stop::Deadline);
    assert_eq!(machine.retired(), slept);
    assert_eq!(machine.run(50_000_000, &mut Nobody), Stop::Exit(7));
    assert_eq!(machine.cpu().gpr[5], 1, "one interrupt");
    let late = machine.cycle() - 40_000_000;
    assert!(late < 2_000, "woken {late} cycles late");
}

/// Who wants to be told of sleep is, and what he does in it is what he would
/// have done by running on.
#[test]
fn a_cpu_that_falls_asleep_says_so_and_when_it_wakes() {
    let asleep = || {
        with_handler(machine(|a| {
            start_timer(a, 1_000_000, false)?;
            a.sti()?;
            a.hlt()?;
            exit(a, 7)
        }))
    };
    let mut told = asleep();
    assert_eq!(told.wakes_at(), None, "awake");
    assert_eq!(told.run_awake(50_000_000, &mut Nobody), None);
    let fell_asleep = told.cycle();
    assert!(fell_asleep < 10_000, "{fell_asleep}");
    let wakes = told.wakes_at().unwrap();
    told.sleep(5_000_000);
    assert_eq!((told.cycle(), told.wakes_at()), (5_000_000, Some(wakes)));
    told.sleep(u64::MAX);
    assert_eq!(told.cycle(), wakes);
    let stop = told.run_awake(50_000_000, &mut Nobody);
    assert_eq!(stop, Some(Stop::Exit(7)));
    let mut through = asleep();
    assert_eq!(through.run(50_000_000, &mut Nobody), Stop::Exit(7));
    assert_eq!(told.digest(), through.digest());
}

#[test]
fn an_interrupt_comes_at_the_first_boundary_at_its_time() {
    let spin = || {
        with_handler(machine(|a| {
            a.mov(rbx, APIC)?;
            a.mov(dword_ptr(rbx + 0xF0), 0x1FF)?;
            a.sti()?;
            a.xor(ecx, ecx)?;
            let mut again = a.create_label();
            a.set_label(&mut again)?;
            a.inc(rcx)?;
            a.jmp(again)
        }))
    };
    let mut free = spin();
    assert_eq!(free.run(3_000, &mut Nobody), Stop::Deadline);
    let base = free.position();
    for delay in 0..6 {
        let mut machine = spin();
        let at = base.cycle + delay;
        machine.push_input(at, Input::Interrupt(0x40)).unwrap();
        let mut ear = Ear::default();
        while machine.cpu.gpr[5] == 0 {
            assert_eq!(machine.step(&mut ear), None);
        }
        let taken = ear.events[0].at;
        assert_eq!(
            taken.cycle, at,
            "one cycle for each instruction of the loop"
        );
        assert_eq!(taken.retired, base.retired + delay);
        assert_eq!(
            machine.retired(),
            taken.retired + 1,
            "the handler's INC comes next"
        );
    }
}

/// The performance counter is set N events before its overflow: its interrupt
/// comes at the boundary after the N-th instruction, whatever that costs.
#[test]
fn the_counter_interrupts_after_exactly_n_instructions() {
    for n in [1, 2, 7, 50] {
        let mut machine = with_handler(machine(|a| {
            a.mov(rbx, APIC)?;
            a.mov(dword_ptr(rbx + 0xF0), 0x1FF)?;
            a.mov(dword_ptr(rbx + 0x340), 0x40)?;
            a.sti()?;
            for (register, value) in [(0xC1, -n), (0x186, 0x52_00C0), (0x38F, 1)] {
                a.mov(ecx, register)?;
                a.mov(eax, value)?;
                a.xor(edx, edx)?;
                a.wrmsr()?;
            }
            a.xor(ecx, ecx)?;
            let mut again = a.create_label();
            a.set_label(&mut again)?;
            a.imul_2(rcx, rcx)?;
            a.mov(rax, qword_ptr(0x30_0000))?;
            a.jmp(again)
        }));
        while machine.cpu.gpr[1] != 0x38F {
            assert_eq!(machine.step(&mut Nobody), None);
        }
        // Two instructions further on, the WRMSR starts the counter, which counts it.
        let armed = machine.retired() + 2;
        while machine.cpu.rip != HANDLER {
            assert_eq!(machine.step(&mut Nobody), None);
        }
        assert_eq!(machine.retired() - armed, n as u64);
    }
}

/// What is written over code counts from the next instruction on, even if that
/// is the one that is executing right now.
#[test]
fn overwritten_code_is_seen_at_once() {
    let mut machine = machine(|a| {
        let mut patched = a.create_label();
        let mut done = a.create_label();
        a.xor(ebp, ebp)?;
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        a.lea(rdi, byte_ptr(patched))?;
        a.set_label(&mut patched)?;
        a.mov(ecx, 1)?;
        a.inc(ebp)?;
        a.cmp(ebp, 3)?;
        a.je(done)?;
        // The immediate of the MOV ECX above.
        a.inc(dword_ptr(rdi + 1))?;
        a.jmp(again)?;
        a.set_label(&mut done)?;
        exit(a, 0)
    });
    assert_eq!(machine.run(100_000, &mut Nobody), Stop::Exit(0));
    assert_eq!(
        machine.cpu.gpr[1], 3,
        "incremented twice, executed three times"
    );
}

#[test]
fn inputs_of_the_past_and_vectors_that_do_not_exist_are_refused() {
    let mut machine = busy();
    machine.run(1_000, &mut Nobody);
    let now = machine.cycle();
    let past = InputError::Past { at: now - 1, now };
    assert_eq!(machine.push_input(now - 1, Input::Console(1)), Err(past));
    assert_eq!(machine.push_input(now, Input::Console(1)), Ok(()));
    let refused = Err(InputError::Vector(15));
    assert_eq!(machine.push_input(now, Input::Interrupt(15)), refused);
}

#[test]
fn inputs_come_in_the_order_of_their_times() {
    let mut machine = busy();
    for (at, byte) in [(3_000, b'c'), (2_000, b'a'), (3_000, b'd'), (2_500, b'b')] {
        machine.push_input(at, Input::Console(byte)).unwrap();
    }
    let mut ear = Ear::default();
    machine.run(10_000, &mut ear);
    let input = |event: &Event| match event.payload {
        Payload::Input(Input::Console(byte)) => Some((byte, event.at.cycle)),
        _ => None,
    };
    let got: Vec<_> = ear.events.iter().filter_map(input).collect();
    let bytes: Vec<u8> = got.iter().map(|(byte, _)| *byte).collect();
    assert_eq!(bytes, b"abcd");
    assert!((3_000..3_200).contains(&got[3].1), "{}", got[3].1);
}

/// Where a run is cut must not be seen: not by its caller's deadlines, not by
/// single steps, not by saving and restoring on the way.
#[test]
fn a_run_is_the_same_however_it_is_cut() {
    let end = 60_000;
    let mut whole = busy();
    whole.run(end, &mut Nobody);
    let want = (whole.position(), whole.digest());
    assert!(whole.cpu.gpr[5] > 10, "the timer has interrupted");
    for stride in [1, 7, 100, 1_009] {
        let mut cut = busy();
        while cut.cycle() < end {
            cut.run((cut.cycle() + stride).min(end), &mut Nobody);
        }
        assert_eq!((cut.position(), cut.digest()), want, "stride {stride}");
    }
    let mut stepped = busy();
    while stepped.cycle() < end {
        stepped.step(&mut Nobody);
    }
    assert_eq!((stepped.position(), stepped.digest()), want, "stepped");
    let mut forgetful = busy();
    while forgetful.cycle() < 5_000 {
        forgetful.step(&mut Nobody);
        // A copy has decoded nothing and remembers no way through the tables.
        forgetful = Machine::restore(&forgetful.save()).unwrap();
    }
    forgetful.run(end, &mut Nobody);
    assert_eq!(
        (forgetful.position(), forgetful.digest()),
        want,
        "forgetful"
    );
    let mut saved = busy();
    while saved.cycle() < end {
        saved.run((saved.cycle() + 5_003).min(end), &mut Nobody);
        saved = Machine::restore(&saved.save()).unwrap();
    }
    assert_eq!(
        (saved.position(), saved.digest()),
        want,
        "saved and restored"
    );
}

#[test]
fn a_triple_fault_stops_it() {
    let mut machine = machine(|a| a.ud2());
    machine.cpu.idtr.limit = 0;
    let stop = machine.run(10_000, &mut Nobody);
    assert!(
        matches!(stop, Stop::TripleFault { rip: CODE, .. }),
        "{stop:?}"
    );
    assert_eq!(machine.run(20_000, &mut Nobody), stop);
}

#[test]
fn looking_at_memory_changes_nothing() {
    let mut machine = busy();
    machine.run(5_000, &mut Nobody);
    let before = machine.digest();
    let mut buf = vec![0; 8192];
    machine.read_virtual(CODE, &mut buf).unwrap();
    assert_ne!(buf, vec![0; 8192]);
    assert_eq!(
        machine.read_virtual((16 << 20) - 4096, &mut buf),
        Err(Unmapped(16 << 20))
    );
    assert_eq!(machine.digest(), before);
}
