//! The table through which execution finds its way from region to region:
//! compiled code looks into it by itself where it leaves.

use std::mem::offset_of;

use machine::cpu::Cx;

use crate::region::abilities;

/// Binary logarithm of the number of places.
pub(crate) const PLACE_BITS: u32 = 13;
const PLACES: usize = 1 << PLACE_BITS;

/// An entry of a region, found before.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Place {
    rip: u64,
    /// See [`tag`]: under which it was found valid and fit. Zero is no tag.
    tag: u64,
    /// Address of the region's code.
    code: u64,
    pub(crate) entry: u32,
    pub(crate) region: u32,
}

/// Where compiled code finds the parts of a place.
pub(crate) mod offsets {
    use super::{Place, offset_of};

    pub(crate) const RIP: i32 = offset_of!(Place, rip) as i32;
    pub(crate) const TAG: i32 = offset_of!(Place, tag) as i32;
    pub(crate) const CODE: i32 = offset_of!(Place, code) as i32;
    pub(crate) const ENTRY: i32 = offset_of!(Place, entry) as i32;
    /// Binary logarithm of a place's size.
    pub(crate) const SIZE_BITS: u32 = size_of::<Place>().trailing_zeros();

    const _: () = assert!(size_of::<Place>().is_power_of_two());
}

/// All that a place depends on besides its address: the epoch, the rights, and
/// what the CPU is ready for.
pub(crate) fn tag(epoch: u64, cx: &Cx<'_>) -> u64 {
    1 << 63 | epoch << 3 | abilities(cx.cpu) << 1 | u64::from(cx.is_user())
}

/// The places, each for some addresses.
#[derive(Debug)]
pub(crate) struct Places(Box<[Place]>);

impl Places {
    pub(crate) fn new() -> Places {
        Places(vec![Place::default(); PLACES].into())
    }

    pub(crate) fn clear(&mut self) {
        self.0.fill(Place::default());
    }

    /// Forgets all entries of a region.
    pub(crate) fn forget(&mut self, region: u32) {
        let here = self.0.iter_mut().filter(|place| place.region == region);
        here.for_each(|place| *place = Place::default());
    }

    /// Its address, for compiled code.
    pub(crate) fn address(&self) -> u64 {
        self.0.as_ptr().expose_provenance() as u64
    }

    /// Where compiled code looks as well: see `chain` in `emit`.
    fn at(rip: u64) -> usize {
        (rip ^ rip >> PLACE_BITS) as usize % PLACES
    }

    /// The entry at this address, if it is known to be valid under this tag.
    pub(crate) fn find(&self, rip: u64, tag: u64) -> Option<Place> {
        let place = self.0[Places::at(rip)];
        (place.rip == rip && place.tag == tag).then_some(place)
    }

    /// Notes an entry of a region whose code begins there.
    pub(crate) fn note(&mut self, rip: u64, tag: u64, code: u64, region: u32, entry: u32) {
        self.0[Places::at(rip)] = Place {
            rip,
            tag,
            code,
            entry,
            region,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_under_its_tag_until_it_is_forgotten() {
        let mut places = Places::new();
        places.note(0x1000, 7, 0xABC0, 1, 2);
        let found = |places: &Places, rip, tag| {
            let place = places.find(rip, tag);
            place.map(|place| (place.region, place.entry))
        };
        assert_eq!(found(&places, 0x1000, 7), Some((1, 2)));
        assert_eq!(found(&places, 0x1000, 8), None, "another epoch");
        assert_eq!(found(&places, 0x1001, 7), None, "another address");
        let other = (1 << PLACE_BITS) | 0x1001;
        assert_eq!(Places::at(other), Places::at(0x1000));
        assert_eq!(found(&places, other, 7), None, "the same place");
        places.forget(2);
        assert_eq!(found(&places, 0x1000, 7), Some((1, 2)));
        places.forget(1);
        assert_eq!(found(&places, 0x1000, 7), None);
    }
}
