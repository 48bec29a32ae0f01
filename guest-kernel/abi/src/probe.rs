//! The probe port: how the guest speaks to the machine without being timed
//! differently for it.
//!
//! A tracepoint is one `out dx, eax` to [`PORT`]:
//!
//! | register | content |
//! |---|---|
//! | `eax` | [`EventId`](crate::event::EventId) |
//! | `rdi`, `rsi`, `r8`, `r9`, `r10` | the event's [`ARGS`] arguments |
//!
//! A choice is one `in eax, dx` from [`PORT`]; `eax` then holds the answer:
//!
//! | register | content |
//! |---|---|
//! | `eax` | [`ChoiceKind`](crate::choice::ChoiceKind) |
//! | `rdi` | how many answers there are: 0 ≤ answer < n |
//! | `rsi` | the default answer |
//! | `r8` | address of `n` task ids (`u32`) that the answers stand for, or 0 |
//!
//! Both cost what any port access costs, whether or not anyone listens.

/// The port. On a machine without a probe nothing answers there.
pub const PORT: u16 = 0x0C0E;

/// CPUID leaf whose `ebx:ecx:edx` spell [`SIGNATURE`] where there is a probe.
pub const CPUID_LEAF: u32 = 0x4000_0000;

/// `ebx`, `ecx`, `edx` of [`CPUID_LEAF`], as twelve bytes.
pub const SIGNATURE: [u8; 12] = *b"CoeCoeCoeCoe";

/// Arguments of one event: `rdi`, `rsi`, `r8`, `r9`, `r10`.
pub const ARGS: usize = 5;

/// The longest text, in bytes, that an event carries; what is longer is cut.
pub const TEXT_MAX: usize = 256;
