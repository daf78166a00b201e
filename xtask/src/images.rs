//! The real images: Debian roots (kept under `target/`, because each takes most of a minute) put on
//! disks of several layouts.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use kiln_disk::OpenOptions;
use kiln_guest::{Declared, Inspection};

use crate::host::{as_root, run, side_by_side, workspace};

/// A disk that can be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disk {
    /// Its file name without suffix.
    pub name: &'static str,
    /// A release of Debian; `-dracut` after it: the initramfs is dracut's.
    root: &'static str,
    layout: &'static str,
    /// Where the core image of a BIOS layout goes.
    core_sector: Option<u64>,
}

/// All of them: three releases, three filesystems, both firmwares, both makers of an initramfs, `/boot`
/// apart, LVM.
pub(crate) const DISKS: &[Disk] = &[
    disk("bookworm-bios-ext4", "bookworm", "bios-ext4", Some(2048)),
    disk("bookworm-uefi-ext4", "bookworm", "uefi-ext4", None),
    disk("bookworm-bios-xfs", "bookworm", "bios-xfs", Some(1)),
    disk("bookworm-uefi-btrfs", "bookworm", "uefi-btrfs", None),
    disk("bookworm-bios-lvm", "bookworm", "bios-lvm", Some(2048)),
    disk("bookworm-dracut-bios-xfs", "bookworm-dracut", "bios-xfs", Some(1)),
    disk("bookworm-dracut-uefi-ext4", "bookworm-dracut", "uefi-ext4", None),
    disk("bookworm-dracut-uefi-btrfs", "bookworm-dracut", "uefi-btrfs", None),
    disk("bullseye-bios-ext4", "bullseye", "bios-ext4", Some(2048)),
    disk("trixie-uefi-ext4", "trixie", "uefi-ext4", None),
];

const fn disk(
    name: &'static str,
    root: &'static str,
    layout: &'static str,
    core_sector: Option<u64>,
) -> Disk {
    Disk { name, root, layout, core_sector }
}

/// Where images are kept between runs.
pub(crate) fn folder() -> PathBuf {
    workspace().join("target/fixtures")
}

/// What kiln's own readers find on an image.
///
/// # Errors
///
/// Where it cannot be opened.
pub(crate) fn inspect(image: &Path) -> Result<Inspection> {
    let location = image.to_str().context("the path is not UTF-8")?;
    let image = kiln_disk::open(location, &OpenOptions::default())?;
    let layout = kiln_volume::scan(std::slice::from_ref(&image.source));
    Ok(kiln_guest::inspect(layout, Declared::default()))
}

/// Make whatever is not there yet, the roots side by side: a package manager waits as much as it works.
/// Disks have the same UUIDs, so their filesystems are made one after the other.
///
/// # Errors
///
/// What the first failing step says.
pub(crate) fn build_all() -> Result<()> {
    let roots: BTreeSet<&str> = DISKS.iter().map(|disk| disk.root).collect();
    let roots: Vec<&str> = roots.into_iter().collect();
    side_by_side(&roots, |root| debian_root(root).map(drop))?;
    DISKS.iter().try_for_each(|disk| build(disk).map(drop))
}

/// The disk called `name`, made if it is not there yet.
///
/// # Errors
///
/// Where there is no such disk, or what the failing step says.
pub(crate) fn by_name(name: &str) -> Result<PathBuf> {
    let disk = DISKS.iter().find(|disk| disk.name == name).context("no such fixture")?;
    build(disk)
}

fn build(disk: &Disk) -> Result<PathBuf> {
    let out = folder().join(format!("{}.raw", disk.name));
    if is_fresh(&out, &disk_recipe()?) {
        return Ok(out);
    }
    let root = debian_root(disk.root)?;
    let start = Instant::now();
    run(as_root(workspace().join("fixtures/debian/disk.sh")).arg(root).arg(disk.layout).arg(&out))?;
    if let Some(core_sector) = disk.core_sector {
        let beside = |suffix: &str| out.with_extension(format!("raw.{suffix}"));
        let boot = fs::read(beside("boot.img"))?;
        let core = fs::read(beside("core.img"))?;
        let file = File::options().read(true).write(true).open(&out)?;
        kiln_fixtures::grub::embed(&file, &boot, &core, core_sector)?;
    }
    fs::write(stamp(&out), disk_recipe()?)?;
    eprintln!("made {} in {:.1} s", out.display(), start.elapsed().as_secs_f32());
    Ok(out)
}

fn debian_root(name: &str) -> Result<PathBuf> {
    let root = folder().join("roots").join(name);
    let recipe = script("root.sh")?;
    if is_fresh(&root, &recipe) {
        return Ok(root);
    }
    let start = Instant::now();
    eprintln!("making a Debian root tree, {name} (most of a minute)");
    fs::create_dir_all(folder().join("roots"))?;
    let part = root.with_extension("part");
    run(as_root("rm").arg("-rf").args([&part, &root]))?;
    run(as_root(workspace().join("fixtures/debian/root.sh")).arg(name).arg(&part))?;
    run(as_root("mv").args([&part, &root]))?;
    fs::write(stamp(&root), recipe)?;
    eprintln!("made {} in {:.1} s", root.display(), start.elapsed().as_secs_f32());
    Ok(root)
}

/// Made by the scripts as they are now, not by an older version of them.
fn is_fresh(made: &Path, recipe: &str) -> bool {
    made.exists() && fs::read_to_string(stamp(made)).is_ok_and(|recorded| recorded == recipe)
}

fn stamp(made: &Path) -> PathBuf {
    let mut name = made.as_os_str().to_owned();
    name.push(".recipe");
    PathBuf::from(name)
}

/// A root does not depend on how disks are made, and is the slower part.
fn disk_recipe() -> Result<String> {
    Ok(script("root.sh")? + &script("disk.sh")?)
}

fn script(name: &str) -> Result<String> {
    Ok(fs::read_to_string(workspace().join("fixtures/debian").join(name))?)
}
