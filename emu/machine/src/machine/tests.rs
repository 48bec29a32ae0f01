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

mod booting;
mod calls;
mod disk;
mod levels;
mod pc;
mod running;
mod saving;

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
