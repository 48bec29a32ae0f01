use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use iced_x86::code_asm::*;

use super::*;
use crate::addr::PhysAddr;
use crate::cpu::insn::Seg;
use crate::cpu::state::{Segment, cr0, cr4, efer};
use crate::devices::Devices;
use crate::event::Nobody;
use crate::snapshot::RestoreError;

mod pc;

/// Where the code of a test lies; it is mapped one to one.
const CODE: u64 = 0x20_0000;
/// The top of a test's stack.
const STACK: u64 = 0x50_0000;
const IDT: u64 = 0x30_0000;
const GDT: u64 = 0x30_1000;
/// Page tables of level 3, 2 and 1.
const TABLES: [u64; 3] = [0x40_0000, 0x40_1000, 0x40_2000];

/// Keeps what comes out, and answers choices with a number of its own.
#[derive(Default)]
struct Ear {
    events: Vec<Event>,
    answer: u32,
}

impl Host for Ear {
    fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    fn choose(&mut self, _choice: &Choice) -> u32 {
        self.answer
    }
}

impl Ear {
    fn console(&self) -> String {
        let byte = |event: &Event| match event.payload {
            Payload::Console(byte) => Some(char::from(byte)),
            _ => None,
        };
        self.events.iter().filter_map(byte).collect()
    }
}

fn config() -> Config {
    Config {
        memory: 16 << 20,
        ..Config::default()
    }
}

/// A machine in 64-bit mode at CPL 0 that is about to run this code. RAM is
/// mapped one to one by 2 MiB pages, the local APIC by a page of 1 GiB.
fn machine(write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Machine {
    let mut asm = CodeAssembler::new(64).unwrap();
    write(&mut asm).unwrap();
    let code = asm.assemble(CODE).unwrap();
    let mut machine = Machine {
        config: config(),
        cpu: Cpu::pvh(CODE as u32, 0),
        mmu: Mmu::default(),
        bus: Bus::new(16 << 20, 0),
        queue: VecDeque::new(),
        choices: [0; ChoiceKind::ALL.len()],
        stopped: None,
        engine: Slot::default(),
    };
    let ram = &mut machine.bus.ram;
    assert!(ram.load(PhysAddr(CODE), &code));
    let put = |ram: &mut Ram, at: u64, value: u64| assert!(ram.write(PhysAddr(at), 8, value));
    put(ram, TABLES[0], TABLES[1] | 3);
    put(ram, TABLES[1], TABLES[2] | 3);
    put(ram, TABLES[1] + 3 * 8, 3 << 30 | 0x83);
    for n in 0..8 {
        put(ram, TABLES[2] + n * 8, n << 21 | 0x83);
    }
    // Code segment 8: present, 64 bits, CPL 0.
    put(ram, GDT + 8, 0x00AF_9B00_0000_FFFF);
    put(ram, GDT + 16, 0x00CF_9300_0000_FFFF);
    let cpu = &mut machine.cpu;
    cpu.cr0 = cr0::PE | cr0::PG | cr0::WP | cr0::ET;
    cpu.cr3 = TABLES[0];
    cpu.cr4 = cr4::PAE;
    cpu.msr.efer = efer::LME | efer::LMA;
    cpu.seg[Seg::Cs as usize] = Segment::flat(8, 0xA09B);
    cpu.gdtr.base = GDT;
    cpu.gdtr.limit = 23;
    cpu.idtr.base = IDT;
    cpu.idtr.limit = 0xFFF;
    cpu.gpr[4] = STACK;
    machine
}

impl Machine {
    /// Puts code at this address.
    fn code_at(
        &mut self,
        at: u64,
        write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
    ) {
        let mut asm = CodeAssembler::new(64).unwrap();
        write(&mut asm).unwrap();
        assert!(self.bus.ram.load(PhysAddr(at), &asm.assemble(at).unwrap()));
    }

    /// Lets a vector enter at this address, with interrupts off.
    fn gate(&mut self, vector: u64, at: u64) {
        let low = at & 0xFFFF | 8 << 16 | 0x8E00 << 32 | (at >> 16 & 0xFFFF) << 48;
        assert!(self.bus.ram.write(PhysAddr(IDT + vector * 16), 8, low));
        assert!(
            self.bus
                .ram
                .write(PhysAddr(IDT + vector * 16 + 8), 8, at >> 32)
        );
    }
}

const APIC: u64 = 0xFEE0_0000;

/// Turns the APIC on and starts its timer: vector 0x40, divided by one.
fn start_timer(a: &mut CodeAssembler, ticks: i32, periodic: bool) -> Result<(), IcedError> {
    a.mov(rbx, APIC)?;
    a.mov(dword_ptr(rbx + 0xF0), 0x1FF)?;
    a.mov(dword_ptr(rbx + 0x3E0), 0xB)?;
    a.mov(
        dword_ptr(rbx + 0x320),
        0x40 | if periodic { 0x2_0000 } else { 0 },
    )?;
    a.mov(dword_ptr(rbx + 0x380), ticks)
}

/// Says a character on the serial port.
fn say(a: &mut CodeAssembler, character: u8) -> Result<(), IcedError> {
    a.mov(edx, 0x3F8)?;
    a.mov(eax, i32::from(character))?;
    a.out(dx, al)
}

/// Ends the run by the debug-exit port.
fn exit(a: &mut CodeAssembler, value: i32) -> Result<(), IcedError> {
    a.mov(edx, 0xF4)?;
    a.mov(eax, value)?;
    a.out(dx, eax)
}

/// A handler at a fixed place: counts in RBP, ends the interrupt, returns.
const HANDLER: u64 = CODE + 0x1000;

fn with_handler(mut machine: Machine) -> Machine {
    let mut a = CodeAssembler::new(64).unwrap();
    a.inc(rbp).unwrap();
    a.mov(dword_ptr(rbx + 0xB0), 0).unwrap();
    a.iretq().unwrap();
    let code = a.assemble(HANDLER).unwrap();
    assert!(machine.bus.ram.load(PhysAddr(HANDLER), &code));
    machine.gate(0x40, HANDLER);
    machine
}

/// A bit of everything: a periodic timer that interrupts string instructions,
/// stores and a serial port, for long enough.
fn busy() -> Machine {
    with_handler(machine(|a| {
        start_timer(a, 20, true)?;
        a.sti()?;
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        a.mov(edi, 0x60_0000)?;
        a.mov(esi, CODE as i32)?;
        a.mov(ecx, 5000)?;
        a.rep().movsb()?;
        a.add(qword_ptr(0x70_0000), 1)?;
        say(a, b'.')?;
        a.jmp(again)
    }))
}

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
fn a_pvh_kernel_starts_in_32_bits_with_its_start_info() {
    let mut a = CodeAssembler::new(32).unwrap();
    a.mov(edx, 0xF4).unwrap();
    a.mov(eax, dword_ptr(ebx)).unwrap();
    a.out(dx, eax).unwrap();
    let code = a.assemble(CODE).unwrap();
    let kernel = crate::loader::test_kernel(CODE, &code, CODE as u32);
    let images = Images {
        kernel: &kernel,
        initrd: None,
        cmdline: "",
        disk: None,
    };
    let mut machine = Machine::boot(&config(), &images).unwrap();
    assert_eq!(machine.run(10_000, &mut Nobody), Stop::Exit(0x336E_C578));
}

#[test]
fn impossible_machines_are_refused() {
    let images = Images {
        kernel: &[],
        initrd: None,
        cmdline: "",
        disk: None,
    };
    for memory in [0, 15 << 20, (16 << 20) + 4096, 17 << 30, u64::MAX] {
        let refused = Machine::boot(&Config { memory, ..config() }, &images).err();
        assert_eq!(refused, Some(LoadError::Memory(memory)));
    }
    for cpus in [0, 2] {
        let refused = Machine::boot(&Config { cpus, ..config() }, &images).err();
        assert_eq!(refused, Some(LoadError::Cpus(cpus)));
    }
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

/// A machine with something in every part of its state.
fn full() -> Machine {
    let mut machine = busy();
    machine.push_input(70_000, Input::Console(b'x')).unwrap();
    machine.push_input(80_000, Input::Interrupt(0x77)).unwrap();
    machine.run(61_234, &mut Nobody);
    machine
}

#[test]
fn saving_and_restoring_are_exact() {
    let machine = full();
    let bytes = machine.save();
    let restored = Machine::restore(&bytes).unwrap();
    assert_eq!(restored.save(), bytes);
    assert_eq!(restored.digest(), machine.digest());
    assert_eq!(machine.clone().digest(), machine.digest());
}

#[test]
fn damaged_snapshots_are_refused() {
    let bytes = full().save();
    assert_eq!(
        Machine::restore(b"no").err(),
        Some(RestoreError::NotASnapshot)
    );
    let mut newer = bytes.clone();
    newer[8] += 1;
    let refused = Machine::restore(&newer).err();
    let [known, found] = [bytes[8], newer[8]].map(u32::from);
    assert_eq!(refused, Some(RestoreError::Version { found, known }));
    for at in (16..bytes.len()).step_by(97) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert_eq!(
            Machine::restore(&damaged).err(),
            Some(RestoreError::Damaged),
            "{at}"
        );
        assert!(Machine::restore(&bytes[..at]).is_err(), "cut at {at}");
    }
}

/// Flips each bit of the serialised state. What can still be read is another
/// machine with another digest; only a longer spelling of the same number (the
/// format's integers have a variable length) may come back as the same machine.
#[test]
fn each_flipped_bit_of_the_state_changes_the_digest() {
    let machine = full();
    let (state, digest) = (machine.state(), machine.digest());
    let ram: Vec<_> = machine
        .ram()
        .contents()
        .map(|(i, page)| (i, *page))
        .collect();
    let mut changed = 0;
    for bit in 0..state.len() * 8 {
        let mut flipped = state.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Some(mut other) = Machine::from_state(&flipped) else {
            continue;
        };
        for (index, page) in &ram {
            assert!(other.ram_mut().put(*index, page));
        }
        if other.state() != state {
            assert_ne!(other.digest(), digest, "bit {bit}");
            changed += 1;
        }
    }
    assert!(
        changed > state.len() * 5,
        "{changed} flips of {} bytes",
        state.len()
    );
}

/// The same by name, so that nothing can be missing from the serialised form.
#[test]
fn flipped_registers_translations_devices_and_events_change_the_digest() {
    let machine = full();
    let digest = machine.digest();
    let differs = |what: &str, change: &dyn Fn(&mut Machine)| {
        let mut other = machine.clone();
        change(&mut other);
        assert_ne!(other.digest(), digest, "{what}");
    };
    for bit in 0..64 {
        for register in 0..16 {
            differs("gpr", &|m| m.cpu.gpr[register] ^= 1 << bit);
            differs("xmm", &|m| m.cpu.xmm[register] ^= 1 << (2 * bit));
        }
        differs("rip", &|m| m.cpu.rip ^= 1 << bit);
        differs("rflags", &|m| m.cpu.rflags ^= 1 << bit);
        differs("cr3", &|m| m.cpu.cr3 ^= 1 << bit);
        differs("cycle", &|m| m.cpu.cycle ^= 1 << bit);
        differs("retired", &|m| m.cpu.retired ^= 1 << bit);
        for kind in 0..ChoiceKind::ALL.len() {
            differs("choices", &|m| m.choices[kind] ^= 1 << bit);
        }
        differs("queued time", &|m| m.queue[1].at ^= 1 << bit);
        differs("seed", &|m| m.config.seed ^= 1 << bit);
    }
    for bit in 0..8 {
        differs("queued byte", &|m| {
            m.queue[0].input = Input::Console(b'x' ^ 1 << bit)
        });
    }
    differs("order of the queue", &|m| m.queue.swap(0, 1));
    differs("a translation", &|m| {
        m.mmu.invalidate(&mut m.bus, VirtAddr(CODE), 0)
    });
    differs("a requested interrupt", &|m| {
        m.bus.devices.apic.request(0x99, false)
    });
    differs("a byte in the UART", &|m| m.bus.devices.receive(1));
    differs("a stop", &|m| m.stopped = Some(Stop::Idle));
    differs("the clock's register", &|m| m.bus.devices.rtc.select(9));
}

#[test]
fn flipped_bits_of_memory_change_the_digest() {
    let mut machine = full();
    let digest = machine.digest();
    for at in (0..16 << 20).step_by(64 * 1021) {
        let pa = PhysAddr(at + at / 1021 % 8);
        let old = machine.ram().read(pa, 1).unwrap();
        machine.ram_mut().write(pa, 1, old ^ 1 << (at % 8));
        assert_ne!(machine.digest(), digest, "{pa:?}");
        machine.ram_mut().write(pa, 1, old);
        assert_eq!(
            machine.digest(),
            digest,
            "a zeroed page equals an absent one"
        );
    }
}

/// Gives a machine's disk a driver that wants one page read: the tables and
/// registers are written as the bus sees it.
fn with_disk_request(machine: &mut Machine) {
    let image: Vec<u8> = (0..2 * 4096_u32).map(|n| (n / 4096) as u8 + 1).collect();
    let contents = Contents::new(&image).unwrap();
    let bus = &mut machine.bus;
    bus.disk = Some(VirtioBlk::new(contents));
    let ram = &mut bus.ram;
    let word = |ram: &mut Ram, at: u64, value: u64| assert!(ram.write(PhysAddr(at), 8, value));
    // Descriptors: 16 bytes of header, a page, the status.
    word(ram, 0x60_0000, 0x61_0000);
    word(ram, 0x60_0008, 16 | 1 << 32 | 1 << 48);
    word(ram, 0x60_0010, 0x62_0000);
    word(ram, 0x60_0018, 4096 | 3 << 32 | 2 << 48);
    word(ram, 0x60_0020, 0x61_0100);
    word(ram, 0x60_0028, 1 | 2 << 32);
    // One available chain, at sector 8.
    word(ram, 0x60_1000, 1 << 16);
    word(ram, 0x61_0008, 8);
    for (register, value) in [
        (0x70, 3),
        (0x24, 1),
        (0x20, 1),
        (0x70, 11),
        (0x38, 4),
        (0x80, 0x60_0000),
        (0x90, 0x60_1000),
        (0xA0, 0x60_2000),
        (0x44, 1),
        (0x70, 15),
    ] {
        bus.write(PhysAddr(0xFEB0_0000 + register), 4, value, 0);
    }
    // The disk's line as vector 0x50, by an edge.
    for (select, value) in [(0x10 + 2 * 16, 0x50), (0x11 + 2 * 16, 0)] {
        bus.write(PhysAddr(0xFEC0_0000), 4, select, 0);
        bus.write(PhysAddr(0xFEC0_0010), 4, value, 0);
    }
}

/// Rings the disk's bell, halts until it interrupts, and stops with what the
/// first byte of the page is then.
fn disk_machine() -> Machine {
    const HANDLER: u64 = 0x20_1000;
    let mut machine = machine(|a| {
        a.mov(rbx, APIC)?;
        a.mov(dword_ptr(rbx + 0xF0), 0x1FF)?;
        a.mov(rcx, 0xFEB0_0000_u64)?;
        a.mov(dword_ptr(rcx + 0x50), 0)?;
        a.sti()?;
        a.hlt()?;
        a.ud2()
    });
    let mut handler = CodeAssembler::new(64).unwrap();
    handler.mov(eax, dword_ptr(0x62_0000)).unwrap();
    handler.mov(edx, i32::from(abi::exit::PORT)).unwrap();
    handler.out(dx, eax).unwrap();
    let code = handler.assemble(HANDLER).unwrap();
    assert!(machine.bus.ram.load(PhysAddr(HANDLER), &code));
    machine.gate(0x50, HANDLER);
    with_disk_request(&mut machine);
    machine
}

#[test]
fn a_halted_cpu_is_woken_by_the_disk() {
    let mut machine = disk_machine();
    assert_eq!(machine.run(u64::MAX, &mut Nobody), Stop::Exit(0x0202_0202));
    let least = crate::devices::virtio_blk::LATENCY + 4096;
    assert!(machine.cycle() >= least && machine.cycle() < least + 10_000);
}

#[test]
fn a_disk_at_work_survives_saving_at_every_boundary() {
    let mut machine = disk_machine();
    let mut whole = machine.clone();
    assert_eq!(whole.run(u64::MAX, &mut Nobody), Stop::Exit(0x0202_0202));
    while machine.step(&mut Nobody).is_none() {
        let copy = Machine::restore(&machine.save()).unwrap();
        assert_eq!(copy.digest(), machine.digest());
        assert_eq!(copy.disk(), machine.disk());
        machine = copy;
    }
    assert_eq!(machine.digest(), whole.digest());
}

#[test]
fn what_is_on_the_disk_is_in_the_digest() {
    let with = |bytes: &[u8]| {
        let mut machine = machine(|a| a.hlt());
        machine.bus.disk = Some(VirtioBlk::new(Contents::new(bytes).unwrap()));
        machine.digest()
    };
    let none = machine(|a| a.hlt()).digest();
    assert_ne!(with(&[0; 4096]), none);
    assert_ne!(with(&[0; 4096]), with(&[0; 8192]));
    assert_ne!(with(&[1; 4096]), with(&[0; 4096]));
}

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
