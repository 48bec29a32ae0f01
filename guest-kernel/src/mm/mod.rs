//! Memory: frames, the kernel's heap, and the address spaces of tasks.

pub mod backing;
mod detach;
pub mod direct_map;
pub mod fault;
pub mod frame;
pub mod heap;
pub mod image;
pub mod kernel_map;
mod page_table;
mod poke;
pub mod remap;
mod resident;
pub mod shared;
pub mod space;
pub mod user;
pub mod vma;
mod word;

pub use backing::Backing;
pub use space::Mm;
