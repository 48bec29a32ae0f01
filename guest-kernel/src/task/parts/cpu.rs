//! Registers that are not in the trap frame: FPU state, and the bases of FS and GS.

use super::Making;
use crate::errno::Result;
use crate::mm::frame;
use crate::sched;

pub(super) fn copy_fpu(making: &mut Making<'_>) -> Result<()> {
    frame::room()?;
    making.draft.fpu = sched::with_fpu(|fpu| fpu.clone());
    Ok(())
}

pub(super) fn set_tls(making: &mut Making<'_>) -> Result<()> {
    copy_tls(making)?;
    if crate::mutant!("settls-ignored") {
        return Ok(());
    }
    making.draft.fs_base = making.args.tls;
    Ok(())
}

pub(super) fn copy_tls(making: &mut Making<'_>) -> Result<()> {
    (making.draft.fs_base, making.draft.gs_base) = sched::user_bases();
    Ok(())
}
