//! The kernel's heap: slabs of equal objects, each slab one frame; what is
//! larger than half a frame gets whole frames side by side in the kernel map.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

use abi::event::FrameKind;

use super::frame::{self, Frame};
use super::kernel_map;
use crate::arch::layout::{DIRECT_MAP, PAGE_SIZE};
use crate::sync::SpinLock;

/// Object sizes. Each divides the slab behind its header well enough.
const SIZES: [usize; 11] = [16, 32, 48, 64, 96, 128, 192, 256, 512, 1008, 2016];

/// The head of each slab. Slabs with a free object are in a list.
#[repr(C, align(16))]
struct Slab {
    next: *mut Slab,
    prev: *mut Slab,
    free: *mut Object,
    used: u32,
    class: u32,
}

struct Object {
    next: *mut Object,
}

/// The slabs of one size that have room; the newest is first.
struct Class {
    partial: *mut Slab,
}

struct Heap {
    classes: [Class; SIZES.len()],
    /// Objects that are handed out.
    objects: u64,
}

// SAFETY: the pointers lead to slabs that only the heap's holder touches.
unsafe impl Send for Heap {}

static HEAP: SpinLock<Heap> = SpinLock::new(Heap {
    classes: [const {
        Class {
            partial: ptr::null_mut(),
        }
    }; SIZES.len()],
    objects: 0,
});

/// The heap as Rust's allocator.
struct KernelHeap;

#[global_allocator]
static GLOBAL: KernelHeap = KernelHeap;

/// How many objects are in use, large ones of whole frames not counted.
#[must_use]
pub fn objects() -> u64 {
    HEAP.lock().objects
}

fn class_of(layout: Layout) -> Option<usize> {
    let wanted = if layout.align() <= 16 {
        layout.size()
    } else {
        return None;
    };
    SIZES.iter().position(|&size| wanted <= size)
}

impl Class {
    fn push(&mut self, slab: *mut Slab) {
        // SAFETY: slabs live until they are unlinked; the heap is locked.
        unsafe {
            (*slab).prev = ptr::null_mut();
            (*slab).next = self.partial;
            if !self.partial.is_null() {
                (*self.partial).prev = slab;
            }
        }
        self.partial = slab;
    }

    fn unlink(&mut self, slab: *mut Slab) {
        // SAFETY: as in `push`; the slab is in this list.
        unsafe {
            let (next, prev) = ((*slab).next, (*slab).prev);
            if prev.is_null() {
                self.partial = next;
            } else {
                (*prev).next = next;
            }
            if !next.is_null() {
                (*next).prev = prev;
            }
        }
    }

    /// Adds a slab. False if there is no frame.
    fn grow(&mut self, class: usize) -> bool {
        let Ok(frame) = frame::alloc_uncleared(FrameKind::Slab) else {
            return false;
        };
        let slab = (DIRECT_MAP + frame.into_address()) as *mut Slab;
        // SAFETY: a frame of our own, in which header and objects fit.
        unsafe {
            let mut free = ptr::null_mut();
            let size = SIZES[class];
            let count = (PAGE_SIZE as usize - size_of::<Slab>()) / size;
            for index in (0..count).rev() {
                let at = size_of::<Slab>() + index * size;
                let object = slab.cast::<u8>().add(at).cast::<Object>();
                (*object).next = free;
                free = object;
            }
            slab.write(Slab {
                next: ptr::null_mut(),
                prev: ptr::null_mut(),
                free,
                used: 0,
                class: class as u32,
            });
        }
        self.push(slab);
        true
    }

    fn take(&mut self, class: usize) -> *mut u8 {
        if self.partial.is_null() && !self.grow(class) {
            return ptr::null_mut();
        }
        let slab = self.partial;
        // SAFETY: a slab in the list has a free object.
        unsafe {
            let object = (*slab).free;
            (*slab).free = (*object).next;
            (*slab).used += 1;
            if (*slab).free.is_null() {
                self.unlink(slab);
            }
            object.cast()
        }
    }
}

impl Heap {
    fn take(&mut self, class: usize) -> *mut u8 {
        let object = self.classes[class].take(class);
        self.objects += u64::from(!object.is_null());
        object
    }

    /// Puts an object back; a slab that is empty then goes back too, unless
    /// it is the only one of its size with room.
    ///
    /// # Safety
    /// `object` came from `take`.
    unsafe fn give(&mut self, object: *mut u8) -> Option<Frame> {
        self.objects -= 1;
        let slab = (object as u64 & !(PAGE_SIZE - 1)) as *mut Slab;
        // SAFETY: by the caller, a slab's header lies at the frame's start.
        unsafe {
            let class = &mut self.classes[(*slab).class as usize];
            let object = object.cast::<Object>();
            let was_full = (*slab).free.is_null();
            (*object).next = (*slab).free;
            (*slab).free = object;
            (*slab).used -= 1;
            if was_full {
                class.push(slab);
            }
            let alone = (*slab).next.is_null() && (*slab).prev.is_null();
            if (*slab).used > 0 || alone {
                return None;
            }
            class.unlink(slab);
            Some(Frame::from_address(slab as u64 - DIRECT_MAP))
        }
    }
}

// SAFETY: every object is handed out once until it comes back, is as large as
// its class, and aligned by 16; larger ones are pages of their own.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class_of(layout) {
            Some(class) => HEAP.lock().take(class),
            None if layout.align() > PAGE_SIZE as usize => ptr::null_mut(),
            None => {
                let pages = layout.size().div_ceil(PAGE_SIZE as usize);
                kernel_map::alloc(pages, FrameKind::Slab)
                    .map_or(ptr::null_mut(), |range| range.into_start() as *mut u8)
            }
        }
    }

    unsafe fn dealloc(&self, object: *mut u8, layout: Layout) {
        if class_of(layout).is_some() {
            // SAFETY: by the contract of the trait it came from `alloc`.
            let frame = unsafe { HEAP.lock().give(object) };
            drop(frame);
        } else {
            // SAFETY: as above; it was a range of its own.
            drop(unsafe { kernel_map::Pages::from_start(object as u64) });
        }
    }
}
