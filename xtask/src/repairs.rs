//! `kiln repair` on real disks: a fault that keeps the image from starting, mended, and started.
//!
//! Every case shows four things: the broken disk does not reach what it should, the repair makes an
//! output that does, the filesystems of the output are sound to their own tools, and nothing outside
//! the plan changed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::boots;
use crate::host::{run, side_by_side};
use crate::unchanged;
use crate::{images, plant};

/// A disk, faults that are planted in it, and how it is shown that they are gone.
#[derive(Debug)]
pub(crate) struct Case {
    name: &'static str,
    disk: &'static str,
    script: &'static [&'static str],
    /// The repairs; empty: the standard ones.
    repairs: &'static str,
    /// How the broken disk is booted, in arguments of `kiln boot`: it must not reach its goal.
    broken: &'static [&'static str],
    /// How the repaired disk is booted: it must reach its goal each time.
    repaired: &'static [&'static [&'static str]],
}

/// The initramfs without virtio and NVMe drivers: unpacked, the modules taken out, the indexes made
/// anew as its generator would, packed again.
pub(crate) const NO_DRIVERS: &str = r#"
image=$(ls "$1"/boot/initrd.img-* | head -1); version=${image##*initrd.img-}; tree=$(mktemp -d)
(zstd -dcq "$image" 2>/dev/null || gzip -dc "$image") | (cd "$tree" && cpio -id --quiet)
find "$tree" \( -name 'virtio*.ko*' -o -name 'nvme*.ko*' \) -delete
depmod -b "$tree" "$version" 2>/dev/null || depmod -b "$tree/usr" "$version"
(cd "$tree" && find . | cpio -o -H newc --quiet) | zstd -q -1 > "$image.new"
mv "$image.new" "$image"; rm -rf "$tree""#;

/// A data disk that stayed behind. systemd waits for it, and then drops to the emergency shell; the
/// short time-out only makes the proof quicker.
const ABSENT_DISK: &str = r#"mkdir -p "$1/data"
echo 'UUID=0badcafe-0000-4000-8000-000000000000 /data ext4 defaults,x-systemd.device-timeout=5s 0 2' \
    >> "$1/etc/fstab""#;

/// The same with `nofail`, which is not a fault: nothing waits for it.
const ABSENT_DISK_NOFAIL: &str = r#"mkdir -p "$1/data"
echo 'UUID=0badcafe-0000-4000-8000-000000000000 /data ext4 defaults,nofail,x-systemd.device-timeout=5s 0 2' \
    >> "$1/etc/fstab""#;

/// The boot menu names a root that is on no disk.
const WRONG_ROOT: &str = r#"sed -i -E 's#root=[^ ]+#root=UUID=99999999-aaaa-4bbb-8ccc-000000000001#' \
    "$1/boot/grub/grub.cfg""#;

/// The address of another network, and cloud-init kept from changing that.
const STATIC_ADDRESS: &str = r#"
printf 'auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet static\n address 192.0.2.5/24\n' \
    > "$1/etc/network/interfaces"
mkdir -p "$1/etc/cloud/cloud.cfg.d"
echo 'network: {config: disabled}' > "$1/etc/cloud/cloud.cfg.d/99-net.cfg""#;

/// cloud-init asks another cloud.
const OTHER_CLOUD: &str = r#"
echo 'datasource_list: [ OpenNebula ]' > "$1/etc/cloud/cloud.cfg.d/90_dpkg.cfg"
touch "$1/etc/cloud/cloud-init.disabled""#;

/// SELinux enforcing without a policy: init refuses to go on.
const SELINUX: &str = r#"mkdir -p "$1/etc/selinux"
printf 'SELINUX=enforcing\nSELINUXTYPE=default\n' > "$1/etc/selinux/config"
sed -i -E 's#(linux\t.*)#\1 security=selinux selinux=1 enforcing=1#' "$1/boot/grub/grub.cfg""#;

/// What a machine from another hypervisor may have at once.
pub(crate) const ALL_FAULTS: &[&str] = &[NO_DRIVERS, ABSENT_DISK, WRONG_ROOT, STATIC_ADDRESS];

const VIRTIO: &[&str] = &["--bus", "virtio"];
const NVME: &[&str] = &["--bus", "nvme"];
/// An address has to come by DHCP. cloud-init sets the network up, as it does in an instance.
const INSTANCE: &[&str] = &["--until", "network", "--data-source"];
const CLOUD_INIT: &[&str] = &["--until", "cloud-init"];
/// What never comes is not told by the guest: several times what a sound disk takes.
const NO_NETWORK: &[&str] = &["--until", "network", "--data-source", "--timeout", "200"];
/// dracut waits for a root for many minutes before it gives up.
const NO_ROOT: &[&str] = &["--bus", "nvme", "--timeout", "240"];
const NO_CLOUD_INIT: &[&str] = &["--until", "cloud-init", "--timeout", "120"];

/// What every run of the tests mends and boots: both firmwares, three filesystems, both makers of an
/// initramfs, and between them each of the standard repairs.
pub(crate) const USUAL: &[Case] = &[
    Case {
        name: "cloud-init for another cloud, switched off",
        disk: "bookworm-bios-ext4",
        script: &[OTHER_CLOUD],
        repairs: "cloudinit",
        broken: NO_CLOUD_INIT,
        repaired: &[CLOUD_INIT],
    },
    Case {
        name: "everything at once: BIOS, XFS, /boot apart",
        disk: "bookworm-bios-xfs",
        script: ALL_FAULTS,
        repairs: "",
        broken: VIRTIO,
        repaired: &[VIRTIO, NVME],
    },
    Case {
        name: "everything at once: UEFI, btrfs",
        disk: "bookworm-uefi-btrfs",
        script: ALL_FAULTS,
        repairs: "",
        broken: VIRTIO,
        repaired: &[INSTANCE, NVME],
    },
    Case {
        name: "everything at once: dracut, UEFI, ext4",
        disk: "bookworm-dracut-uefi-ext4",
        script: ALL_FAULTS,
        repairs: "",
        broken: NO_ROOT,
        repaired: &[VIRTIO, NVME],
    },
];

/// The rest: each fault alone, SELinux, LVM, dracut elsewhere. Emulated boots take a quarter of an hour
/// for it, so it is for a change of the repairs and before a release: `cargo xtask test repair-matrix`.
pub(crate) const MATRIX: &[Case] = &[
    Case {
        name: "no drivers in the initramfs",
        disk: "bookworm-bios-ext4",
        script: &[NO_DRIVERS],
        repairs: "virtio,nvme",
        broken: VIRTIO,
        repaired: &[VIRTIO, NVME],
    },
    Case {
        name: "fstab waits for an absent disk",
        disk: "bookworm-bios-ext4",
        script: &[ABSENT_DISK],
        repairs: "fstab",
        broken: NVME,
        repaired: &[NVME],
    },
    Case {
        name: "the boot menu names a wrong root",
        disk: "bookworm-bios-ext4",
        script: &[WRONG_ROOT],
        repairs: "grub",
        broken: VIRTIO,
        repaired: &[VIRTIO],
    },
    Case {
        name: "static address",
        disk: "bookworm-bios-ext4",
        script: &[STATIC_ADDRESS],
        repairs: "dhcp",
        broken: NO_NETWORK,
        repaired: &[INSTANCE],
    },
    Case {
        name: "SELinux enforcing without a policy",
        disk: "bookworm-bios-ext4",
        script: &[SELINUX],
        repairs: "selinux",
        broken: VIRTIO,
        repaired: &[VIRTIO],
    },
    Case {
        name: "everything at once: LVM",
        disk: "bookworm-bios-lvm",
        script: &[NO_DRIVERS, ABSENT_DISK, STATIC_ADDRESS],
        repairs: "",
        broken: NVME,
        repaired: &[VIRTIO, NVME],
    },
    Case {
        name: "everything at once: dracut, BIOS, XFS",
        disk: "bookworm-dracut-bios-xfs",
        script: ALL_FAULTS,
        repairs: "",
        broken: NO_ROOT,
        repaired: &[VIRTIO, NVME],
    },
    Case {
        name: "no drivers in the initramfs: dracut, UEFI, btrfs",
        disk: "bookworm-dracut-uefi-btrfs",
        script: &[NO_DRIVERS],
        repairs: "virtio,nvme",
        broken: NO_ROOT,
        repaired: &[VIRTIO, NVME],
    },
];

/// Every one of `cases`; then a near miss that must be left alone.
///
/// # Errors
///
/// The cases that do not go as they must.
pub(crate) fn test(kiln: &Path, cases: &[Case]) -> Result<()> {
    side_by_side(cases, |case| {
        let mut told = String::new();
        let outcome = judge(kiln, case, &mut told);
        let word = if outcome.is_ok() { "mended" } else { "FAILED" };
        eprint!("{word} {}: {}\n{told}", case.disk, case.name);
        outcome.with_context(|| format!("{}: {}", case.disk, case.name))
    })?;
    let n_boots: usize = cases.iter().map(|case| case.repaired.len()).sum();
    eprintln!("{} broken disks do not boot; repaired, they boot {n_boots} times", cases.len());

    let near_miss = planted("bookworm-bios-ext4", &[ABSENT_DISK_NOFAIL])?;
    let report = repair(kiln, &near_miss, &["--plan", "--items", "fstab"])?;
    ensure!(report["status"] == "NothingToDo", "a line with nofail is changed: {report:#}");
    fs::remove_file(near_miss)?;
    Ok(())
}

/// Break, boot in vain, repair, compare, boot. What it saw goes to `told`.
fn judge(kiln: &Path, case: &Case, told: &mut String) -> Result<()> {
    let name: String = case.name.chars().filter(char::is_ascii_alphanumeric).collect();
    let broken = planted_as(&format!("broken-{name}.raw"), case.disk, case.script)?;
    let before = fs::metadata(&broken)?.modified()?;
    let report = boots::boot(kiln, &broken, case.broken)?;
    writeln!(told, "  broken:   {}", boots::summary(&report))?;
    ensure!(report["reached"] == false, "the broken disk starts: {report:#}");
    let fixed = images::folder().join(format!("repaired-{name}.qcow2"));
    let out = fixed.to_str().context("UTF-8")?;
    let mut arguments = vec!["-o", out, "--format-out", "qcow2", "--best-effort", "--force"];
    if !case.repairs.is_empty() {
        arguments.extend(["--items", case.repairs]);
    }
    let report = repair(kiln, &broken, &arguments)?;
    ensure!(report["status"] == "Repaired", "not repaired: {report:#}");
    writeln!(told, "  repaired: {} in {} ms", mended(&report), report["timesMs"]["total"])?;
    ensure!(fs::metadata(&broken)?.modified()? == before, "the input was written");
    sound(&fixed)?;
    let touched = touched(&report);
    let n_same = unchanged::compare(&broken, &fixed, &touched)?;
    writeln!(told, "  apart from {} planned paths, {n_same} are as they were", touched.len())?;
    for boot in case.repaired {
        let report = boots::boot(kiln, &fixed, boot)?;
        writeln!(told, "  boots:    {}", boots::summary(&report))?;
        ensure!(report["reached"] == true, "the repaired disk does not start: {report:#}");
    }
    let again = repair(kiln, &fixed, &arguments_of_second_run(case))?;
    ensure!(again["status"] == "NothingToDo", "a second run changes more: {again:#}");
    fs::remove_file(fixed)?;
    fs::remove_file(broken)?;
    Ok(())
}

fn arguments_of_second_run(case: &Case) -> Vec<&'static str> {
    let mut arguments = vec!["--plan", "--best-effort"];
    if !case.repairs.is_empty() {
        arguments.extend(["--items", case.repairs]);
    }
    arguments
}

/// A copy of a sound disk with faults planted.
pub(crate) fn planted(disk: &str, scripts: &[&str]) -> Result<PathBuf> {
    planted_as("broken.raw", disk, scripts)
}

fn planted_as(name: &str, disk: &str, scripts: &[&str]) -> Result<PathBuf> {
    let sound = images::by_name(disk)?;
    let broken = images::folder().join(name);
    run(Command::new("cp").arg("--sparse=always").arg(&sound).arg(&broken))?;
    plant::plant(&broken, &scripts.join("\n"))?;
    Ok(broken)
}

/// The report of `kiln repair` on `image`.
///
/// # Errors
///
/// Where it prints none.
pub(crate) fn repair(kiln: &Path, image: &Path, arguments: &[&str]) -> Result<Value> {
    let mut command = Command::new(kiln);
    command.arg("repair").arg(image).args(arguments).args(["--format", "json"]);
    let output = command.output()?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

fn mended(report: &Value) -> String {
    let items = report["items"].as_array().into_iter().flatten();
    let was_bad = |item: &&Value| item["before"] != "pass" && item["after"] == "pass";
    let name = |item: &Value| item["name"].as_str().unwrap_or("?").replace("GUESTOS.", "");
    items.filter(was_bad).map(name).collect::<Vec<_>>().join(", ")
}

/// Every path that the plan names.
fn touched(report: &Value) -> BTreeSet<String> {
    let steps = report["steps"].as_array().into_iter().flatten();
    let edits = steps.flat_map(|step| step["edits"].as_array().into_iter().flatten());
    let closing = report["closing"].as_array().into_iter().flatten();
    let paths = edits.chain(closing).flat_map(|edit| {
        [edit["path"].as_str(), edit["to"].as_str()].into_iter().flatten().map(str::to_owned)
    });
    paths.collect()
}

/// Each filesystem of the image is sound to its own tool.
fn sound(image: &Path) -> Result<()> {
    crate::diff_walk::each_volume(image, |volume, file| {
        let mut check = match volume.content.name() {
            "ext2" | "ext3" | "ext4" => Command::new("e2fsck"),
            "xfs" => Command::new("xfs_repair"),
            "btrfs" => Command::new("btrfs"),
            "vfat" => Command::new("fsck.vfat"),
            _ => return Ok(()),
        };
        match volume.content.name() {
            "btrfs" => check.args(["check", "--readonly"]),
            "xfs" => check.arg("-n"),
            "vfat" => check.arg("-n"),
            _ => check.arg("-fn"),
        };
        let output = check.arg(file).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{}: {}: {said}", volume.name, volume.content.name());
        Ok(())
    })
}
