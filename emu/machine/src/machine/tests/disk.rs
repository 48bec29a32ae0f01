//! The disk at work beside the CPU.

use super::*;
use crate::Saved;

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

#[test]
fn a_sequence_of_snapshots_has_the_disk() {
    let mut machine = disk_machine();
    let mut saved = Saved::default();
    let mut snapshots = vec![machine.save_changes(&mut saved)];
    machine.run(u64::MAX, &mut Nobody);
    snapshots.push(machine.save_changes(&mut saved));
    // The same registers, and another disk: a page of zeros, and one that is new.
    let registers = machine.disk_state().unwrap();
    let disk = machine.restore_disk(&registers).unwrap();
    assert!(disk.put(1, &[9; 4096]));
    snapshots.push(machine.save_changes(&mut saved));
    for upto in 1..=3 {
        let slices = snapshots[..upto].iter().map(Vec::as_slice);
        let restored = Machine::restore_sequence(slices).unwrap();
        assert_eq!(
            restored.disk().unwrap().pages().count(),
            if upto == 3 { 1 } else { 2 }
        );
    }
    let slices = snapshots.iter().map(Vec::as_slice);
    let restored = Machine::restore_sequence(slices).unwrap();
    assert_eq!(restored.digest(), machine.digest());
    let [first, second, _] = [0, 1, 2].map(|n| snapshots[n].len());
    assert!(second + 4096 < first, "the disk is not saved again");
}
