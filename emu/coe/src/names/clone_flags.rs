//! The flags of clone by name, with the exit signal in the low byte.

use super::signals;

const FLAGS: &[(u64, &str)] = &[
    (0x100, "CLONE_VM"),
    (0x200, "CLONE_FS"),
    (0x400, "CLONE_FILES"),
    (0x800, "CLONE_SIGHAND"),
    (0x1000, "CLONE_PIDFD"),
    (0x2000, "CLONE_PTRACE"),
    (0x4000, "CLONE_VFORK"),
    (0x8000, "CLONE_PARENT"),
    (0x1_0000, "CLONE_THREAD"),
    (0x2_0000, "CLONE_NEWNS"),
    (0x4_0000, "CLONE_SYSVSEM"),
    (0x8_0000, "CLONE_SETTLS"),
    (0x10_0000, "CLONE_PARENT_SETTID"),
    (0x20_0000, "CLONE_CHILD_CLEARTID"),
    (0x40_0000, "CLONE_DETACHED"),
    (0x80_0000, "CLONE_UNTRACED"),
    (0x100_0000, "CLONE_CHILD_SETTID"),
    (0x200_0000, "CLONE_NEWCGROUP"),
    (0x400_0000, "CLONE_NEWUTS"),
    (0x800_0000, "CLONE_NEWIPC"),
    (0x1000_0000, "CLONE_NEWUSER"),
    (0x2000_0000, "CLONE_NEWPID"),
    (0x4000_0000, "CLONE_NEWNET"),
    (0x8000_0000, "CLONE_IO"),
    (0x1_0000_0000, "CLONE_CLEAR_SIGHAND"),
    (0x2_0000_0000, "CLONE_INTO_CGROUP"),
];

/// `CLONE_VM|CLONE_FS|SIGCHLD`; bits without a name in hexadecimal; `0` for nothing.
#[must_use]
pub fn name(flags: u64) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut rest = flags & !0xFF;
    for (bit, name) in FLAGS {
        if flags & bit != 0 {
            words.push((*name).to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 {
        words.push(format!("{rest:#x}"));
    }
    if flags & 0xFF != 0 {
        words.push(signals::name(flags & 0xFF));
    }
    if words.is_empty() {
        "0".to_owned()
    } else {
        words.join("|")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_signal_are_named() {
        assert_eq!(name(17), "SIGCHLD");
        assert_eq!(name(0x4100 | 17), "CLONE_VM|CLONE_VFORK|SIGCHLD");
        assert_eq!(name(0), "0");
        assert_eq!(name(1 << 40), "0x10000000000");
    }
}
