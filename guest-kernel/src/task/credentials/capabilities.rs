//! Changes of capability sets and of the bits that say how special root is.

use linux_raw_sys::prctl;

use super::{Cap, CapSet, Credentials};
use crate::errno::{Errno, Result};

/// A change of user ids leaves capabilities alone.
pub const NO_SETUID_FIXUP: u32 = 1 << 2;
/// Exec gives root nothing special.
pub const NO_ROOT: u32 = 1 << 0;
/// The next change away from root keeps the permitted capabilities.
pub const KEEP_CAPS: u32 = 1 << 4;
const KEEP_CAPS_LOCKED: u32 = 1 << 5;
/// Nothing can be made ambient.
const NO_CAP_AMBIENT_RAISE: u32 = 1 << 6;
/// Every bit and its lock.
const ALL_BITS: u32 = 0xFF;
/// The bits without their locks.
const BASE_BITS: u32 = 0x55;

impl Credentials {
    /// `capset`.
    ///
    /// # Errors
    /// `EPERM` for more than there is.
    pub fn with_capabilities(
        &self,
        effective: CapSet,
        permitted: CapSet,
        inheritable: CapSet,
    ) -> Result<Credentials> {
        let own = self.inheritable | self.permitted;
        let sound = (self.capable_here(Cap::Setpcap) || inheritable.is_within(own))
            && inheritable.is_within(self.inheritable | self.bounding)
            && permitted.is_within(self.permitted)
            && effective.is_within(permitted);
        if !sound && !crate::mutant!("capset-unchecked") {
            return Err(Errno::EPERM);
        }
        let mut new = self.clone();
        new.effective = effective;
        new.permitted = permitted;
        new.inheritable = inheritable;
        new.ambient = self.ambient & permitted & inheritable;
        Ok(new)
    }

    /// Takes a capability out of what exec can give, for good.
    ///
    /// # Errors
    /// `EPERM` without CAP_SETPCAP.
    pub fn drop_bounding(&self, cap: Cap) -> Result<Credentials> {
        if !self.capable_here(Cap::Setpcap) {
            return Err(Errno::EPERM);
        }
        let mut new = self.clone();
        new.bounding = self.bounding.without(cap.into());
        Ok(new)
    }

    /// Sets the bits of PR_SET_SECUREBITS.
    ///
    /// # Errors
    /// `EPERM` for a bit that is locked, a lock that is taken back, a bit that
    /// there is not, or without CAP_SETPCAP.
    pub fn with_securebits(&self, bits: u64) -> Result<Credentials> {
        let old = u64::from(self.securebits);
        let locks = |bits: u64| bits >> 1 & u64::from(BASE_BITS);
        let breaks_lock = locks(old) & (old ^ bits) != 0;
        let takes_lock_back = locks(old) & !locks(bits) != 0;
        let unknown = bits & !u64::from(ALL_BITS) != 0;
        if breaks_lock || takes_lock_back || unknown || !self.capable_here(Cap::Setpcap) {
            return Err(Errno::EPERM);
        }
        let mut new = self.clone();
        new.securebits = bits as u32;
        Ok(new)
    }

    /// Sets or clears the bit of PR_SET_KEEPCAPS.
    ///
    /// # Errors
    /// `EPERM` if it is locked.
    pub fn with_keep_capabilities(&self, keep: bool) -> Result<Credentials> {
        if self.securebits & KEEP_CAPS_LOCKED != 0 {
            return Err(Errno::EPERM);
        }
        let mut new = self.clone();
        new.securebits &= !KEEP_CAPS;
        if keep {
            new.securebits |= KEEP_CAPS;
        }
        Ok(new)
    }

    /// PR_CAP_AMBIENT; `None` in place of credentials where nothing changes.
    ///
    /// # Errors
    /// `EINVAL`; `EPERM` for what is not permitted and inheritable.
    pub fn change_ambient(&self, what: u64, cap: u64) -> Result<(u64, Option<Credentials>)> {
        let mut new = self.clone();
        if what == u64::from(prctl::PR_CAP_AMBIENT_CLEAR_ALL) {
            if cap != 0 {
                return Err(Errno::EINVAL);
            }
            new.ambient = CapSet::EMPTY;
            return Ok((0, Some(new)));
        }
        let cap = Cap::new(cap).ok_or(Errno::EINVAL)?;
        match u32::try_from(what).map_err(|_| Errno::EINVAL)? {
            prctl::PR_CAP_AMBIENT_IS_SET => Ok((self.ambient.has(cap).into(), None)),
            prctl::PR_CAP_AMBIENT_LOWER => {
                new.ambient = self.ambient.without(cap.into());
                Ok((0, Some(new)))
            }
            prctl::PR_CAP_AMBIENT_RAISE => {
                let allowed = self.permitted.has(cap)
                    && self.inheritable.has(cap)
                    && self.securebits & NO_CAP_AMBIENT_RAISE == 0;
                if !allowed {
                    return Err(Errno::EPERM);
                }
                new.ambient = self.ambient | cap.into();
                Ok((0, Some(new)))
            }
            _ => Err(Errno::EINVAL),
        }
    }
}
