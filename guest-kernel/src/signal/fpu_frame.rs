//! The x87, SSE and AVX state in the frame of a handler, as Linux lays it out:
//! what FXSAVE or XSAVE writes. With XSAVE the bytes that the legacy area
//! leaves to software tell how much there is (`struct _fpx_sw_bytes`), and a
//! second magic number ends it, so that a program that copies only the legacy
//! area is found out.

use crate::arch::fpu::{self, FpuState, LEGACY_SIZE, SSE, X87};
use crate::errno::{Errno, Result};
use crate::mm::user;

/// FP_XSTATE_MAGIC1 and 2.
const MAGIC_1: u32 = 0x4650_5853;
const MAGIC_2: u32 = 0x4650_5845;

/// Where `struct _fpx_sw_bytes` lies in the legacy area.
const SOFTWARE_AT: usize = 464;

/// The legacy area and XSAVE's header.
const SMALLEST: usize = LEGACY_SIZE + 64;

/// `struct _fpx_sw_bytes` without its padding.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Software {
    magic: u32,
    /// Bytes with the second magic number.
    extended_size: u32,
    features: [u32; 2],
    /// Bytes without it.
    state_size: u32,
}

// SAFETY: numbers side by side, without padding.
unsafe impl user::Plain for Software {}

/// Bytes that the state takes in a frame.
#[must_use]
pub fn size() -> usize {
    if fpu::has_xsave() {
        fpu::size() + size_of::<u32>()
    } else {
        LEGACY_SIZE
    }
}

/// Writes a state into a frame.
///
/// # Errors
/// EFAULT.
pub fn write(at: u64, state: &FpuState) -> Result<()> {
    user::write_bytes(at, state.bytes())?;
    if !fpu::has_xsave() {
        return Ok(());
    }
    let features = fpu::features();
    let software = Software {
        magic: MAGIC_1,
        extended_size: size() as u32,
        features: [features as u32, (features >> 32) as u32],
        state_size: fpu::size() as u32,
    };
    user::write_value(at + SOFTWARE_AT as u64, software)?;
    user::write_value(at + fpu::size() as u64, MAGIC_2)
}

/// Reads a state from a frame. What does not lie there as [`write()`] leaves it
/// is a legacy area, and the rest of the state the first one.
///
/// # Errors
/// EFAULT, also for a header that XRSTOR would refuse.
pub fn read(at: u64) -> Result<FpuState> {
    let mut state = FpuState::new();
    let (size, features) = extent(at)?;
    user::read_bytes(at, &mut state.bytes_mut()[..size])?;
    if size == LEGACY_SIZE {
        state.set_components(X87 | SSE);
    } else if !state.has_valid_header() {
        return Err(Errno::EFAULT);
    } else {
        state.set_components(state.components() & features);
    }
    state.sanitize();
    Ok(state)
}

/// How many bytes of a frame's state are to be believed, and the components
/// among them.
fn extent(at: u64) -> Result<(usize, u64)> {
    const LEGACY: (usize, u64) = (LEGACY_SIZE, X87 | SSE);
    if !fpu::has_xsave() {
        return Ok(LEGACY);
    }
    let software: Software = user::read_value(at + SOFTWARE_AT as u64)?;
    let size = software.state_size as usize;
    let fits = (SMALLEST..=fpu::size()).contains(&size);
    if software.magic != MAGIC_1 || !fits || software.state_size > software.extended_size {
        return Ok(LEGACY);
    }
    let end: u32 = user::read_value(at + size as u64)?;
    if end != MAGIC_2 {
        return Ok(LEGACY);
    }
    let [low, high] = software.features.map(u64::from);
    Ok((size, high << 32 | low))
}
