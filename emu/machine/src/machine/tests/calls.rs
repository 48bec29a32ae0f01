//! What the kernel says and asks through its ports.

use super::*;

#[test]
fn the_kernel_asks_and_is_answered() {
    let ask = |answer| {
        let mut machine = machine(|a| {
            a.mov(edx, 0xC0E)?;
            for _ in 0..2 {
                a.mov(eax, ChoiceKind::WakeFirst as i32)?;
                a.mov(edi, 3)?;
                a.mov(esi, 1)?;
                a.mov(r8d, 0x60_0000)?;
                a.in_(eax, dx)?;
            }
            exit(a, 0)
        });
        for (i, task) in [11, 22, 33].into_iter().enumerate() {
            machine
                .bus
                .ram
                .write(PhysAddr(0x60_0000 + 4 * i as u64), 4, task);
        }
        let mut ear = Ear {
            answer,
            ..Ear::default()
        };
        for _ in 0..12 {
            assert_eq!(machine.step(&mut ear), None);
        }
        let Payload::Choice { choice, answer } = ear.events[1].payload.clone() else {
            panic!("{:?}", ear.events);
        };
        assert_eq!(choice.candidates, [11, 22, 33]);
        assert_eq!(
            (choice.kind, choice.n, choice.default),
            (ChoiceKind::WakeFirst, 3, 1)
        );
        assert_eq!(choice.index, 1, "the second one");
        assert_eq!(answer, machine.cpu.gpr[RAX] as u32);
        answer
    };
    assert_eq!(ask(0), 0);
    assert_eq!(ask(2), 2);
    assert_eq!(ask(3), 1, "an impossible answer is the default");
}

#[test]
fn tracepoints_carry_arguments_and_text() {
    let mut machine = machine(|a| {
        a.mov(edx, 0xC0E)?;
        a.mov(eax, EventId::TaskRename as i32)?;
        a.mov(edi, 5)?;
        a.mov(r9d, 0x60_0FFE)?;
        a.mov(r10d, 5)?;
        a.out(dx, eax)?;
        a.mov(r9, 0x7FFF_FFFF_F000_u64)?;
        a.out(dx, eax)?;
        a.mov(eax, 9999)?;
        a.out(dx, eax)?;
        exit(a, 0)
    });
    assert!(machine.bus.ram.load(PhysAddr(0x60_0FFE), b"hello"));
    let mut ear = Ear::default();
    assert_eq!(machine.run(10_000, &mut ear), Stop::Exit(0));
    let Payload::Kernel { id, args, text } = &ear.events[0].payload else {
        panic!("{:?}", ear.events[0]);
    };
    assert_eq!(
        (*id, args[0], text.as_slice()),
        (EventId::TaskRename, 5, &b"hello"[..])
    );
    assert!(matches!(&ear.events[1].payload, Payload::Kernel { text, .. } if text.is_empty()));
    assert_eq!(ear.events[2].payload, Payload::Unknown { id: 9999 });
}
