//! What has changed since another moment, found by hashes that are kept anyway.

use alloc::vec::Vec;

use super::{Frame, Page, Ram, ZERO};
use crate::bus::kept::{ALL_ZERO, PART};
use crate::bus::page::Stored;

/// The hashes of all frames at one moment; before the first, all hold zeros.
#[derive(Clone, Debug, Default)]
pub(crate) struct FrameHashes(Vec<Part>);

#[derive(Clone, Debug)]
struct Part {
    whole: u128,
    frames: [u128; PART],
}

impl Ram {
    /// The frames that hold something other than at that moment, in order, with their numbers
    /// within RAM. The hashes become those of now. The cost grows with the parts that were
    /// written since.
    pub(crate) fn changes(&self, since: &mut FrameHashes) -> Vec<(u64, &Page)> {
        let zeros = Part {
            whole: ALL_ZERO,
            frames: [ALL_ZERO; PART],
        };
        since.0.resize(self.parts.len(), zeros);
        let mut changes = Vec::new();
        let parts = self.hashed_parts().zip(&mut since.0).enumerate();
        for (number, ((whole, frames), before)) in parts {
            if whole == before.whole {
                continue;
            }
            before.whole = whole;
            let each = frames.iter().zip(&mut before.frames).enumerate();
            for (within, (frame, before)) in each {
                let (hash, page) = frame.contents();
                if hash != *before {
                    *before = hash;
                    changes.push(((number * PART + within) as u64, page));
                }
            }
        }
        changes
    }
}

impl Frame {
    /// What it holds, with the hash of that.
    fn contents(&self) -> (u128, &Page) {
        let page = self.page.as_ref();
        (
            page.map_or(ALL_ZERO, Stored::hash),
            page.map_or(&ZERO, Stored::bytes),
        )
    }
}
