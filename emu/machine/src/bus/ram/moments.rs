//! Copies of RAM, and what it held at one moment: pages are shared, and what
//! saving and going back cost grows with the pages that were changed.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use super::{Frame, Ram};
use crate::bus::fast::Banks;
use crate::bus::image::Image;
use crate::bus::kept::{Notes, PART};
use crate::bus::page::Stored;

impl Clone for Ram {
    /// Pages that may be written without notice are copied, the others shared.
    fn clone(&self) -> Self {
        let frames = self.frames.iter().map(|frame| match &frame.page {
            Some(page) if !frame.notes.has(Notes::SHARED) => frame.with(Stored::new(page.bytes())),
            _ => frame.shared(),
        });
        self.with(frames.collect())
    }
}

impl Ram {
    /// The same memory for another machine: all pages are shared until either
    /// writes to them. Nothing may have a [`Cx`](crate::cpu::Cx) on this memory.
    pub(crate) fn fork(&self) -> Ram {
        self.noted.store(true, Ordering::Relaxed);
        let frames = self.frames.iter().map(|frame| {
            if !frame.notes.has(Notes::SHARED) {
                frame.notes.add(Notes::SHARED);
            }
            frame.shared()
        });
        self.with(frames.collect())
    }

    /// The same memory with these frames, and no way to them yet.
    fn with(&self, frames: Vec<Frame>) -> Ram {
        Ram {
            size: self.size,
            frames,
            parts: self.parts.clone(),
            base: self.base.clone(),
            changed: self.changed.clone(),
            epoch: self.epoch,
            fast: Banks::default(),
            owner: 0,
            noted: AtomicBool::new(false),
        }
    }

    /// What all frames hold now. The cost grows with the frames that were written
    /// since the last image was taken or gone back to.
    pub(crate) fn image(&mut self) -> Image {
        for index in self.changed.drain(..) {
            let frame = &mut self.frames[index as usize];
            frame.notes.remove(Notes::CHANGED);
            frame.notes.add(Notes::SHARED);
            self.base.set(index, frame.page.clone());
        }
        self.fast.close_all();
        self.base.clone()
    }

    /// Has all frames hold what they held when the image of this memory, or of
    /// another of the same size, was taken. The cost grows with the frames that
    /// were written since the last image, and with those in which the two differ.
    pub(crate) fn rewind(&mut self, image: &Image) {
        self.fast.clear();
        for index in core::mem::take(&mut self.changed) {
            self.frames[index as usize].notes.remove(Notes::CHANGED);
            self.go_back(index, image.get(index));
        }
        let base = core::mem::replace(&mut self.base, image.clone());
        base.differences(image, |index, page| self.go_back(index, page));
    }

    fn go_back(&mut self, index: u32, page: Option<&Stored>) {
        let Some(frame) = self.frames.get_mut(index as usize) else {
            return;
        };
        let same = match (&frame.page, page) {
            (Some(here), Some(there)) => here.is(there),
            (None, None) => true,
            _ => false,
        };
        if !same {
            self.parts[index as usize / PART].forget();
            let code = frame.notes.take() & Notes::CODE != 0;
            frame.generation = frame.generation.wrapping_add(u32::from(code));
            self.epoch += u64::from(code);
            frame.page = page.cloned();
        }
        // No way leads here: all have been forgotten.
        frame.notes.remove(Notes::REACHED);
        frame.notes.add(Notes::SHARED);
    }
}

impl Frame {
    /// The same frame in another memory, which shares the page.
    fn shared(&self) -> Frame {
        let copy = Frame {
            page: self.page.clone(),
            notes: self.notes.clone(),
            generation: self.generation,
        };
        copy.without_ways(Notes::SHARED)
    }

    /// The same frame in another memory with a page of its own.
    fn with(&self, page: Stored) -> Frame {
        let copy = Frame {
            page: Some(page),
            notes: self.notes.clone(),
            generation: self.generation,
        };
        copy.without_ways(0)
    }

    fn without_ways(mut self, notes: u8) -> Frame {
        self.notes.remove(Notes::REACHED);
        self.notes.add(notes);
        self
    }
}
