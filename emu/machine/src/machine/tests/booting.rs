//! Which machines start, and how.

use super::*;

#[test]
fn a_pvh_kernel_starts_in_32_bits_with_its_start_info() {
    let mut a = CodeAssembler::new(32).unwrap();
    a.mov(edx, 0xF4).unwrap();
    a.mov(eax, dword_ptr(ebx)).unwrap();
    a.out(dx, eax).unwrap();
    let code = a.assemble(CODE).unwrap();
    let kernel = crate::loader::test_kernel(CODE, &code, CODE as u32);
    let images = Images {
        kernel: &kernel,
        initrd: None,
        cmdline: "",
        disk: None,
    };
    let mut machine = Machine::boot(&config(), &images).unwrap();
    assert_eq!(machine.run(10_000, &mut Nobody), Stop::Exit(0x336E_C578));
}

#[test]
fn impossible_machines_are_refused() {
    let images = Images {
        kernel: &[],
        initrd: None,
        cmdline: "",
        disk: None,
    };
    for memory in [0, 15 << 20, (16 << 20) + 4096, 17 << 30, u64::MAX] {
        let refused = Machine::boot(&Config { memory, ..config() }, &images).err();
        assert_eq!(refused, Some(LoadError::Memory(memory)));
    }
    for cpus in [0, 2] {
        let refused = Machine::boot(&Config { cpus, ..config() }, &images).err();
        assert_eq!(refused, Some(LoadError::Cpus(cpus)));
    }
}
