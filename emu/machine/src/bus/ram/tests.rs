use super::*;

#[test]
fn the_hole_is_not_ram() {
    let ram = Ram::new(4 << 30);
    assert!(ram.contains(PhysAddr(LOW_END - 1)));
    assert!(!ram.contains(PhysAddr(LOW_END)));
    assert!(!ram.contains(PhysAddr(HIGH_START - 1)));
    assert!(ram.contains(PhysAddr(HIGH_START)));
    assert!(ram.contains(PhysAddr((5 << 30) - 1)));
    assert!(!ram.contains(PhysAddr(5 << 30)));
    assert!(!ram.contains(PhysAddr(u64::MAX)));
}

#[test]
fn small_ram_ends_where_it_ends() {
    let ram = Ram::new(16 << 20);
    assert!(ram.contains(PhysAddr((16 << 20) - 1)));
    assert!(!ram.contains(PhysAddr(16 << 20)));
    assert!(!ram.contains(PhysAddr(HIGH_START)));
}

#[test]
fn what_is_written_is_read() {
    let mut ram = Ram::new(16 << 20);
    assert!(ram.write(PhysAddr(0x1FF8), 8, 0x1122_3344_5566_7788));
    assert_eq!(ram.read(PhysAddr(0x1FF8), 4), Some(0x5566_7788));
    assert_eq!(ram.read(PhysAddr(0x1FFE), 2), Some(0x1122));
    assert!(ram.write(PhysAddr(0x1FFF), 1, 0xABCD));
    assert_eq!(ram.read(PhysAddr(0x1FF8), 8), Some(0xCD22_3344_5566_7788));
    assert_eq!(ram.read(PhysAddr(0x2000), 8), Some(0));
}

#[test]
fn a_write_to_code_changes_the_generation_once() {
    let mut ram = Ram::new(16 << 20);
    let pa = PhysAddr(0x5000);
    let kept = ram.keep_code(pa);
    ram.write(PhysAddr(0x6000), 1, 1);
    assert_eq!(ram.generation(pa), kept);
    ram.write(PhysAddr(0x5FFF), 1, 1);
    let next = ram.generation(pa);
    assert_ne!(next, kept);
    ram.write(pa, 1, 1);
    assert_eq!(ram.generation(pa), next, "nobody keeps code there any more");
}

#[test]
fn zeroed_frames_are_no_contents() {
    let mut ram = Ram::new(16 << 20);
    ram.write(PhysAddr(0x3000), 8, 1);
    ram.write(PhysAddr(0x4000), 8, 1);
    ram.write(PhysAddr(0x3000), 8, 0);
    let frames: Vec<u64> = ram.contents().map(|(index, _)| index).collect();
    assert_eq!(frames, [4]);
}

/// What the hashes of the parts should be, from the contents alone.
fn fresh_hashes(ram: &Ram) -> Vec<(u64, u128)> {
    let contents: Vec<(u64, &Page)> = ram.contents().collect();
    let part = |index: u64| index / PART as u64;
    let parts = contents.chunk_by(|a, b| part(a.0) == part(b.0));
    let hashed = parts.map(|frames| {
        let within = |index: u64| index % PART as u64;
        let hashes = frames
            .iter()
            .map(|frame| (within(frame.0), kept::hash(frame.1)));
        (part(frames[0].0), kept::hash_of_hashes(hashes))
    });
    hashed.collect()
}

#[test]
fn hashes_that_are_kept_are_those_of_the_contents() {
    let mut ram = Ram::new(16 << 20);
    let mut check = |change: &dyn Fn(&mut Ram)| {
        change(&mut ram);
        assert_eq!(ram.hashes().collect::<Vec<_>>(), fresh_hashes(&ram));
        assert_eq!(ram.clone().hashes().collect::<Vec<_>>(), fresh_hashes(&ram));
        assert_eq!(ram.fork().hashes().collect::<Vec<_>>(), fresh_hashes(&ram));
    };
    check(&|_| ());
    check(&|ram| assert!(ram.write(PhysAddr(0x3008), 8, 1)));
    check(&|ram| assert!(ram.write(PhysAddr(0x4FFF), 1, 1)));
    check(&|ram| {
        ram.keep_code(PhysAddr(0x4000));
    });
    check(&|ram| assert!(ram.write(PhysAddr(0x4001), 2, 7)));
    check(&|ram| assert!(ram.write(PhysAddr(0x3008), 8, 0)));
    check(&|ram| assert!(ram.load(PhysAddr(0x3FFF), &[1, 2, 3])));
    check(&|ram| assert!(ram.put(3, &[5; 4096])));
    check(&|ram| assert!(ram.write(PhysAddr(0xFF_F000), 1, 1)));
    check(&|ram| {
        let before = ram.image();
        assert!(ram.write(PhysAddr(0x3008), 8, 9));
        assert!(ram.write(PhysAddr(0xFF_F000), 1, 0));
        assert_eq!(ram.hashes().collect::<Vec<_>>(), fresh_hashes(ram));
        ram.rewind(&before);
    });
}

#[test]
fn changes_are_what_is_different_in_order() {
    let mut ram = Ram::new(16 << 20);
    let mut since = FrameHashes::default();
    let numbers = |changes: Vec<(u64, &Page)>| -> Vec<u64> {
        changes.into_iter().map(|change| change.0).collect()
    };
    assert!(ram.changes(&mut since).is_empty());
    ram.write(PhysAddr(0x4_3000), 8, 1);
    ram.write(PhysAddr(0x3000), 8, 1);
    ram.write(PhysAddr(0x5000), 8, 0);
    assert_eq!(numbers(ram.changes(&mut since)), [3, 0x43]);
    assert!(ram.changes(&mut since).is_empty());
    ram.write(PhysAddr(0x3000), 8, 0);
    ram.write(PhysAddr(0x4_3000), 8, 2);
    ram.write(PhysAddr(0x4_4000), 8, 3);
    ram.write(PhysAddr(0x4_4000), 8, 0);
    let changes = ram.changes(&mut since);
    assert_eq!(changes[0], (3, &ZERO));
    assert_eq!(changes[1].1[0], 2);
    assert_eq!(numbers(changes), [3, 0x43]);
}

#[test]
fn where_a_page_lies_is_in_its_hash() {
    let hashes = |pa: u64| {
        let mut ram = Ram::new(16 << 20);
        ram.write(PhysAddr(pa), 8, 1);
        ram.hashes().collect::<Vec<_>>()
    };
    assert_ne!(hashes(0x3000)[0].1, hashes(0x4000)[0].1);
    assert_ne!(hashes(0x3000)[0].0, hashes(0x4_3000)[0].0);
}

#[test]
fn an_image_costs_what_was_changed() {
    let mut ram = Ram::new(16 << 20);
    for page in 0..100 {
        ram.write(PhysAddr(page << 12), 8, 1);
    }
    let first = ram.image();
    assert!(ram.changed.is_empty());
    ram.write(PhysAddr(0x3000), 8, 2);
    ram.write(PhysAddr(0x3008), 8, 2);
    ram.write(PhysAddr(0x20_0000), 8, 2);
    assert_eq!(ram.changed, [3, 0x200]);
    let second = ram.image();
    let mut different = Vec::new();
    first.differences(&second, |index, _| different.push(index));
    assert_eq!(different, [3, 0x200]);
    ram.rewind(&first);
    assert_eq!(ram.read(PhysAddr(0x3000), 8), Some(1));
    assert_eq!(ram.read(PhysAddr(0x20_0000), 8), Some(0));
    ram.rewind(&second);
    assert_eq!(ram.read(PhysAddr(0x3000), 8), Some(2));
}

#[test]
fn going_back_over_code_is_noticed() {
    let mut ram = Ram::new(16 << 20);
    let pa = PhysAddr(0x5000);
    ram.write(pa, 1, 1);
    let before = ram.image();
    ram.write(pa, 1, 2);
    let (generation, epoch) = (ram.keep_code(pa), ram.epoch());
    ram.rewind(&before);
    assert_ne!(ram.generation(pa), generation);
    assert_ne!(ram.epoch(), epoch);
    let kept = ram.keep_code(pa);
    ram.rewind(&before);
    assert_eq!(ram.generation(pa), kept, "nothing was written");
}
