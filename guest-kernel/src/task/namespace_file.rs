//! Namespaces as files: what the links in /proc/PID/ns lead to, and what setns
//! takes.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use linux_raw_sys::general as linux;

use super::Task;
use super::ipc::IpcNamespace;
use super::mount_namespace::MountNamespace;
use super::pid_namespace::PidNamespace;
use super::user_namespace::UserNamespace;
use super::uts::UtsNamespace;
use crate::fs::special::SpecialFile;

/// A namespace of any kind.
#[derive(Clone)]
pub enum Namespace {
    /// The host's name.
    Uts(Arc<UtsNamespace>),
    /// System V's objects.
    Ipc(Arc<IpcNamespace>),
    /// Mounts.
    Mount(Arc<MountNamespace>),
    /// Numbers of tasks.
    Pid(Arc<PidNamespace>),
    /// Users.
    User(Arc<UserNamespace>),
}

impl Namespace {
    /// The one of a task that a name in /proc/PID/ns stands for.
    #[must_use]
    pub fn named(task: &Task, name: &[u8]) -> Option<Self> {
        let all = task.namespaces();
        Some(match name {
            b"uts" => Namespace::Uts(all.uts.clone()),
            b"ipc" => Namespace::Ipc(all.ipc.clone()),
            b"mnt" => Namespace::Mount(all.mount.clone()),
            b"pid" => Namespace::Pid(task.pid().namespace().clone()),
            b"pid_for_children" if crate::mutant!("pid-for-children-is-own") => {
                Namespace::Pid(task.pid().namespace().clone())
            }
            // It has no name before its first task.
            b"pid_for_children" if all.pid.has_begun() => Namespace::Pid(all.pid.clone()),
            b"user" => Namespace::User(task.credentials().user.clone()),
            _ => return None,
        })
    }

    /// The names that [`Namespace::named`] knows.
    pub const NAMES: [&str; 6] = ["ipc", "mnt", "pid", "pid_for_children", "user", "uts"];

    /// The flag of clone that makes one.
    #[must_use]
    pub fn flag(&self) -> u32 {
        match self {
            Namespace::Uts(_) => linux::CLONE_NEWUTS,
            Namespace::Ipc(_) => linux::CLONE_NEWIPC,
            Namespace::Mount(_) => linux::CLONE_NEWNS,
            Namespace::Pid(_) => linux::CLONE_NEWPID,
            Namespace::User(_) => linux::CLONE_NEWUSER,
        }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u64 {
        match self {
            Namespace::Uts(namespace) => namespace.number(),
            Namespace::Ipc(namespace) => namespace.number(),
            Namespace::Mount(namespace) => namespace.number(),
            Namespace::Pid(namespace) => namespace.number(),
            Namespace::User(namespace) => namespace.number(),
        }
    }

    /// What its link says: `uts:[4026531838]`.
    #[must_use]
    pub fn text(&self) -> String {
        let kind = match self {
            Namespace::Uts(_) => "uts",
            Namespace::Ipc(_) => "ipc",
            Namespace::Mount(_) => "mnt",
            Namespace::Pid(_) => "pid",
            Namespace::User(_) => "user",
        };
        format!("{kind}:[{}]", self.number())
    }
}

/// An open namespace.
pub struct NamespaceFile(pub Namespace);

impl SpecialFile for NamespaceFile {
    fn label(&self) -> String {
        self.0.text()
    }

    fn file_type(&self) -> u32 {
        linux::S_IFREG
    }
}
