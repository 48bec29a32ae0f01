//! FMA: twelve forms of four operations, which differ in which register holds which operand.

use machine::cpu::fp::{DOUBLE, Flags, Format, SINGLE, fused, sse};

use crate::ROUNDS;
use crate::host::host_fma;
use crate::random::{Random, mxcsr, triple};

#[track_caller]
fn judge(
    name: &str,
    format: Format,
    kind: fused::Kind,
    order: [usize; 3],
    theirs: impl Fn([u64; 3], u32) -> (u64, Flags),
) {
    let mut random = Random(name.len() as u64 + order[0] as u64);
    let mask = if format == SINGLE {
        0xffff_ffff
    } else {
        u64::MAX
    };
    for _ in 0..ROUNDS {
        let operands = triple(&mut random, format);
        let mut registers = [0; 3];
        for (operand, &register) in operands.iter().zip(&order) {
            registers[register] = *operand;
        }
        let mxcsr = mxcsr(&mut random);
        let (want, want_flags) = theirs(registers, mxcsr);
        let control = sse::Control::from_mxcsr(mxcsr);
        let (got, flags) = fused::multiply_add(kind, format, operands, control);
        let want = want & mask;
        assert_eq!(
            (got, flags),
            (want, want_flags),
            "{name} {operands:#x?} mxcsr {mxcsr:#x}: got {got:#x}, host {want:#x}",
        );
    }
}

macro_rules! table {
    ($($name:ident $kind:ident;)*) => { $(
        #[test]
        fn $name() {
            if std::is_x86_feature_detected!("fma") {
                table!(@ concat!(stringify!($name), "132sd"), DOUBLE, $kind, [0, 2, 1]);
                table!(@ concat!(stringify!($name), "213sd"), DOUBLE, $kind, [1, 0, 2]);
                table!(@ concat!(stringify!($name), "231sd"), DOUBLE, $kind, [1, 2, 0]);
                table!(@ concat!(stringify!($name), "132ss"), SINGLE, $kind, [0, 2, 1]);
                table!(@ concat!(stringify!($name), "213ss"), SINGLE, $kind, [1, 0, 2]);
                table!(@ concat!(stringify!($name), "231ss"), SINGLE, $kind, [1, 2, 0]);
            }
        }
    )* };
    (@ $name:expr, $format:ident, $kind:ident, $order:expr) => {
        judge($name, $format, fused::Kind::$kind, $order, |operands, mxcsr| {
            host_fma!(concat!($name, " xmm0, xmm1, xmm2"), operands, mxcsr)
        });
    };
}

table! {
    vfmadd Add;
    vfmsub Sub;
    vfnmadd NegatedAdd;
    vfnmsub NegatedSub;
}
