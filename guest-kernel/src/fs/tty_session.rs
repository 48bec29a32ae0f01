//! The terminal and the session that it controls: who is in the foreground,
//! and what the others may not do.

use core::sync::atomic::Ordering;

use linux_raw_sys::general::{SIGCONT, SIGHUP, SIGTTOU};

use super::hooks;
use super::tty::Tty;
use crate::errno::{Errno, Result};

impl Tty {
    /// Refuses those in the background of the terminal's session.
    ///
    /// # Errors
    /// `ERESTARTSYS` once they have been sent the signal, `EIO` if they cannot
    /// be stopped by it.
    pub fn check_foreground(&self, signal: u32) -> Result<()> {
        hooks::check_foreground(self.session(), self.foreground(), signal)
    }

    /// As [`Tty::check_foreground`], before anything about the terminal is
    /// changed.
    ///
    /// # Errors
    /// As there.
    pub fn check_change(&self) -> Result<()> {
        self.check_foreground(SIGTTOU)
    }

    /// The session that it controls; 0 if it controls none.
    pub fn session(&self) -> i32 {
        self.session.load(Ordering::Relaxed)
    }

    fn is_own(&self) -> bool {
        let (session, _) = hooks::own_session();
        session != 0 && session == self.session()
    }

    /// The foreground group, for a task whose terminal it is.
    ///
    /// # Errors
    /// `ENOTTY` if it is another's or nobody's.
    pub fn own_foreground(&self) -> Result<i32> {
        if !self.is_own() {
            return Err(Errno::ENOTTY);
        }
        Ok(self.foreground())
    }

    /// The session, for a task whose terminal it is.
    ///
    /// # Errors
    /// `ENOTTY` if it is another's or nobody's.
    pub fn own_session(&self) -> Result<i32> {
        self.own_foreground().map(|_| self.session())
    }

    /// Another group that Ctrl-C reaches.
    ///
    /// # Errors
    /// What happens to those in the background; `ENOTTY` if it is not the
    /// caller's terminal; EINVAL: it is no group's number; ESRCH: there is no
    /// such group; EPERM: it is in another session.
    pub fn set_foreground(&self, group: i32) -> Result<()> {
        self.check_change()?;
        if !self.is_own() {
            return Err(Errno::ENOTTY);
        }
        if group < 0 {
            return Err(Errno::EINVAL);
        }
        let session = hooks::session_of(group).ok_or(Errno::ESRCH)?;
        if session != self.session() && !crate::mutant!("foreground-anybody") {
            return Err(Errno::EPERM);
        }
        self.foreground.store(group, Ordering::Relaxed);
        Ok(())
    }

    /// Makes it the terminal of the caller's session.
    ///
    /// # Errors
    /// `EPERM` unless the caller leads a session without a terminal and this
    /// one controls no other; with `steal` the other loses it.
    pub fn acquire(&self, steal: bool) -> Result<()> {
        let (session, leads) = hooks::own_session();
        if leads && session == self.session() {
            return Ok(());
        }
        if !leads || self.session() != 0 && !steal {
            return Err(Errno::EPERM);
        }
        self.session.store(session, Ordering::Relaxed);
        self.foreground.store(session, Ordering::Relaxed);
        Ok(())
    }

    /// The leader of a session gives it up: the foreground group hears of it.
    ///
    /// # Errors
    /// `ENOTTY` if the caller does not lead a session with this terminal.
    pub fn give_up(&self) -> Result<()> {
        let (session, leads) = hooks::own_session();
        if !leads {
            return Err(Errno::ENOTTY);
        }
        let foreground = self.end_session(session).ok_or(Errno::ENOTTY)?;
        hooks::signal_group(foreground, SIGHUP);
        hooks::signal_group(foreground, SIGCONT);
        Ok(())
    }

    /// A session ends: if it has this terminal, it has it no longer. Gives the
    /// group that was in the foreground.
    pub fn end_session(&self, session: i32) -> Option<i32> {
        let none = self
            .session
            .compare_exchange(session, 0, Ordering::Relaxed, Ordering::Relaxed);
        none.ok()?;
        Some(self.foreground.swap(0, Ordering::Relaxed))
    }
}
