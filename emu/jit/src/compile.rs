//! From a [`Plan`] to code in memory.

use std::sync::Arc;

use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{
    AbiParam, Function, InstBuilder, MemFlagsData, Signature, UserFuncName, types,
};
use cranelift_codegen::isa::{CallConv, TargetIsa, lookup_by_name};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{Context, FinalizedMachReloc};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use machine::CostModel;

use crate::code::{Arena, Code};
use crate::emit;
use crate::plan::Plan;
use crate::region::Region;
use crate::state::State;

/// The host, as Cranelift calls it.
#[cfg(all(target_arch = "x86_64", not(windows)))]
const HOST: &str = "x86_64-unknown-linux-gnu";
#[cfg(all(target_arch = "aarch64", not(target_vendor = "apple")))]
const HOST: &str = "aarch64-unknown-linux-gnu";
#[cfg(all(target_arch = "aarch64", target_vendor = "apple"))]
const HOST: &str = "aarch64-apple-darwin";

#[cfg(not(any(all(target_arch = "x86_64", not(windows)), target_arch = "aarch64")))]
const HOST: &str = "a host without a compiler";

/// Compiles regions.
pub(crate) struct Compiler {
    isa: Arc<dyn TargetIsa>,
    context: Context,
    builder: FunctionBuilderContext,
    /// What regions are in, and what the stubs are in.
    arena: Arena,
    _stubs: Arena,
    /// Calls the function that fills the fast path, and saves all registers.
    stub: Code,
    /// Calls a region.
    gate: Code,
}

impl std::fmt::Debug for Compiler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiler").finish_non_exhaustive()
    }
}

impl Compiler {
    /// Whether there can be one for this host.
    pub(crate) fn is_possible() -> bool {
        lookup_by_name(HOST).is_ok()
    }

    /// A compiler for this host, if it is one of those that it can be for.
    pub(crate) fn new() -> Option<Compiler> {
        let mut flags = settings::builder();
        for (name, value) in [
            ("opt_level", "speed"),
            ("enable_probestack", "false"),
            // Regions call each other for good.
            ("preserve_frame_pointers", "true"),
            ("unwind_info", "false"),
            (
                "enable_verifier",
                if cfg!(debug_assertions) {
                    "true"
                } else {
                    "false"
                },
            ),
        ] {
            flags.set(name, value).ok()?;
        }
        let mut builder = lookup_by_name(HOST).ok()?;
        for name in features() {
            builder.enable(name).ok()?;
        }
        let isa = builder.finish(settings::Flags::new(flags)).ok()?;
        let mut context = Context::new();
        let mut stubs = Arena::default();
        let stub = stub(&*isa, &mut context, &mut stubs)?;
        let gate = gate(&*isa, &mut context, &mut stubs)?;
        Some(Compiler {
            isa,
            context,
            builder: FunctionBuilderContext::new(),
            arena: Arena::default(),
            _stubs: stubs,
            stub,
            gate,
        })
    }

    /// Address of what compiled code calls to have the fast path filled.
    pub(crate) fn fill_stub(&self) -> u64 {
        self.stub.address()
    }

    /// What regions are entered through.
    pub(crate) fn gate(&self) -> &Code {
        &self.gate
    }

    /// The regions' memory.
    pub(crate) fn arena(&mut self) -> &mut Arena {
        &mut self.arena
    }

    /// Compiles a region of this number; none if the host has no memory, or
    /// Cranelift refuses.
    pub(crate) fn compile(&mut self, plan: Plan, model: CostModel, number: u32) -> Option<Region> {
        self.context.clear();
        let signature = emit::signature();
        self.context.func = Function::with_name_signature(UserFuncName::default(), signature);
        let builder = FunctionBuilder::new(&mut self.context.func, &mut self.builder);
        let asides = emit::build(builder, &plan, model, number, self.isa.frontend_config());
        let code = finish(&*self.isa, &mut self.context, &mut self.arena)?;
        Some(Region::new(plan, code, asides))
    }
}

/// What the host's CPU has that makes code shorter. Results do not depend on it.
fn features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let mut features = Vec::new();
        let mut note = |there: bool, name| {
            if there {
                features.push(name);
            }
        };
        note(is_x86_feature_detected!("sse3"), "has_sse3");
        note(is_x86_feature_detected!("ssse3"), "has_ssse3");
        note(is_x86_feature_detected!("sse4.1"), "has_sse41");
        note(is_x86_feature_detected!("sse4.2"), "has_sse42");
        note(is_x86_feature_detected!("popcnt"), "has_popcnt");
        note(is_x86_feature_detected!("bmi1"), "has_bmi1");
        note(is_x86_feature_detected!("bmi2"), "has_bmi2");
        note(is_x86_feature_detected!("lzcnt"), "has_lzcnt");
        note(is_x86_feature_detected!("avx"), "has_avx");
        features
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        Vec::new()
    }
}

/// Compiles what the context holds.
fn finish(isa: &dyn TargetIsa, context: &mut Context, arena: &mut Arena) -> Option<Code> {
    let compiled = context.compile(isa, &mut ControlPlane::default()).ok()?;
    let relocations: &[FinalizedMachReloc] = compiled.buffer.relocs();
    if !relocations.is_empty() {
        return None;
    }
    arena.add(compiled.code_buffer()).ok()
}

/// A function that calls another with the same arguments, and leaves all
/// registers as they were.
fn stub(isa: &dyn TargetIsa, context: &mut Context, arena: &mut Arena) -> Option<Code> {
    let shape = |convention| {
        let mut signature = Signature::new(convention);
        signature.params = vec![AbiParam::new(types::I64); 3];
        signature
    };
    let signature = shape(CallConv::PreserveAll);
    context.func = Function::with_name_signature(UserFuncName::default(), signature);
    let mut frontend = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut context.func, &mut frontend);
    let block = b.create_block();
    b.append_block_params_for_function_params(block);
    b.switch_to_block(block);
    let arguments = b.block_params(block).to_vec();
    let offset = std::mem::offset_of!(State<'_, '_>, fill_host) as i32;
    let flags = MemFlagsData::trusted();
    let target = b.ins().load(types::I64, flags, arguments[0], offset);
    let signature = b.import_signature(shape(isa.default_call_conv()));
    b.ins().call_indirect(signature, target, &arguments);
    b.ins().return_(&[]);
    b.seal_all_blocks();
    b.finalize(isa.frontend_config());
    let code = finish(isa, context, arena);
    context.clear();
    code
}

/// A function by the host's convention that calls a region: its first arguments
/// are the region's, the last is the region's code.
fn gate(isa: &dyn TargetIsa, context: &mut Context, arena: &mut Arena) -> Option<Code> {
    let mut signature = emit::signature();
    signature.call_conv = isa.default_call_conv();
    signature.params.push(AbiParam::new(types::I64));
    context.func = Function::with_name_signature(UserFuncName::default(), signature);
    let mut frontend = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut context.func, &mut frontend);
    let block = b.create_block();
    b.append_block_params_for_function_params(block);
    b.switch_to_block(block);
    let [state, cpu, entry, code] = [0, 1, 2, 3].map(|i| b.block_params(block)[i]);
    let signature = b.import_signature(emit::signature());
    let call = b.ins().call_indirect(signature, code, &[state, cpu, entry]);
    let reason = b.inst_results(call)[0];
    b.ins().return_(&[reason]);
    b.seal_all_blocks();
    b.finalize(isa.frontend_config());
    let code = finish(isa, context, arena);
    context.clear();
    code
}
