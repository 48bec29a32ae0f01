//! `ptrace`: what a tracer asks of the tasks that it traces.

use linux_raw_sys::ptrace as linux;

use super::Call;
use super::user_io;
use crate::arch::fpu::{self, LEGACY_SIZE, SSE, X87};
use crate::errno::{Errno, Result};
use crate::mm::user;
use crate::signal::{SigInfo, SigSet, Signal};
use crate::task::ptrace::{self, Tracee, USER_REGISTERS, UserRegisters};

/// `ptrace(request, pid, addr, data)`
pub(super) fn ptrace(call: &mut Call<'_>) -> Result<u64> {
    let [request, pid, address, data, ..] = call.args;
    let number = pid as i32 as u32;
    let Ok(request) = u32::try_from(request) else {
        return Err(Errno::EIO);
    };
    match request {
        linux::PTRACE_TRACEME => ptrace::trace_me()?,
        linux::PTRACE_ATTACH => ptrace::attach(number, None)?,
        linux::PTRACE_SEIZE if address != 0 => return Err(Errno::EIO),
        linux::PTRACE_SEIZE => ptrace::attach(number, Some(data))?,
        linux::PTRACE_KILL => ptrace::find(number, true)?.kill(),
        linux::PTRACE_INTERRUPT => ptrace::find(number, true)?.interrupt()?,
        _ => return of_stopped(&ptrace::find(number, false)?, request, address, data),
    }
    Ok(0)
}

/// What a task has to be stopped for.
fn of_stopped(tracee: &Tracee, request: u32, address: u64, data: u64) -> Result<u64> {
    use ptrace::Until;
    match request {
        linux::PTRACE_CONT => tracee.go_on(data, Until::Stop)?,
        linux::PTRACE_SYSCALL => tracee.go_on(data, Until::Syscall)?,
        linux::PTRACE_SINGLESTEP => tracee.go_on(data, Until::Instruction)?,
        linux::PTRACE_DETACH => tracee.detach(data)?,
        linux::PTRACE_LISTEN => tracee.listen()?,
        linux::PTRACE_SETOPTIONS => tracee.set_options(data)?,
        linux::PTRACE_GETEVENTMSG => user::write_value(data, tracee.message()?)?,
        linux::PTRACE_PEEKTEXT | linux::PTRACE_PEEKDATA => {
            user::write_value(data, peek(tracee, address)?)?;
        }
        linux::PTRACE_POKETEXT | linux::PTRACE_POKEDATA => poke(tracee, address, data)?,
        linux::PTRACE_PEEKUSR => user::write_value(data, tracee.peek_user(address)?)?,
        linux::PTRACE_POKEUSR => tracee.poke_user(address, data)?,
        _ => return of_state(tracee, request, address, data),
    }
    Ok(0)
}

fn of_state(tracee: &Tracee, request: u32, address: u64, data: u64) -> Result<u64> {
    match request {
        linux::PTRACE_GETREGS => user::write_value(data, tracee.registers()?)?,
        linux::PTRACE_SETREGS => {
            tracee.set_registers(&user::read_value::<UserRegisters>(data)?)?;
        }
        linux::PTRACE_GETFPREGS => user::write_bytes(data, tracee.fpu()?.legacy())?,
        linux::PTRACE_SETFPREGS => {
            set_legacy(tracee, data, LEGACY_SIZE)?;
        }
        linux::PTRACE_GETREGSET => get_set(tracee, address, data)?,
        linux::PTRACE_SETREGSET => set_set(tracee, address, data)?,
        linux::PTRACE_GETSIGINFO => user::write_bytes(data, &tracee.info()?.to_bytes())?,
        linux::PTRACE_SETSIGINFO => tracee.set_info(read_info(data)?)?,
        linux::PTRACE_GETSIGMASK => {
            mask_size(address)?;
            user::write_value(data, tracee.mask())?;
        }
        linux::PTRACE_SETSIGMASK => {
            mask_size(address)?;
            tracee.set_mask(user::read_value::<SigSet>(data)?);
        }
        _ => return Err(Errno::EIO),
    }
    Ok(0)
}

fn mask_size(size: u64) -> Result<()> {
    if size == size_of::<SigSet>() as u64 {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

fn read_info(address: u64) -> Result<SigInfo> {
    let bytes: [u8; SigInfo::SIZE] = user::read_value(address)?;
    let number = i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let signal = u64::try_from(number).ok().and_then(Signal::new);
    // What has another number than the signal that is delivered is not used.
    Ok(SigInfo::from_bytes(
        signal.unwrap_or(Signal::SIGKILL),
        &bytes,
    ))
}

fn peek(tracee: &Tracee, address: u64) -> Result<u64> {
    let word = tracee.memory()?.read_value(address);
    word.map_err(|_| Errno::EIO)
}

fn poke(tracee: &Tracee, address: u64, value: u64) -> Result<()> {
    let poked = tracee.memory()?.poke(address, &value.to_le_bytes());
    poked.map_err(|_| Errno::EIO)
}

/// General registers, those of x87 and SSE, and all that XSAVE saves.
const NT_PRSTATUS: u64 = 1;
const NT_PRFPREG: u64 = 2;
const NT_X86_XSTATE: u64 = 0x202;

const REGISTER_BYTES: usize = USER_REGISTERS * 8;

/// The buffer that an iovec names, cut to the size of a set of registers, all
/// of whose parts have a size of their own.
fn buffer(kind: u64, at: u64) -> Result<(u64, usize)> {
    let [base, len]: [u64; 2] = user::read_value(at)?;
    let (size, part) = match kind {
        NT_PRSTATUS => (REGISTER_BYTES, 8),
        NT_PRFPREG => (LEGACY_SIZE, 4),
        NT_X86_XSTATE if !fpu::has_xsave() => return Err(Errno::ENODEV),
        NT_X86_XSTATE => (fpu::size(), 8),
        _ => return Err(Errno::EINVAL),
    };
    if len % part != 0 {
        return Err(Errno::EINVAL);
    }
    let len = len.min(size as u64);
    user_io::range(base, len)?;
    user::write_value(at + 8, len)?;
    Ok((base, len as usize))
}

fn get_set(tracee: &Tracee, kind: u64, at: u64) -> Result<()> {
    let (base, len) = buffer(kind, at)?;
    match kind {
        NT_PRSTATUS => {
            let registers = tracee.registers()?;
            user::write_bytes(base, &user::bytes_of(&registers)[..len])
        }
        NT_X86_XSTATE => {
            let mut state = tracee.fpu()?;
            // The bytes that are software's tell XCR0.
            let software = &mut state.bytes_mut()[464..LEGACY_SIZE];
            software.fill(0);
            software[..8].copy_from_slice(&fpu::features().to_le_bytes());
            user::write_bytes(base, &state.bytes()[..len])
        }
        _ => user::write_bytes(base, &tracee.fpu()?.legacy()[..len]),
    }
}

fn set_set(tracee: &Tracee, kind: u64, at: u64) -> Result<()> {
    let (base, len) = buffer(kind, at)?;
    match kind {
        NT_PRSTATUS => {
            let mut bytes = [0; REGISTER_BYTES];
            user::read_bytes(base, &mut bytes[..len])?;
            let registers = tracee.registers()?;
            tracee.set_registers(&registers.with_bytes(0, &bytes[..len]))
        }
        // All or nothing.
        NT_X86_XSTATE if len != fpu::size() => Err(Errno::EFAULT),
        NT_X86_XSTATE => {
            let mut state = tracee.fpu()?;
            user::read_bytes(base, state.bytes_mut())?;
            if !state.has_valid_header() {
                return Err(Errno::EINVAL);
            }
            tracee.set_fpu(state)
        }
        _ => set_legacy(tracee, base, len),
    }
}

/// Sets the first bytes of what FXSAVE has.
fn set_legacy(tracee: &Tracee, base: u64, len: usize) -> Result<()> {
    let mut state = tracee.fpu()?;
    user::read_bytes(base, &mut state.bytes_mut()[..len])?;
    state.set_components(state.components() | X87 | SSE);
    tracee.set_fpu(state)
}
