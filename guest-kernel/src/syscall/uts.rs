//! What the machine is called.

use super::Call;
use crate::errno::{Errno, Result};
use crate::mm::user;
use crate::task::credentials::Cap;
use crate::task::uts::{self, NAME_MAX, Name};
use crate::task::{self, Task};

/// Bytes of a field of `struct new_utsname`.
const FIELD: usize = NAME_MAX + 1;

pub(super) fn uname(call: &mut Call<'_>) -> Result<u64> {
    let own = task::current().namespaces().uts.clone();
    let (host, domain) = (own.host(), own.domain());
    let names = [
        uts::SYSTEM.as_bytes(),
        host.bytes(),
        uts::RELEASE.as_bytes(),
        uts::VERSION.as_bytes(),
        b"x86_64",
        domain.bytes(),
    ];
    let mut fields = [[0; FIELD]; 6];
    for (field, name) in fields.iter_mut().zip(names) {
        field[..name.len()].copy_from_slice(name);
    }
    user::write_bytes(call.args[0], fields.as_flattened())?;
    Ok(0)
}

/// The name that the caller may give.
fn new_name(task: &Task, address: u64, len: i32) -> Result<Name> {
    let uts = task.namespaces().uts.clone();
    if !task.credentials().capable_in(uts.user(), Cap::SysAdmin) {
        return Err(Errno::EPERM);
    }
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    if len > NAME_MAX {
        return Err(Errno::EINVAL);
    }
    let mut bytes = [0; NAME_MAX];
    user::read_bytes(address, &mut bytes[..len])?;
    Ok(Name::new(&bytes[..len]))
}

pub(super) fn sethostname(call: &mut Call<'_>) -> Result<u64> {
    let task = task::current();
    let name = new_name(&task, call.args[0], call.args[1] as i32)?;
    task.namespaces().uts.set_host(name);
    Ok(0)
}

pub(super) fn setdomainname(call: &mut Call<'_>) -> Result<u64> {
    let task = task::current();
    let name = new_name(&task, call.args[0], call.args[1] as i32)?;
    task.namespaces().uts.set_domain(name);
    Ok(0)
}
