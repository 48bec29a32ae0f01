//! What can keep an instruction from completing.

/// Vectors of the exceptions.
pub mod vector {
    #![allow(missing_docs)]
    pub const DE: u8 = 0;
    pub const DB: u8 = 1;
    pub const NMI: u8 = 2;
    pub const BP: u8 = 3;
    pub const OF: u8 = 4;
    pub const BR: u8 = 5;
    pub const UD: u8 = 6;
    pub const NM: u8 = 7;
    pub const DF: u8 = 8;
    pub const TS: u8 = 10;
    pub const NP: u8 = 11;
    pub const SS: u8 = 12;
    pub const GP: u8 = 13;
    pub const PF: u8 = 14;
    pub const MF: u8 = 16;
    pub const AC: u8 = 17;
    pub const XM: u8 = 19;
}

/// An exception on its way to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// See [`vector`].
    pub vector: u8,
    /// The error code, for the vectors that push one.
    pub code: Option<u16>,
    /// What CR2 becomes; only a page fault has it.
    pub address: u64,
}

/// Why an instruction did not complete. Nothing of it has happened but for accessed and dirty
/// bits, TLB fills and cycles (and the iterations that a REP instruction has finished).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The guest's: it goes through the IDT.
    Exception(Exception),
    /// Announced, but not in this machine: it stops, with this name.
    Missing(&'static str),
    /// A fault while delivering a double fault; the vector is the last exception's.
    Triple(u8),
}

impl Fault {
    /// Divide error.
    pub const DE: Fault = Fault::plain(vector::DE);
    /// Undefined instruction.
    pub const UD: Fault = Fault::plain(vector::UD);
    /// Floating point not available (CR0.TS or CR0.EM).
    pub const NM: Fault = Fault::plain(vector::NM);
    /// x87 error.
    pub const MF: Fault = Fault::plain(vector::MF);
    /// SSE error.
    pub const XM: Fault = Fault::plain(vector::XM);
    /// General protection with error code 0.
    pub const GP: Fault = Fault::coded(vector::GP, 0);
    /// Stack fault with error code 0.
    pub const SS: Fault = Fault::coded(vector::SS, 0);
    /// Alignment check.
    pub const AC: Fault = Fault::coded(vector::AC, 0);

    /// An exception without an error code.
    #[must_use]
    pub const fn plain(vector: u8) -> Fault {
        Fault::Exception(Exception {
            vector,
            code: None,
            address: 0,
        })
    }

    /// An exception with an error code.
    #[must_use]
    pub const fn coded(vector: u8, code: u16) -> Fault {
        Fault::Exception(Exception {
            vector,
            code: Some(code),
            address: 0,
        })
    }

    /// A page fault.
    #[must_use]
    pub const fn page(code: u16, address: u64) -> Fault {
        Fault::Exception(Exception {
            vector: vector::PF,
            code: Some(code),
            address,
        })
    }
}
