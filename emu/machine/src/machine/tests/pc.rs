//! What an ordinary PC has beside its APICs interrupts the CPU.

use super::*;

/// Vector of the 8259s' line 0.
const TICK: u64 = 0x20;

/// Writes a byte to a port below 256.
fn put(a: &mut CodeAssembler, port: i32, value: i32) -> Result<(), IcedError> {
    a.mov(eax, value)?;
    a.out(port, al)
}

/// The 8259s at vectors 0x20 and 0x28 with this mask of the master's lines, and
/// channel 0 of the timer once after 1000 ticks; then HLT and exit.
fn ticks_once(mask: i32) -> Machine {
    let mut machine = machine(|a| {
        for (port, word) in [
            (0x20, 0x11),
            (0x21, 0x20),
            (0x21, 4),
            (0x21, 1),
            (0x21, mask),
        ] {
            put(a, port, word)?;
        }
        for (port, value) in [(0x43, 0x30), (0x40, 1000 & 0xFF), (0x40, 1000 >> 8)] {
            put(a, port, value)?;
        }
        a.sti()?;
        a.hlt()?;
        exit(a, 7)
    });
    machine.code_at(HANDLER, |a| {
        a.inc(rbp)?;
        put(a, 0x20, 0x20)?;
        a.iretq()
    });
    machine.gate(TICK, HANDLER);
    machine
}

#[test]
fn the_old_timer_wakes_through_the_8259s() {
    let mut machine = ticks_once(0xFE);
    assert_eq!(machine.run(10_000_000, &mut Nobody), Stop::Exit(7));
    assert_eq!(machine.cpu.gpr[5], 1);
    // 1000 ticks are 838,096 cycles.
    assert!((838_096..842_000).contains(&machine.cycle()), "{machine:?}");
}

#[test]
fn a_masked_timer_wakes_nobody() {
    let mut machine = ticks_once(0xFF);
    assert_eq!(machine.run(10_000_000, &mut Nobody), Stop::Idle);
    assert!(machine.cycle() < 10_000);
}

#[test]
fn a_local_apic_that_masks_lint0_keeps_the_8259s_out() {
    let mut machine = ticks_once(0xFE);
    machine.bus.devices.write_apic(0x350, 0x1_0700, 0);
    assert_eq!(machine.run(10_000_000, &mut Nobody), Stop::Idle);
}

#[test]
fn no_priority_holds_an_interrupt_of_the_8259s_back() {
    let mut machine = ticks_once(0xFE);
    machine.bus.devices.write_apic(0x80, 0xFF, 0);
    assert_eq!(machine.run(10_000_000, &mut Nobody), Stop::Exit(7));
}

#[test]
fn the_guest_can_reset_and_switch_off() {
    let mut reset = machine(|a| put(a, 0x64, 0xFE));
    assert_eq!(reset.run(10_000, &mut Nobody), Stop::Reset);
    let mut off = machine(|a| {
        a.mov(edx, 0x604)?;
        a.mov(eax, 0x2000)?;
        a.out(dx, ax)
    });
    assert_eq!(off.run(10_000, &mut Nobody), Stop::PowerOff);
}

#[test]
fn each_device_is_in_the_digest() {
    let machine = ticks_once(0xFE);
    let digest = machine.digest();
    let changes: [&dyn Fn(&mut Devices); 6] = [
        &|d| d.write_pic(0, 1, 0xFE),
        &|d| d.write_elcr(0, 0x20),
        &|d| d.write_pit(3, 0x34, 0),
        &|d| d.write_system_control(1, 0),
        &|d| _ = d.power.write(2, 1),
        &|d| _ = d.keyboard.command(0x20),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut other = machine.clone();
        change(&mut other.bus.devices);
        assert_ne!(other.digest(), digest, "change {index}");
    }
}
