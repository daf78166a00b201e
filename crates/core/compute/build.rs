//! Builds the agent, which goes into the helper machine and so into kiln: a static binary of its
//! own, by a cargo of its own.
//!
//! Cargo has no stable way to depend on another package's binary for another set of flags. The
//! inner cargo has its own target folder, shared by all profiles of the outer one, so that it waits
//! for no lock and builds once for `build`, `test`, `clippy` and `doc` together; when nothing has
//! changed it takes a tenth of a second.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

fn main() {
    // Asked when it runs: a script that was compiled in one checkout may be run in another.
    let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let crates = Path::new(&manifest).join("../..");
    for folder in ["app/agent", "lib/rpc"] {
        println!("cargo::rerun-if-changed={}", crates.join(folder).display());
    }
    println!("cargo::rerun-if-changed={}", crates.join("../Cargo.lock").display());
    match build(&crates.join("..")) {
        Ok(agent) => println!("cargo::rustc-env=KILN_AGENT={}", agent.display()),
        Err(message) => {
            println!("cargo::error=cannot build kiln's agent: {message}");
            exit(1);
        }
    }
}

fn build(workspace: &Path) -> Result<PathBuf, String> {
    let target = var("TARGET")?;
    if !workspace.join("crates/app/agent/Cargo.toml").is_file() {
        return Err(
            "its sources are not beside kiln-compute; build kiln from its repository".into()
        );
    }
    let folder = target_folder(Path::new(&var("OUT_DIR")?));
    let mut cargo = Command::new(var("CARGO")?);
    cargo.current_dir(workspace).args(["build", "--locked", "--package", "kiln-agent"]);
    cargo.args(["--profile", "agent", "--target", &target]).arg("--target-dir").arg(&folder);
    // Flags and wrappers of the outer build (coverage, clippy) are not for this one.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let is_outer = ["CARGO_CFG_", "CARGO_FEATURE_", "CARGO_PKG_", "CARGO_PROFILE_"];
        if is_outer.iter().any(|start| name.starts_with(start)) {
            cargo.env_remove(name);
        }
    }
    for name in ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_TARGET_DIR"] {
        cargo.env_remove(name);
    }
    // At a fixed address: relocating itself would cost the agent its first milliseconds.
    cargo.env(
        "CARGO_ENCODED_RUSTFLAGS",
        "-Ctarget-feature=+crt-static\x1f-Crelocation-model=static",
    );
    let output = cargo.output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let mut message = said.trim().replace('\n', " | ");
        if said.contains("cannot find -lc") || said.contains("unable to find library") {
            message += " | hint: the static C library is missing: apt-get install libc6-dev, or \
                        dnf install glibc-static";
        }
        return Err(message);
    }
    Ok(folder.join(target).join("agent/kiln-agent"))
}

/// `target/agent`, from `target/PROFILE/build/PACKAGE/out`. A layout that looks different gives a
/// folder that only this build uses.
fn target_folder(out: &Path) -> PathBuf {
    let tagged = out.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    tagged.unwrap_or(out).join("agent")
}

fn var(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
