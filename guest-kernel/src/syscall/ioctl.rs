//! ioctl, as terminals and pipes answer it.

use linux_raw_sys::general::{termios, winsize};
use linux_raw_sys::ioctl::{
    FIOCLEX, FIONBIO, FIONCLEX, FIONREAD, TCFLSH, TCGETS, TCSBRK, TCSETS, TCSETSF, TCSETSW,
    TIOCGPGRP, TIOCGSID, TIOCGWINSZ, TIOCNOTTY, TIOCSCTTY, TIOCSPGRP, TIOCSWINSZ,
};

use super::Call;
use super::file::{descriptor, files};
use crate::errno::{Errno, Result};
use crate::fs::File;
use crate::fs::inode::Kind;
use crate::fs::tty::{Flush, Tty};
use crate::mm::user;

/// `ioctl(fd, request, arg)`
pub fn ioctl(call: &mut Call<'_>) -> Result<u64> {
    let [fd, request, argument, ..] = call.args;
    let file = descriptor(fd)?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    match request as u32 {
        FIOCLEX => files().lock().set_close_on_exec(fd as i32, true)?,
        FIONCLEX => files().lock().set_close_on_exec(fd as i32, false)?,
        FIONBIO => {
            let on: u32 = user::read_value(argument)?;
            file.set_nonblocking(on != 0);
        }
        request => return by_kind(&file, request, argument),
    }
    Ok(0)
}

fn by_kind(file: &File, request: u32, argument: u64) -> Result<u64> {
    match file.inode().kind() {
        Kind::Pipe(pipe) if request == FIONREAD => {
            user::write_value(argument, pipe.pending() as u32)?;
            Ok(0)
        }
        Kind::Regular(regular) if request == FIONREAD => {
            let left = regular.len() as i64 - file.position() as i64;
            user::write_value(argument, left as i32)?;
            Ok(0)
        }
        Kind::Special(special) => special.ioctl(request, argument),
        Kind::Device(device) => match device.tty() {
            Some(tty) => terminal(tty, request, argument),
            None => Err(Errno::ENOTTY),
        },
        _ => Err(Errno::ENOTTY),
    }
}

fn terminal(tty: &Tty, request: u32, argument: u64) -> Result<u64> {
    match request {
        TCGETS => user::write_value(argument, tty.settings())?,
        TCSETS | TCSETSW => set(tty, argument, Flush::Keep)?,
        TCSETSF => set(tty, argument, Flush::Input)?,
        // Output is sent as it is written: there is none to wait for or drop.
        TCSBRK => tty.check_change()?,
        TCFLSH => {
            tty.check_change()?;
            match argument {
                0 | 2 => tty.flush(),
                1 => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        TIOCGWINSZ => user::write_value(argument, tty.size())?,
        TIOCSWINSZ => {
            let size: winsize = user::read_value(argument)?;
            tty.set_size(size);
        }
        TIOCGPGRP => user::write_value(argument, tty.own_foreground()?)?,
        TIOCSPGRP => tty.set_foreground(user::read_value(argument)?)?,
        TIOCGSID => user::write_value(argument, tty.own_session()?)?,
        TIOCSCTTY => tty.acquire(argument == 1)?,
        TIOCNOTTY => tty.give_up()?,
        FIONREAD => user::write_value(argument, tty.pending() as u32)?,
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

fn set(tty: &Tty, argument: u64, flush: Flush) -> Result<()> {
    tty.check_change()?;
    let settings: termios = user::read_value(argument)?;
    tty.set(&settings, flush);
    Ok(())
}
