//! Entries: every exception, every interrupt and SYSCALL come through here and
//! leave through here.
//!
//! Interrupts are off in the windows in which GS or the stack is still the
//! user's: gates clear IF, SYSCALL's mask clears it, and both ways back run
//! with it cleared from the last look at pending work to IRETQ or SYSRET.

use core::arch::global_asm;
use core::mem::size_of;

use super::gdt::{KERNEL_CS, USER_CS, USER_SS};
use super::{irq, layout, paging, percpu};
use crate::sync::Once;

/// The registers of the interrupted code, as the entries push them.
#[repr(C)]
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names are the registers'")]
pub struct TrapFrame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    /// The vector, or [`SYSCALL_VECTOR`], or [`NO_VECTOR`].
    pub vector: u64,
    /// The error code, or the number of the system call.
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// The frame is that of a system call.
pub const SYSCALL_VECTOR: u64 = 0x100;
/// The frame was made up, or its system call is over.
pub const NO_VECTOR: u64 = 0x101;

/// Interrupt enable.
pub const RFLAGS_IF: u64 = 1 << 9;
/// Single step.
pub const RFLAGS_TF: u64 = 1 << 8;
/// Direction.
pub const RFLAGS_DF: u64 = 1 << 10;
/// Resume.
pub const RFLAGS_RF: u64 = 1 << 16;
/// The bits of RFLAGS that a program may set: CF PF AF ZF SF TF DF OF RF AC ID.
pub const RFLAGS_USER: u64 = 0x25_0DD5;

impl TrapFrame {
    /// True if user mode was interrupted.
    #[must_use]
    pub fn is_from_user(&self) -> bool {
        self.cs & 3 == 3
    }

    /// A frame in which a new program starts.
    #[must_use]
    pub fn user(rip: u64, rsp: u64) -> Self {
        TrapFrame {
            vector: NO_VECTOR,
            rip,
            cs: u64::from(USER_CS),
            rflags: RFLAGS_IF | 2,
            rsp,
            ss: u64::from(USER_SS),
            ..TrapFrame::default()
        }
    }

    /// True if SYSRET brings the user exactly here.
    fn fits_sysret(&self) -> bool {
        self.rcx == self.rip
            && self.r11 == self.rflags
            && self.rip < layout::USER_END
            && self.rflags & (RFLAGS_TF | RFLAGS_RF) == 0
            && self.cs == u64::from(USER_CS)
            && self.ss == u64::from(USER_SS)
    }
}

/// The user's frame lies at the top of the task's kernel stack.
#[must_use]
pub fn user_frame(stack_top: u64) -> *mut TrapFrame {
    (stack_top - size_of::<TrapFrame>() as u64) as *mut TrapFrame
}

/// Where the entries go.
pub struct Hooks {
    /// A system call; interrupts are on.
    pub syscall: fn(&mut TrapFrame),
    /// An exception with CR2; interrupts are as they were before it.
    pub fault: fn(&mut TrapFrame, u64),
    /// An interrupt; interrupts are off.
    pub interrupt: fn(u8),
    /// About to return to user mode; called with interrupts on, and again
    /// until `pending` says that nothing is left.
    pub leave: fn(&mut TrapFrame),
    /// Whether `leave` has something to do; called with interrupts off.
    pub pending: fn() -> bool,
    /// Kernel code was interrupted and may be preempted; interrupts are off.
    pub preempt: fn(),
}

/// The kernel's hooks, set at boot.
pub static HOOKS: Once<Hooks> = Once::new();

fn hooks() -> &'static Hooks {
    HOOKS
        .get()
        .expect("no entry happens before the hooks are set")
}

/// Works off what is pending and returns with interrupts off.
extern "C" fn leave_to_user(frame: &mut TrapFrame) {
    let hooks = hooks();
    irq::off();
    while (hooks.pending)() {
        irq::on();
        (hooks.leave)(frame);
        irq::off();
    }
    debug_assert!(percpu::with(|cpu| cpu.irq_depth) == 0);
    percpu::with(|cpu| cpu.leave_kernel());
}

extern "C" fn trap_dispatch(frame: &mut TrapFrame) {
    let hooks = hooks();
    if frame.is_from_user() {
        percpu::with(|cpu| cpu.enter_kernel());
    }
    if frame.vector < 32 {
        let address = paging::fault_address();
        if frame.rflags & RFLAGS_IF != 0 {
            irq::on();
        }
        (hooks.fault)(frame, address);
        irq::off();
    } else {
        (hooks.interrupt)(frame.vector as u8);
    }
    if frame.is_from_user() {
        leave_to_user(frame);
    } else if frame.vector >= 32 && frame.rflags & RFLAGS_IF != 0 {
        (hooks.preempt)();
    }
}

extern "C" fn syscall_dispatch(frame: &mut TrapFrame) -> bool {
    percpu::with(|cpu| cpu.enter_kernel());
    irq::on();
    (hooks().syscall)(frame);
    leave_to_user(frame);
    frame.fits_sysret()
}

extern "C" fn double_fault(frame: &TrapFrame) -> ! {
    panic!("double fault at {:#x}, rsp {:#x}", frame.rip, frame.rsp)
}

unsafe extern "C" {
    /// 256 entries of 16 bytes each.
    pub safe static trap_stubs: [[u8; 16]; 256];
    /// Where SYSCALL goes.
    pub fn syscall_entry();
    /// Where non-maskable interrupts go: nothing here makes any, they are let go.
    pub fn nmi_entry();
    /// Where double faults go.
    pub fn double_fault_entry();
    /// Where a new task starts: see `context`.
    pub fn task_entry();
}

global_asm!(
    r#"
    .macro save_registers
    push rdi
    push rsi
    push rdx
    push rcx
    push rax
    push r8
    push r9
    push r10
    push r11
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    .endm

    .macro load_registers
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    pop r11
    pop r10
    pop r9
    pop r8
    pop rax
    pop rcx
    pop rdx
    pop rsi
    pop rdi
    .endm

    .text
    .balign 16
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21 && vector != 29 && vector != 30
    push 0
    .endif
    push vector
    jmp trap_entry
    .set vector, vector + 1
    .endr

    .balign 16
trap_entry:
    test byte ptr [rsp + 24], 3
    jz 2f
    swapgs
2:  save_registers
    cld
    mov rdi, rsp
    call {dispatch}
trap_return:
    test byte ptr [rsp + 144], 3
    jz 3f
    load_registers
    add rsp, 16
    swapgs
    iretq
3:  load_registers
    add rsp, 16
    iretq

    .balign 16
    .globl syscall_entry
syscall_entry:
    swapgs
    mov gs:[{user_rsp}], rsp
    mov rsp, gs:[{kernel_rsp}]
    push {user_ss}
    push qword ptr gs:[{user_rsp}]
    push r11
    push {user_cs}
    push rcx
    push rax
    push {syscall_vector}
    save_registers
    mov rdi, rsp
    call {syscall}
    test al, al
    jz trap_return
    load_registers
    mov rsp, [rsp + 40]
    swapgs
    sysretq

    .globl task_entry
task_entry:
    call {started}
    mov rdi, r13
    call r12
    mov rdi, rsp
    call {leave}
    jmp trap_return

    .globl nmi_entry
nmi_entry:
    iretq

    .globl double_fault_entry
double_fault_entry:
    push 8
    save_registers
    mov ecx, 0xC0000101
    rdmsr
    test edx, edx
    js 4f
    swapgs
4:  mov rdi, rsp
    call {double_fault}
    ud2
    "#,
    dispatch = sym trap_dispatch,
    syscall = sym syscall_dispatch,
    leave = sym leave_to_user,
    started = sym super::context::started,
    double_fault = sym double_fault,
    user_rsp = const percpu::USER_RSP,
    kernel_rsp = const percpu::KERNEL_RSP,
    user_ss = const USER_SS,
    user_cs = const USER_CS,
    syscall_vector = const SYSCALL_VECTOR,
);

const _: () = assert!(size_of::<TrapFrame>() == 176);
const _: () = assert!(core::mem::offset_of!(TrapFrame, cs) == 144);
const _: () = assert!(KERNEL_CS & 3 == 0);
