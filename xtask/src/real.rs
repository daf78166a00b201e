//! Faults planted in a real Debian disk: the file in the image is changed through a loop mount, and
//! the built `kiln` must find it in the item and by the code that the fault is for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::host::{root_script, run};
use crate::images;

/// Byte offset of the root partition of the `bios-ext4` layout.
const ROOT_AT_BYTES: u64 = 2 << 20;

/// A fault: what it is, a script that plants it with `$1` the mounted root, and what must be found.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) what: &'static str,
    script: &'static str,
    pub(crate) item: &'static str,
    pub(crate) code: &'static str,
}

const fn fault(
    what: &'static str,
    script: &'static str,
    item: &'static str,
    code: &'static str,
) -> Fault {
    Fault { what, script, item, code }
}

/// The initramfs without virtio_blk: unpacked, the module taken out, packed again.
const STRIP_VIRTIO: &str = r#"
image=$(ls "$1"/boot/initrd.img-*); tree=$(mktemp -d)
zstd -dcq "$image" | (cd "$tree" && cpio -id --quiet)
find "$tree" -name 'virtio_blk.ko*' -delete
(cd "$tree" && find . | cpio -o -H newc --quiet) | zstd -q -1 > "$image.new"
mv "$image.new" "$image"; rm -rf "$tree""#;

/// The faults, each planted alone in a sound disk.
pub(crate) const FAULTS: &[Fault] = &[
    fault("virtio_blk taken out of the initramfs", STRIP_VIRTIO, "Virtio", "Virtio.NotInInitramfs"),
    fault(
        "initramfs cut short",
        r#"truncate -s 6M "$1"/boot/initrd.img-*"#,
        "Virtio",
        "Virtio.InitramfsUnreadable",
    ),
    fault(
        "default kernel emptied",
        r#"truncate -s 0 "$1"/boot/vmlinuz-*"#,
        "Grub",
        "Grub.KernelMissing",
    ),
    fault(
        "root= names a disk of the old hypervisor",
        r#"sed -i 's|root=UUID=[0-9a-f-]*|root=/dev/sda2|' "$1/boot/grub/grub.cfg""#,
        "Grub",
        "Grub.RootDeviceName",
    ),
    fault(
        "root= names a filesystem that is not there",
        r#"sed -i 's|root=UUID=11111111|root=UUID=99999999|' "$1/boot/grub/grub.cfg""#,
        "Grub",
        "Grub.RootUuidNotFound",
    ),
    fault(
        "grub.cfg full of zeroes after a power cut",
        r#"head -c 8192 /dev/zero > "$1/boot/grub/grub.cfg""#,
        "Grub",
        "Grub.ConfigCorrupt",
    ),
    fault(
        "modules of the kernel removed",
        r#"rm -rf "$1"/usr/lib/modules/6*"#,
        "KernelVersion",
        "KernelVersion.ModulesMissing",
    ),
    fault(
        "fstab waits for a data disk that stayed behind",
        r#"echo 'UUID=0badcafe-0000-4000-8000-000000000000 /data ext4 defaults 0 2' >> "$1/etc/fstab""#,
        "Fstab",
        "Fstab.UuidNotFound",
    ),
    fault(
        "fstab mounts the root by device name",
        r#"sed -i 's|^UUID=11111111[^ ]*|/dev/sda2|' "$1/etc/fstab""#,
        "Fstab",
        "Fstab.UnstableDeviceName",
    ),
    fault(
        "fstab with Windows line ends",
        r#"sed -i 's|$|\r|' "$1/etc/fstab""#,
        "Fstab",
        "Fstab.SyntaxError",
    ),
    fault(
        "static address",
        r#"printf 'auto eth0\niface eth0 inet static\n address 10.0.0.5/24\n gateway 10.0.0.1\n' \
            > "$1/etc/network/interfaces"; mkdir -p "$1/etc/cloud/cloud.cfg.d"
           echo 'network: {config: disabled}' > "$1/etc/cloud/cloud.cfg.d/99-net.cfg""#,
        "Dhcp",
        "Dhcp.StaticAddress",
    ),
    fault(
        "clock in local time",
        r#"printf '0.0 0 0.0\n0\nLOCAL\n' > "$1/etc/adjtime""#,
        "RtcTimeMode",
        "RtcTimeMode.Local",
    ),
    fault(
        "cloud-init switched off",
        r#"touch "$1/etc/cloud/cloud-init.disabled""#,
        "CloudInit",
        "CloudInit.Disabled",
    ),
    fault(
        "cloud-init for another cloud",
        r#"echo 'datasource_list: [ NoCloud ]' > "$1/etc/cloud/cloud.cfg.d/90_dpkg.cfg""#,
        "CloudInit",
        "CloudInit.DatasourceMissing",
    ),
    fault(
        "growpart removed",
        r#"rm "$1/usr/bin/growpart""#,
        "OnlineResizeFS",
        "OnlineResizeFS.NoGrowpart",
    ),
    fault(
        "no kernel at all",
        r#"rm -rf "$1"/boot/* "$1"/usr/lib/modules/*"#,
        "SystemImage",
        "SystemImage.NoKernel",
    ),
];

/// A copy of the sound disk with `faults` planted, as a raw image called `name` in the fixtures.
pub(crate) fn plant(faults: &[&Fault], name: &str) -> Result<PathBuf> {
    let sound = images::by_name("bookworm-bios-ext4")?;
    let broken = images::folder().join(name);
    run(Command::new("cp").arg("--sparse=always").arg(&sound).arg(&broken))?;
    let script = format!(
        "mnt=$(mktemp -d); trap 'umount \"$mnt\"; rmdir \"$mnt\"' EXIT\n\
         mount -o loop,offset={ROOT_AT_BYTES} \"$1\" \"$mnt\"; set -- \"$mnt\"\n{}",
        faults.iter().map(|fault| fault.script).collect::<Vec<_>>().join("\n")
    );
    root_script(&script, &[&broken])?;
    Ok(broken)
}

/// Plant each fault and see it found; then see the sound disks pass in every format.
///
/// # Errors
///
/// The first fault that is not found, or the first sound disk that does not pass.
pub(crate) fn test(kiln: &Path) -> Result<()> {
    for fault in FAULTS {
        let broken = plant(&[fault], "planted.raw")?;
        let report = check(kiln, &broken)?;
        expect(&report, fault)?;
        eprintln!("found {:32} {}", fault.code, fault.what);
        fs::remove_file(broken)?;
    }
    for disk in images::DISKS {
        let image = images::by_name(disk.name)?;
        let report = check(kiln, &image)?;
        let risks = risks(&report);
        ensure!(!risks.iter().any(|risk| risk.starts_with("High")), "{}: {risks:?}", disk.name);
        eprintln!("sound {:24} {}", disk.name, risks.join(", "));
    }
    Ok(())
}

/// The fault's item is at risk, or undecided, by the fault's code.
///
/// # Errors
///
/// What was found instead.
pub(crate) fn expect(report: &Value, fault: &Fault) -> Result<()> {
    let item = item(report, fault.item)?;
    let found = item["riskCode"].as_str().unwrap_or("nothing");
    let is_told = item["status"] == "risk" || item["status"] == "unknown";
    ensure!(
        found == fault.code && is_told,
        "{}: expected {} of {}, found {found}: {item:#}",
        fault.what,
        fault.code,
        fault.item
    );
    Ok(())
}

/// The same disk in every format is the same disk, and the same verdicts.
///
/// # Errors
///
/// The first byte that differs, or the first verdict that does.
pub(crate) fn formats(kiln: &Path) -> Result<()> {
    let raw = images::by_name("bookworm-bios-ext4")?;
    let expected = verdicts(&check(kiln, &raw)?);
    for (name, format, options) in [
        ("plain.qcow2", "qcow2", ""),
        ("old.qcow2", "qcow2", "compat=0.10"),
        ("zstd.qcow2", "qcow2", "compression_type=zstd"),
        ("extended.qcow2", "qcow2", "extended_l2=on,cluster_size=128k"),
        ("dynamic.vhd", "vpc", "force_size=on"),
        ("fixed.vhd", "vpc", "subformat=fixed,force_size=on"),
        ("dynamic.vhdx", "vhdx", ""),
        ("sparse.vmdk", "vmdk", "subformat=monolithicSparse"),
        ("stream.vmdk", "vmdk", "subformat=streamOptimized"),
        ("flat.vmdk", "vmdk", "subformat=monolithicFlat"),
        ("split.vmdk", "vmdk", "subformat=twoGbMaxExtentSparse"),
    ] {
        let folder = images::folder().join("formats");
        fs::create_dir_all(&folder)?;
        let image = folder.join(name);
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "-f", "raw", "-O", format]);
        if !options.is_empty() {
            convert.args(["-o", options]);
        }
        if name.starts_with("zstd") {
            convert.arg("-c");
        }
        run(convert.arg(&raw).arg(&image))?;
        crate::diff_map::run(&image, &[])?;
        let found = verdicts(&check(kiln, &image)?);
        ensure!(found == expected, "{name}: {found:?} instead of {expected:?}");
        fs::remove_dir_all(folder)?;
    }
    Ok(())
}

/// The report of one image.
///
/// # Errors
///
/// Where kiln prints no report.
pub(crate) fn check(kiln: &Path, image: &Path) -> Result<Value> {
    let mut command = Command::new(kiln);
    command.args(["check", "--format", "json", "--fail-on", "never"]).arg(image);
    let output = command.output()?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok(report["images"][0].clone())
}

fn item<'a>(report: &'a Value, name: &str) -> Result<&'a Value> {
    let items = report["items"].as_array().context("a report without items")?;
    let full = format!("GUESTOS.{name}");
    items.iter().find(|item| item["name"] == *full).with_context(|| format!("no item {name}"))
}

fn verdicts(report: &Value) -> Vec<String> {
    let items = report["items"].as_array().into_iter().flatten();
    items.map(|item| format!("{} {} {}", item["name"], item["status"], item["riskCode"])).collect()
}

fn risks(report: &Value) -> Vec<String> {
    let items = report["items"].as_array().into_iter().flatten();
    let word = |value: &Value| value.as_str().unwrap_or("").to_owned();
    items
        .filter(|item| item["status"] == "risk" || item["status"] == "unknown")
        .map(|item| format!("{} {}", word(&item["riskLevel"]), word(&item["riskCode"])))
        .collect()
}
