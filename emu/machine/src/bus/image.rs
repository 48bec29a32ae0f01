//! What all frames of a memory held at one moment: a tree of two levels whose
//! parts are shared by the images that have them in common.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::page::Stored;

/// Frames of a part.
const PART: usize = 512;

type Part = [Option<Stored>; PART];

/// Frames beyond the last part, and those of a part that is not there, hold
/// nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    parts: Vec<Option<Arc<Part>>>,
}

static NOTHING: Part = [const { None }; PART];

impl Image {
    fn part(&self, part: usize) -> Option<&Arc<Part>> {
        self.parts.get(part)?.as_ref()
    }

    /// What a frame holds, by its number within RAM.
    pub(super) fn get(&self, index: u32) -> Option<&Stored> {
        let part = self.part(index as usize / PART)?;
        part[index as usize % PART].as_ref()
    }

    /// Has a frame hold something else.
    pub(super) fn set(&mut self, index: u32, page: Option<Stored>) {
        let (part, within) = (index as usize / PART, index as usize % PART);
        if part >= self.parts.len() {
            self.parts.resize(part + 1, None);
        }
        let part = self.parts[part].get_or_insert_with(|| Arc::new(NOTHING.clone()));
        Arc::make_mut(part)[within] = page;
    }

    /// Tells of each frame that does not hold the same page there, and which it
    /// holds there.
    pub(super) fn differences(&self, there: &Image, mut tell: impl FnMut(u32, Option<&Stored>)) {
        for part in 0..self.parts.len().max(there.parts.len()) {
            let (a, b) = (self.part(part), there.part(part));
            let same = match (a, b) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (a, b) => a.is_none() && b.is_none(),
            };
            if same {
                continue;
            }
            let (a, b) = (a.map_or(&NOTHING, |a| &**a), b.map_or(&NOTHING, |b| &**b));
            for (within, (a, b)) in a.iter().zip(b).enumerate() {
                let same = match (a, b) {
                    (Some(a), Some(b)) => a.is(b),
                    (a, b) => a.is_none() && b.is_none(),
                };
                if !same {
                    tell((part * PART + within) as u32, b.as_ref());
                }
            }
        }
    }
}
