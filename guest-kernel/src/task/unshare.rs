//! Taking a part of the context apart after clone, and entering others'
//! namespaces.

use alloc::sync::Arc;

use linux_raw_sys::general as linux;

use super::credentials::{Cap, Credentials};
use super::ipc::undo;
use super::mount_namespace::{self, MountNamespace};
use super::namespace_file::Namespace;
use super::namespaces::Namespaces;
use super::tree::TREE;
use super::user_namespace::UserNamespace;
use super::{Task, current, user_namespace};
use crate::errno::{Errno, Result};
use crate::mm::frame;
use crate::sync::SpinLock;

const KNOWN: u32 = linux::CLONE_THREAD
    | linux::CLONE_FS
    | linux::CLONE_SIGHAND
    | linux::CLONE_VM
    | linux::CLONE_FILES
    | linux::CLONE_SYSVSEM
    | linux::CLONE_NEWNS
    | linux::CLONE_NEWUTS
    | linux::CLONE_NEWIPC
    | linux::CLONE_NEWUSER
    | linux::CLONE_NEWPID
    | linux::CLONE_NEWCGROUP;

/// What some flags ask for besides.
fn implied(flags: u32) -> u32 {
    let implies = |flag: u32, others: u32| if flags & flag != 0 { others } else { 0 };
    flags
        | implies(linux::CLONE_NEWUSER, linux::CLONE_THREAD | linux::CLONE_FS)
        | implies(linux::CLONE_NEWNS, linux::CLONE_FS)
        | implies(linux::CLONE_VM, linux::CLONE_SIGHAND | linux::CLONE_THREAD)
        | implies(linux::CLONE_SIGHAND, linux::CLONE_THREAD)
}

/// True if the task is its group's only one.
fn is_alone(task: &Task) -> bool {
    let tree = TREE.lock();
    tree.node(task.tgid().0)
        .is_some_and(|node| node.members.len() == 1)
}

/// Memory, handlers and group cannot be taken apart; asking for it is right
/// only where nobody shares them.
fn check(task: &Task, flags: u32) -> Result<()> {
    if flags & !KNOWN != 0 || flags & linux::CLONE_THREAD != 0 && !is_alone(task) {
        return Err(Errno::EINVAL);
    }
    let context = task.context.lock();
    let shares_handlers = Arc::strong_count(&context.sighand) > 1;
    let shares_memory = context
        .mm
        .as_ref()
        .is_some_and(|mm| Arc::strong_count(mm) > 1);
    if flags & linux::CLONE_SIGHAND != 0 && shares_handlers
        || flags & linux::CLONE_VM != 0 && shares_memory
    {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// The running task shares no longer what the flags name.
///
/// # Errors
/// `EINVAL`, `EPERM`, `ENOSPC`, `ENOMEM`. Everything is as it was then.
pub fn unshare(flags: u32) -> Result<()> {
    let mut flags = implied(flags);
    if crate::mutant!("unshare-pid-ignored") {
        flags &= !linux::CLONE_NEWPID;
    }
    let task = current();
    check(&task, flags)?;
    frame::room()?;
    let has = |flag: u32| flags & flag != 0;
    let own = |shared: &Task| shared.fs().lock().clone();
    let fs = has(linux::CLONE_FS).then(|| Arc::new(SpinLock::new(own(&task))));
    let files = if has(linux::CLONE_FILES) && !crate::mutant!("unshare-files-shares") {
        let shared = task.files();
        let copy = shared.lock().copy()?;
        Some(Arc::new(SpinLock::new(copy)))
    } else {
        None
    };
    let before = task.credentials();
    let credentials = if has(linux::CLONE_NEWUSER) {
        Some(user_namespace::begin(&before)?)
    } else {
        None
    };
    let as_whom = credentials.as_ref().unwrap_or(&before);
    let pid = task.pid();
    let namespaces = task
        .namespaces()
        .derive(u64::from(flags), as_whom, pid.namespace())?;
    let namespaces = match &fs {
        Some(fs) if has(linux::CLONE_NEWNS) => mount_namespace::begin(&namespaces, fs, as_whom)?,
        _ => namespaces,
    };
    if let Some(credentials) = credentials {
        task.set_credentials(credentials)?;
    }
    if flags & (linux::CLONE_SYSVSEM | linux::CLONE_NEWIPC) != 0 {
        undo::leave(&task);
    }
    task.set_namespaces(namespaces);
    let replaced = {
        let mut context = task.context.lock();
        let fs = fs.and_then(|fs| context.fs.replace(fs));
        let files = files.and_then(|files| context.files.replace(files));
        (fs, files)
    };
    drop(replaced);
    Ok(())
}

/// What a task is to be once it has entered namespaces.
struct Entering {
    credentials: Option<Credentials>,
    namespaces: Namespaces,
    mount: Option<Arc<MountNamespace>>,
}

/// The running task enters these namespaces, all or none.
///
/// # Errors
/// `EPERM`, `EINVAL`, `ENOMEM`.
pub fn enter(all: &[Namespace]) -> Result<()> {
    frame::room()?;
    let task = current();
    let before = task.credentials();
    let mut entering = Entering {
        credentials: None,
        namespaces: Namespaces::clone(&task.namespaces()),
        mount: None,
    };
    for namespace in all {
        enter_one(&task, &before, namespace, &mut entering)?;
    }
    // The last that may fail: it moves the task's root at once.
    if let Some(mount) = entering.mount {
        mount_namespace::enter(&task, &mount)?;
        entering.namespaces.mount = mount;
    }
    if let Some(credentials) = entering.credentials {
        task.set_credentials(credentials)?;
    }
    task.set_namespaces(Arc::new(entering.namespaces));
    Ok(())
}

fn enter_one(
    task: &Task,
    before: &Credentials,
    namespace: &Namespace,
    entering: &mut Entering,
) -> Result<()> {
    let me = entering.credentials.as_ref().unwrap_or(before);
    let rules = |user: &Arc<UserNamespace>| {
        let there = me.capable_in(user, Cap::SysAdmin);
        if there && me.capable_here(Cap::SysAdmin) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    };
    match namespace {
        Namespace::Uts(uts) => {
            rules(uts.user())?;
            entering.namespaces.uts = uts.clone();
        }
        Namespace::Ipc(ipc) => {
            rules(ipc.user())?;
            entering.namespaces.ipc = ipc.clone();
        }
        Namespace::Mount(mount) => {
            rules(mount.user())?;
            entering.mount = Some(mount.clone());
        }
        Namespace::Pid(pid) => {
            rules(pid.user())?;
            // Only downwards: children must be seen from where they are made.
            if !pid.is_within(task.pid().namespace()) {
                return Err(Errno::EINVAL);
            }
            if !crate::mutant!("setns-pid-stays") {
                entering.namespaces.pid = pid.clone();
            }
        }
        Namespace::User(user) => {
            let shares = Arc::strong_count(&task.fs()) > 2;
            if Arc::ptr_eq(user, &me.user) || !is_alone(task) || shares {
                return Err(Errno::EINVAL);
            }
            if !me.capable_in(user, Cap::SysAdmin) {
                return Err(Errno::EPERM);
            }
            entering.credentials = Some(user_namespace::within(me, user.clone()));
        }
    }
    Ok(())
}
