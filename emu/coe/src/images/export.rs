//! `coe images`: the same guest for another computer.

use std::fs;
use std::path::Path;

use super::Setup;
use crate::Error;

/// Writes `kernel.elf`, `initrd.cpio`, `cmdline.txt`, `run-qemu.sh` and, if there is
/// a disk, `disk.img` into a folder.
///
/// # Errors
/// If the host does not let us write there.
pub fn write(setup: &Setup, folder: &Path) -> Result<(), Error> {
    let put = |name: &str, contents: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, contents).map_err(|source| Error::write(&path, source))
    };
    fs::create_dir_all(folder).map_err(|source| Error::write(folder, source))?;
    put("kernel.elf", &setup.kernel)?;
    put("initrd.cpio", setup.initrd.as_deref().unwrap_or_default())?;
    if let Some(disk) = &setup.disk {
        put("disk.img", disk)?;
    }
    put("cmdline.txt", format!("{}\n", setup.cmdline).as_bytes())?;
    put("run-qemu.sh", script(setup).as_bytes())?;
    executable(&folder.join("run-qemu.sh"))
}

fn script(setup: &Setup) -> String {
    let mebibytes = setup.hardware.memory >> 20;
    // A disk behind virtio-mmio is what QEMU's smallest machine has, at the
    // place and on the line that coe's has.
    let machine = match setup.disk {
        None => "pc",
        Some(_) => {
            "microvm,ioapic2=off -global virtio-mmio.force-legacy=off \\
    -drive \"if=none,id=disk,format=raw,file=$here/disk.img\" \\
    -device virtio-blk-device,drive=disk,bus=virtio-mmio-bus.0"
        }
    };
    format!(
        r#"#!/bin/sh
# Starts the same guest on QEMU. What the guest's exit would be on coe, QEMU
# turns into the status (value * 2 + 1) modulo 256; this script turns it back.
# Only seven bits survive that: a program killed by signal n looks like status n,
# and a panic of the kernel like 0, but says so on the console.
here=$(dirname "$0")
qemu-system-x86_64 -machine {machine} -cpu max -m {mebibytes}M \
    -kernel "$here/kernel.elf" -initrd "$here/initrd.cpio" -append "$(cat "$here/cmdline.txt")" \
    -display none -serial stdio -monitor none -no-reboot \
    -device isa-debug-exit,iobase=0xf4,iosize=4 "$@"
status=$?
if [ $((status % 2)) -eq 1 ]; then exit $((status / 2)); fi
echo "QEMU ended with status $status and not through the guest's exit" >&2
exit 125
"#
    )
}

#[cfg(unix)]
fn executable(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(|source| Error::write(path, source))
}

#[cfg(not(unix))]
fn executable(_path: &Path) -> Result<(), Error> {
    Ok(())
}
