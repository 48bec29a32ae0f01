//! What the small kernel does when it is entered.

use iced_x86::IcedError;
use iced_x86::code_asm::*;

use super::guest::Nature;
use super::layout::*;
use super::start::pointers;

const EOI: u32 = 0xFEE0_00B0;

/// Below RSP when everything is on the stack: RDX, RCX, RAX, vector, error code,
/// and what the CPU pushes.
const RAX: i32 = 16;
const VECTOR: i32 = 24;
const RIP: i32 = 40;
const FLAGS: i32 = 56;
const RSP: i32 = 64;

const TRAP: u32 = 1 << 8;
const ALIGN: u32 = 1 << 18;
const NESTED: u32 = 1 << 14;

/// The code at [`HANDLER`], and 0x1000 behind it the entry of SYSCALL.
pub(super) fn handler(nature: &Nature) -> Vec<u8> {
    let mut code = entered(nature).expect("code that can be put together");
    assert!(code.len() <= 0x1000, "the handler grew out of its page");
    code.resize(0x1000, 0);
    code.extend(system_call(nature).expect("code that can be put together"));
    code
}

/// The way in by SYSCALL: the stack as an interrupt through vector 0x80 has it.
fn system_call(nature: &Nature) -> Result<Vec<u8>, IcedError> {
    let (code, data) = match nature.user {
        true => (USER_CODE, USER_DATA),
        false => (KERNEL_CODE, KERNEL_DATA),
    };
    let mut a = CodeAssembler::new(64)?;
    if nature.user {
        // Half of them come back by SYSRET, at once.
        let mut served = a.create_label();
        a.test(eax, 2)?;
        a.je(served)?;
        a.inc(qword_ptr(COUNT))?;
        a.sysretq()?;
        a.set_label(&mut served)?;
    }
    a.mov(qword_ptr(SAVED_RSP), rsp)?;
    a.mov(esp, STACK as u32)?;
    a.push(i32::from(data))?;
    a.push(qword_ptr(SAVED_RSP))?;
    a.push(r11)?;
    a.push(i32::from(code))?;
    a.push(rcx)?;
    a.push(0)?;
    a.push(0x80)?;
    a.jmp(HANDLER)?;
    a.assemble(STUBS + 0x2000)
}

fn entered(nature: &Nature) -> Result<Vec<u8>, IcedError> {
    let mut a = CodeAssembler::new(64)?;
    let mut labels = [(); 6].map(|()| a.create_label());
    let [exception, out, debug, page, interrupt, service] = &mut labels;
    a.push(rax)?;
    a.push(rcx)?;
    a.push(rdx)?;
    a.inc(qword_ptr(COUNT))?;
    a.mov(rdx, qword_ptr(COUNT))?;
    a.mov(ecx, dword_ptr(rsp + VECTOR))?;
    a.cmp(ecx, 0x80)?;
    a.je(*service)?;
    a.cmp(ecx, 32)?;
    a.jae(*interrupt)?;
    a.clts()?;
    a.cmp(ecx, 7)?;
    a.je(*out)?;
    a.cmp(ecx, 1)?;
    a.je(*debug)?;
    a.cmp(ecx, 14)?;
    a.je(*page)?;

    a.set_label(exception)?;
    elsewhere(&mut a, nature)?;
    a.jmp(*out)?;

    a.set_label(page)?;
    page_fault(&mut a, nature, *exception)?;
    a.jmp(*out)?;

    a.set_label(interrupt)?;
    a.mov(ecx, EOI)?;
    a.mov(dword_ptr(rcx), 0)?;
    if nature.patch {
        patch(&mut a)?;
    }
    // So that no endless loop is the end.
    a.test(edx, 15)?;
    a.je(*exception)?;
    a.jmp(*out)?;

    a.set_label(debug)?;
    a.test(edx, 7)?;
    a.jne(*out)?;
    a.xor(eax, eax)?;
    a.mov(dr7, rax)?;
    a.and(dword_ptr(rsp + FLAGS), !TRAP as i32)?;
    a.jmp(*out)?;

    a.set_label(service)?;
    services(&mut a, *out)?;

    a.set_label(out)?;
    a.pop(rdx)?;
    a.pop(rcx)?;
    a.pop(rax)?;
    a.add(rsp, 16)?;
    a.iretq()?;
    a.assemble(HANDLER)
}

/// Goes on at another landing, with pointers.
fn elsewhere(a: &mut CodeAssembler, nature: &Nature) -> Result<(), IcedError> {
    a.mov(eax, edx)?;
    a.and(eax, 63)?;
    a.mov(rax, qword_ptr(rax * 8 + LANDINGS))?;
    a.mov(qword_ptr(rsp + RIP), rax)?;
    a.mov(eax, TOP as u32)?;
    a.mov(qword_ptr(rsp + RSP), rax)?;
    a.and(dword_ptr(rsp + FLAGS), !(TRAP | NESTED) as i32)?;
    match nature.smap {
        true => a.xor(dword_ptr(rsp + FLAGS), ALIGN as i32)?,
        false => a.and(dword_ptr(rsp + FLAGS), !ALIGN as i32)?,
    }
    pointers(a)
}

/// Maps a frame of data where the window has no page or may not be written to,
/// at every other time; code stays as it is.
fn page_fault(
    a: &mut CodeAssembler,
    nature: &Nature,
    exception: CodeLabel,
) -> Result<(), IcedError> {
    a.test(edx, 1)?;
    a.jne(exception)?;
    a.mov(rax, cr2)?;
    a.sub(rax, WINDOW as i32)?;
    a.shr(rax, 12)?;
    a.cmp(rax, 512)?;
    a.jae(exception)?;
    a.cmp(eax, 16)?;
    a.jb(exception)?;
    a.mov(ecx, eax)?;
    a.and(ecx, 15)?;
    a.shl(ecx, 12)?;
    let rights = if nature.low_rights() { 7 } else { 3 };
    a.add(ecx, (DATA_FRAMES | rights) as i32)?;
    a.mov(qword_ptr(rax * 8 + PT_WINDOW), rcx)
}

/// Changes a byte of the code, behind its back.
fn patch(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(eax, edx)?;
    a.and(eax, 15)?;
    a.mov(rcx, qword_ptr(rax * 8 + PATCHES))?;
    a.inc(byte_ptr(rcx))
}

/// What writes a service down.
type Service = fn(&mut CodeAssembler) -> Result<(), IcedError>;

/// What AL asks for; the bits above say of which page, and of how many
/// instructions.
fn services(a: &mut CodeAssembler, out: CodeLabel) -> Result<(), IcedError> {
    let services: [Service; 14] = [
        |a| toggle(a, 2, true),
        |a| toggle(a, 1, true),
        |a| toggle(a, 0x60, true),
        // The TLB is not told.
        |a| toggle(a, 2, false),
        |a| toggle(a, 1, false),
        reload,
        patch,
        swap_code,
        ceremony,
        speak,
        count,
        watch,
        time,
        lazily,
    ];
    for (number, service) in services.into_iter().enumerate() {
        let mut next = a.create_label();
        a.mov(eax, dword_ptr(rsp + RAX))?;
        a.mov(ecx, eax)?;
        a.and(ecx, 15)?;
        a.cmp(ecx, number as u32)?;
        a.jne(next)?;
        a.shr(eax, 8)?;
        service(a)?;
        a.jmp(out)?;
        a.set_label(&mut next)?;
    }
    a.jmp(out)
}

/// Changes bits of a page's entry, one of data or of a hole.
fn toggle(a: &mut CodeAssembler, bits: i32, invalidate: bool) -> Result<(), IcedError> {
    a.and(eax, 31)?;
    a.add(eax, 16)?;
    a.xor(qword_ptr(rax * 8 + PT_WINDOW), bits)?;
    // What was never mapped gets no frame by that but frame 0.
    if invalidate {
        a.shl(rax, 12)?;
        a.add(rax, WINDOW as i32)?;
        a.invlpg(ptr(rax))?;
    }
    Ok(())
}

fn reload(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(rax, cr3)?;
    a.mov(cr3, rax)
}

/// Two pages of code change their places, and the TLB hears of one.
fn swap_code(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.and(eax, 6)?;
    a.mov(rcx, qword_ptr(rax * 8 + PT_WINDOW))?;
    a.xchg(qword_ptr(rax * 8 + (PT_WINDOW + 8)), rcx)?;
    a.mov(qword_ptr(rax * 8 + PT_WINDOW), rcx)?;
    a.shl(rax, 12)?;
    a.add(rax, WINDOW as i32)?;
    a.invlpg(ptr(rax))
}

/// What changes nothing, and is not known to.
fn ceremony(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(rcx, cr8)?;
    a.mov(cr8, rcx)?;
    a.wbinvd()
}

fn speak(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(edx, 0x3F8)?;
    a.out(dx, al)?;
    a.in_(al, 0x61)
}

/// Lets a counter overflow after some instructions, with an interrupt.
fn count(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.and(eax, 0x3FF)?;
    a.not(rax)?;
    a.cdq()?;
    a.mov(ecx, 0xC1)?;
    a.wrmsr()?;
    a.xor(edx, edx)?;
    a.mov(eax, 0x53_00C0)?;
    a.mov(ecx, 0x186)?;
    a.wrmsr()?;
    a.mov(eax, 1)?;
    a.mov(ecx, 0x390)?;
    a.wrmsr()?;
    a.mov(ecx, 0x38F)?;
    a.wrmsr()?;
    // An overflow masks its own entry.
    a.mov(ecx, 0xFEE0_0340u32)?;
    a.mov(dword_ptr(rcx), 0x50)
}

/// A breakpoint on data, for writes.
fn watch(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.and(eax, 0xFF8)?;
    a.add(eax, DATA as i32)?;
    a.mov(dr0, rax)?;
    a.mov(eax, 0xD_0401)?;
    a.mov(dr7, rax)
}

fn time(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.rdtsc()?;
    a.mov(ecx, 0xFEE0_0390u32)?;
    a.add(eax, dword_ptr(rcx))?;
    a.mov(qword_ptr(rsp + RAX), rax)
}

/// The next floating-point instruction faults.
fn lazily(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(rax, cr0)?;
    a.or(eax, 8)?;
    a.mov(cr0, rax)
}
