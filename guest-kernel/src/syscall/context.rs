//! Where paths begin: working directory, root, umask.

use linux_raw_sys::general::AT_FDCWD;

use super::Call;
use super::file::{context, descriptor, lookup, user_path};
use crate::errno::{Errno, Result};
use crate::fs::{Place, permission};
use crate::mm::user;

/// `chdir(path)`
pub fn chdir(call: &mut Call<'_>) -> Result<u64> {
    let path = user_path(call.args[0])?;
    change_directory(lookup(AT_FDCWD as u64, &path, true)?)
}

/// `fchdir(fd)`
pub fn fchdir(call: &mut Call<'_>) -> Result<u64> {
    let place = descriptor(call.args[0])?.place().clone();
    change_directory(place)
}

fn change_directory(place: Place) -> Result<u64> {
    place.inode().check_directory()?;
    permission::permission(place.inode(), permission::EXEC)?;
    let context = context();
    let old = core::mem::replace(&mut context.lock().cwd, place);
    drop(old);
    Ok(0)
}

/// `getcwd(buf, size)`
pub fn getcwd(call: &mut Call<'_>) -> Result<u64> {
    let [address, size, ..] = call.args;
    let context = context().lock().clone();
    let mut path = context.cwd_path()?;
    path.push(0);
    if path.len() as u64 > size {
        return Err(Errno::ERANGE);
    }
    user::write_bytes(address, &path)?;
    Ok(path.len() as u64)
}

/// `umask(mask)`
pub fn umask(call: &mut Call<'_>) -> Result<u64> {
    let new = call.args[0] as u32 & 0o777;
    let context = context();
    let old = core::mem::replace(&mut context.lock().umask, new);
    Ok(u64::from(old))
}
