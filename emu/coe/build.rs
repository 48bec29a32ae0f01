//! Builds the guests, the kernel and the user programs, with the same cargo
//! that builds `coe`, and leaves them in OUT_DIR for `embedded.rs` to include.
//! They are built once for all profiles and targets of `coe` (see `workshop`).
//!
//! Their bytes depend on their sources, the toolchain and nothing else: what
//! the outer cargo sets for `coe` is scrubbed, the profile is fixed, and every
//! path that could end up in them is mapped to one that is the same everywhere.
//! (Cargo keeps that mapping out of the hashes in symbols' names.)

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a trace stores the guests. Where this script is compiled without crates,
/// as `tests/reproducible.rs` does it, guests are built and no more.
#[cfg(not(unpacked))]
#[path = "src/trace/frame.rs"]
mod frame;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One nested build.
struct Guest {
    package: &'static str,
    target: &'static str,
    /// What rustc needs to link it, beyond what the package's own build script says.
    flags: &'static [&'static str],
}

const KERNEL: Guest = Guest {
    package: "guest-kernel",
    target: "x86_64-unknown-none",
    flags: &["-Crelocation-model=static", "-Clinker=rust-lld"],
};

const USER: Guest = Guest {
    package: "guest-user",
    target: "x86_64-unknown-linux-musl",
    // The programs have a runtime of their own: no C library, none of its start files.
    flags: &[
        "-Crelocation-model=static",
        "-Clink-self-contained=no",
        "-Clinker=rust-lld",
    ],
};

/// The cargo profile of the guests, in the workspace's Cargo.toml.
const PROFILE: &str = "guest";

/// What the guests are built from, beside the sources of the two packages.
const SHARED_SOURCES: [&str; 5] = [
    "guest-kernel",
    "guest-user",
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
];

/// Variables that must survive the scrubbing: where crates are kept, and the
/// outer build's job server.
const KEEP: [&str; 2] = ["CARGO_HOME", "CARGO_MAKEFLAGS"];

/// Variables beside CARGO_* that change what rustc is called with.
const SCRUB: [&str; 7] = [
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_BOOTSTRAP",
    "CLIPPY_ARGS",
];

fn main() {
    if let Err(error) = build() {
        for line in error.to_string().lines() {
            println!("cargo::error={line}");
        }
        std::process::exit(1);
    }
}

fn build() -> Result<()> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")?)
        .join("../..")
        .canonicalize()?;
    for source in SHARED_SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/trace/frame.rs");

    let toolchain = Toolchain::find()?;
    let workshop = workshop(&out, &root)?;
    fs::create_dir_all(&workshop)?;
    // Whoever else builds the guests here waits until these have been copied.
    let lock = File::create(workshop.join("lock"))?;
    lock.lock()?;
    let kernel = toolchain.build(&KERNEL, &root, &workshop)?;
    let programs = toolchain.build(&USER, &root, &workshop)?;
    embed(&kernel, &programs, &root, &out)
}

/// Copies the guests to OUT_DIR and writes `embedded.rs`, which includes them,
/// each also as the chunk of a trace that holds it.
fn embed(kernel: &Path, programs: &Path, root: &Path, out: &Path) -> Result<()> {
    let guests = out.join("guests");
    fs::create_dir_all(&guests)?;
    let copy = |from: &Path, name: &str, what: What| -> Result<PathBuf> {
        let to = guests.join(name);
        fs::copy(from.join(name), &to)?;
        pack(&to, what)?;
        Ok(to)
    };
    let path = copy(kernel, "kernel", What::Kernel)?;
    let hash = hash(&path)?;
    let mut code =
        format!("/// The kernel's ELF.\npub const KERNEL: &[u8] = include_bytes!({path:?});\n");
    let mut plain = String::new();
    let mut packed = format!("    (KERNEL, include_bytes!({:?})),\n", packed_path(&path));
    for (at, name) in program_names(&root.join("guest-user/src/bin"))?
        .iter()
        .enumerate()
    {
        let path = copy(programs, name, What::Program)?;
        writeln!(plain, "    ({name:?}, include_bytes!({path:?})),")?;
        writeln!(
            packed,
            "    (PROGRAMS[{at}].1, include_bytes!({:?})),",
            packed_path(&path)
        )?;
    }
    writeln!(
        code,
        "/// The user programs' ELFs by name, sorted.\n\
         pub const PROGRAMS: &[(&str, &[u8])] = &[\n{plain}];\n\
         /// All of these files, and each as a chunk of a trace: the kernel as a\n\
         /// kernel, the programs as pieces of an initrd.\n\
         pub const PACKED: &[(&[u8], &[u8])] = &[\n{packed}];\n\
         /// The kernel's xxh3-128 hash.\n\
         pub const KERNEL_HASH: u128 = {hash:#x};"
    )?;
    code.push_str(&about(&root.join("guest-user/src/bin"))?);
    fs::write(out.join("embedded.rs"), code)?;
    Ok(())
}

fn packed_path(path: &Path) -> PathBuf {
    path.with_added_extension("chunk")
}

/// What a guest is.
#[derive(Clone, Copy)]
enum What {
    Kernel,
    Program,
}

/// Packs a guest beside itself. This is done once, here, since it costs more
/// than a short run.
#[cfg(not(unpacked))]
fn pack(path: &Path, what: What) -> Result<()> {
    let kind = match what {
        What::Kernel => frame::KERNEL,
        What::Program => frame::INITRD,
    };
    let raw = fs::read(path)?;
    let stored = lz4_flex::block::compress(&raw);
    let head = frame::frame(kind, raw.len(), &stored).ok_or("a guest of 4 GiB")?;
    Ok(fs::write(packed_path(path), [&head[..], &stored].concat())?)
}

#[cfg(unpacked)]
fn pack(_path: &Path, _what: What) -> Result<()> {
    Ok(())
}

/// The hash by which traces name a kernel.
#[cfg(not(unpacked))]
fn hash(kernel: &Path) -> Result<u128> {
    Ok(xxhash_rust::xxh3::xxh3_128(&fs::read(kernel)?))
}

#[cfg(unpacked)]
fn hash(_kernel: &Path) -> Result<u128> {
    Ok(0)
}

/// The folder in which the guests are built: one for every profile and target
/// that coe is built with from these sources, since none of that reaches the
/// guests' bytes. Cargo does not name the target folder to build scripts, but
/// OUT_DIR is `<target>[/<triple>]/<profile>/build/<package>-<hash>/out`.
/// Where it is not, the guests are built in it.
fn workshop(out: &Path, root: &Path) -> Result<PathBuf> {
    let triple = variable("TARGET")?;
    let target_dir = || {
        let build = out.parent()?.parent()?;
        let top = build.parent()?.parent()?;
        match build.file_name()? == "build" {
            true if top.ends_with(&triple) => top.parent(),
            true => Some(top),
            false => None,
        }
    };
    let Some(target_dir) = target_dir() else {
        return Ok(out.join("workshop"));
    };
    // Two checkouts may share a target folder.
    let mut hasher = DefaultHasher::new();
    root.hash(&mut hasher);
    Ok(target_dir.join(format!("guests/{:016x}", hasher.finish())))
}

/// The programs: one source file each.
fn program_names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            && let Some(stem) = path.file_stem().and_then(|stem| stem.to_str())
        {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// What each program's source says of it in the first paragraph of its comment.
fn about(folder: &Path) -> Result<String> {
    let mut code = String::from(
        "/// What each program's source says of it, by name, sorted.\n\
         pub const ABOUT: &[(&str, &str)] = &[\n",
    );
    for name in program_names(folder)? {
        let source = fs::read_to_string(folder.join(&name).with_extension("rs"))?;
        let lines = source.lines().map_while(|line| line.strip_prefix("//! "));
        let paragraph: Vec<_> = lines.map(str::trim).collect();
        writeln!(code, "    ({name:?}, {:?}),", paragraph.join(" "))?;
    }
    code.push_str("];\n");
    Ok(code)
}

/// The cargo and rustc that build `coe`, and what of them could leak into the guests.
struct Toolchain {
    cargo: String,
    rustc: String,
    /// A flag for every folder outside the workspace that holds sources.
    remaps: Vec<String>,
}

impl Toolchain {
    fn find() -> Result<Self> {
        let mut toolchain = Toolchain {
            cargo: variable("CARGO")?,
            rustc: variable("RUSTC")?,
            remaps: Vec::new(),
        };
        // The standard library's sources, where they are installed, would
        // otherwise be named by their local path.
        let version = toolchain.ask(&["-vV"])?;
        let sysroot = toolchain.ask(&["--print", "sysroot"])?;
        if let Some(commit) = version
            .lines()
            .find_map(|line| line.strip_prefix("commit-hash: "))
        {
            toolchain.remaps.push(remap(
                &format!("{sysroot}/lib/rustlib/src/rust"),
                &format!("/rustc/{commit}"),
            ));
        }
        toolchain.remaps.extend(registry_remaps());
        Ok(toolchain)
    }

    /// What rustc prints for these arguments.
    fn ask(&self, args: &[&str]) -> Result<String> {
        let output = Command::new(&self.rustc).args(args).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{} {}: {said}", self.rustc, args.join(" ")).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Builds one guest; the folder in which its ELFs are.
    fn build(&self, guest: &Guest, root: &Path, target_dir: &Path) -> Result<PathBuf> {
        self.check_target(guest.target)?;
        let mut flags: Vec<String> = guest.flags.iter().map(|&flag| flag.to_owned()).collect();
        // Sources in the workspace are named relative to it already; these are
        // for what is not: generated files and the like.
        for (from, to) in [(target_dir, "/guests"), (root, "/coe")] {
            flags.push(remap(&from.display().to_string(), to));
        }
        flags.extend_from_slice(&self.remaps);

        let mut cargo = Command::new(&self.cargo);
        scrub(&mut cargo);
        let status = cargo
            .current_dir(root)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .env("RUSTC", &self.rustc)
            // Empty means none, also where a configuration file names one.
            .env("RUSTC_WRAPPER", "")
            .env("RUSTC_WORKSPACE_WRAPPER", "")
            .args(["build", "--locked", "--quiet", "--package", guest.package])
            .args(["--profile", PROFILE, "--target", guest.target])
            .arg("--target-dir")
            .arg(target_dir)
            .status()?;
        if !status.success() {
            return Err(format!(
                "the build of {} failed ({status}); its messages are above",
                guest.package
            )
            .into());
        }
        Ok(target_dir.join(guest.target).join(PROFILE))
    }

    /// A missing target is the one failure that a fresh machine meets: say what to type.
    fn check_target(&self, target: &str) -> Result<()> {
        let folder = self.ask(&["--print", "target-libdir", "--target", target])?;
        let has_core = fs::read_dir(folder).is_ok_and(|mut entries| {
            entries.any(|entry| {
                entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
            })
        });
        if has_core {
            return Ok(());
        }
        Err(format!(
            "coe's guests are built for {target}, and that target is not installed; type:\n    \
             rustup target add {target}"
        )
        .into())
    }
}

/// Removes what the outer cargo, clippy or the user set for the outer build.
fn scrub(command: &mut Command) {
    for (key, _) in env::vars_os() {
        let name = key.to_string_lossy();
        let cargo = name.starts_with("CARGO") && !KEEP.contains(&&*name);
        if cargo || SCRUB.contains(&&*name) {
            command.env_remove(&key);
        }
    }
}

/// Crates from a registry lie in a folder that is named after where it is.
fn registry_remaps() -> Vec<String> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".cargo"))
    });
    let Some(sources) = home.map(|home| home.join("registry/src")) else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(sources) else {
        return Vec::new();
    };
    let mut remaps: Vec<String> = entries
        .flatten()
        .map(|entry| remap(&entry.path().display().to_string(), "/registry"))
        .collect();
    remaps.sort();
    remaps
}

fn remap(from: &str, to: &str) -> String {
    format!("--remap-path-prefix={from}={to}")
}

fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|error| format!("{name}: {error}").into())
}
