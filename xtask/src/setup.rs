//! Installing what a chore needs, or saying the exact command that would.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::host::is_root;

/// A group of Debian packages a chore needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    what_for: &'static str,
    packages: &'static [&'static str],
}

/// Making real images, and the tools that tests compare kiln with.
pub(crate) const FIXTURES: Group = Group {
    what_for: "test images",
    packages: &[
        "mmdebstrap",
        "qemu-utils",
        "e2fsprogs",
        "xfsprogs",
        "btrfs-progs",
        "dosfstools",
        "mtools",
        "fdisk",
        "gdisk",
        "lvm2",
        "mdadm",
        "attr",
        "acl",
        "cpio",
        "kmod",
        "zstd",
        "lz4",
        "lzop",
        "xz-utils",
        "bzip2",
        "rpm",
        "genisoimage",
        "squashfs-tools",
        "cryptsetup-bin",
        "grub-pc-bin",
        "grub-efi-amd64-bin",
        "util-linux",
    ],
};

/// Running machines: `kiln boot`, and the helper VM with a kernel of Debian's.
pub(crate) const MACHINES: Group = Group {
    what_for: "machines",
    packages: &["qemu-system-x86", "qemu-utils", "ovmf", "linux-image-cloud-amd64"],
};

/// The official clients, which are written in Python.
pub(crate) const PYTHON: Group =
    Group { what_for: "a Python environment", packages: &["python3", "python3-venv"] };

/// The database of installations with several nodes.
pub(crate) const POSTGRES: Group =
    Group { what_for: "PostgreSQL", packages: &["postgresql", "util-linux"] };

/// All that `cargo xtask test` needs: in one go, because tiers run side by side and apt does not.
pub(crate) const TESTS: &[Group] = &[FIXTURES, MACHINES, PYTHON, POSTGRES];

/// What asks the API many times a second.
pub(crate) const LOAD: Group = Group { what_for: "a load generator", packages: &["wrk"] };

/// What `cargo xtask bench` compares kiln with.
pub(crate) const BENCH: Group = Group {
    what_for: "benchmarks",
    packages: &["libguestfs-tools", "qemu-system-x86", "supermin", "time"],
};

/// What `cargo xtask bench import` compares kiln with.
pub(crate) const IMPORT: Group =
    Group { what_for: "the benchmark of imports", packages: &["qemu-utils", "time"] };

/// A kernel for libguestfs' machine, on hosts that have none of their own.
pub(crate) const HOST_KERNEL: Group =
    Group { what_for: "a kernel for libguestfs", packages: &["linux-image-cloud-amd64"] };

/// Install what is missing of `groups`, as root or through sudo.
///
/// # Errors
///
/// Where neither works: with the command that the user can run.
pub(crate) fn ensure(groups: &[Group]) -> Result<()> {
    let packages = groups.iter().flat_map(|group| group.packages);
    let missing: Vec<&str> = packages.copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let what_for: Vec<&str> = groups.iter().map(|group| group.what_for).collect();
    eprintln!("installing for {}: {}", what_for.join(", "), missing.join(" "));
    let by_hand = format!("sudo apt-get update && sudo apt-get install -y {}", missing.join(" "));
    apt(&["update", "-qq"]).with_context(|| format!("please run: {by_hand}"))?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(&missing);
    if apt(&install).is_ok() {
        return Ok(());
    }
    // qemu-utils from backports cannot stand beside the emulator of the configured suite: bring
    // both to the version that apt would choose for the emulator.
    let pinned = qemu_of_one_version(&missing)?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends", "--allow-downgrades"];
    install.extend(pinned.iter().map(String::as_str));
    apt(&install).with_context(|| format!("please run: {by_hand}"))
}

fn is_installed(package: &str) -> bool {
    let output =
        Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]).output();
    output.is_ok_and(|output| output.stdout == b"installed")
}

fn qemu_of_one_version(missing: &[&str]) -> Result<Vec<String>> {
    let policy = Command::new("apt-cache").args(["policy", "qemu-system-x86"]).output()?;
    let text = String::from_utf8_lossy(&policy.stdout);
    let version = text.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
    let version = version.context("apt knows no qemu-system-x86")?;
    // Debian rebuilds some binary packages of a source without the others (`+b3`).
    let source_version = version.split("+b").next().unwrap_or(version);
    let mut packages: Vec<String> = missing.iter().map(ToString::to_string).collect();
    packages.push(format!("qemu-utils={source_version}*"));
    packages.push(format!("qemu-block-extra={source_version}*"));
    Ok(packages)
}

/// Run apt-get as root or through sudo without asking for a password.
fn apt(args: &[&str]) -> Result<()> {
    let root = is_root();
    let mut command = Command::new(if root { "apt-get" } else { "sudo" });
    if !root {
        command.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    }
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    let status = command.stdout(Stdio::null()).status().context("neither root nor sudo")?;
    if !status.success() {
        bail!("apt-get {} failed with {status}", args.first().unwrap_or(&""));
    }
    Ok(())
}
