//! When the run loop is told to look.

use super::*;

/// Accesses that programs make, and others: each port and register, a few values.
fn accesses() -> impl Iterator<Item = (bool, u64, u32)> {
    let ports = (0..0x700).map(|port| (true, port));
    let registers = [LOCAL_APIC, IO_APIC, DISK].into_iter();
    let registers = registers.flat_map(|base| (0..0x400).step_by(4).map(move |at| base + at));
    let places = ports.chain(registers.map(|at| (false, at)));
    places.flat_map(|(is_port, at)| {
        let values = [0, 0x34, 0x80, 0xB6, 0xFFFF_FFFF, 0x0002_0040, 3];
        values.into_iter().map(move |value| (is_port, at, value))
    })
}

#[test]
fn what_changes_the_next_deadline_or_wants_something_asks_for_attention() {
    let mut bus = Bus::new(16 << 20, 0);
    let (mut now, mut moved) = (1000, 0);
    for round in 0..4 {
        for (is_port, at, value) in accesses() {
            now += 977;
            bus.advance(now);
            let before = bus.deadline();
            let write = (u64::from(value) + at + round) % 3 != 0;
            match (is_port, write) {
                (true, true) => bus.port_out(at as u16, 1, value, now),
                (true, false) => drop(bus.port_in(at as u16, 1, value, now)),
                (false, true) => bus.write(PhysAddr(at), 4, u64::from(value), now),
                (false, false) => drop(bus.read(PhysAddr(at), 4, now)),
            }
            let changed = bus.deadline() != before;
            moved += u32::from(changed);
            let reason = changed || !bus.signals.is_empty();
            assert!(bus.attention() || !reason, "{at:#x} {value:#x} {write}");
            bus.take_signals();
        }
    }
    assert!(moved > 20, "{moved} accesses moved a deadline");
}

#[test]
fn a_register_that_keeps_no_time_asks_for_nothing() {
    let mut bus = Bus::new(16 << 20, 0);
    bus.port_out(0x3FF, 1, 5, 0);
    assert_eq!(bus.port_in(0x3FF, 1, 0, 0), 5);
    bus.write(PhysAddr(LOCAL_APIC + 0xB0), 4, 0, 0);
    assert!(!bus.attention());
    bus.port_out(0x3F8, 1, 65, 0);
    assert!(bus.attention());
}
