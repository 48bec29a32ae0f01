//! Snapshots are exact, damage is noticed, and the digest covers everything.

use super::*;
use crate::Saved;

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

/// A machine that writes to memory and to its disk, and is saved on the way.
fn sequence(machine: &mut Machine, times: u64) -> Vec<Vec<u8>> {
    let mut saved = Saved::default();
    let each = (0..times).map(|n| {
        machine.run(machine.cycle() + 3_000, &mut Nobody);
        let page = 0x50_0000 + (n << 12);
        assert!(machine.ram_mut().load(PhysAddr(page), &[n as u8 + 1; 5000]));
        // Some pages are all zero again.
        assert!(machine.ram_mut().load(PhysAddr(page - 0x2000), &[0; 4096]));
        machine.save_changes(&mut saved)
    });
    each.collect()
}

#[test]
fn a_sequence_of_snapshots_is_each_of_its_machines() {
    let mut machine = full();
    let whole = machine.save().len();
    let snapshots = sequence(&mut machine, 5);
    assert!(snapshots[0].len() >= whole);
    for later in &snapshots[1..] {
        assert!(later.len() < whole / 2, "{} of {whole} bytes", later.len());
    }
    let slices = snapshots.iter().map(Vec::as_slice);
    let restored = Machine::restore_sequence(slices.clone()).unwrap();
    assert_eq!(restored.digest(), machine.digest());
    assert_eq!(restored.save(), machine.save());
    let mut again = full();
    sequence(&mut again, 3);
    let restored = Machine::restore_sequence(slices.take(3)).unwrap();
    assert_eq!(restored.save(), again.save());
    assert_eq!(
        sequence(&mut full(), 5),
        snapshots,
        "the same bytes each time"
    );
}

#[test]
fn a_sequence_with_a_gap_is_refused() {
    let snapshots = sequence(&mut full(), 3);
    let restore = |which: &[usize]| {
        let slices = which.iter().map(|which| snapshots[*which].as_slice());
        Machine::restore_sequence(slices).err()
    };
    assert_eq!(restore(&[0, 1, 2]), None);
    for broken in [&[1][..], &[0, 2], &[0, 1, 1], &[1, 0], &[0, 0]] {
        assert_eq!(restore(broken), Some(RestoreError::OutOfSequence));
    }
    assert_eq!(restore(&[]), Some(RestoreError::NotASnapshot));
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
