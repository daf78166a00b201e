//! `OnlineResizeFS`: an instance with a larger disk than the image gets a larger root filesystem at
//! its first start, by itself.
//!
//! That takes a partition with nothing after it, a filesystem that grows while it is mounted, and
//! somebody who grows both: cloud-init, systemd, or a hook in the initramfs.

use kiln_volume::{Content, Origin, Result, TableKind, Volume};

use super::cloud_init::{CloudInitState, cloud_init_state};
use super::{Check, Evidence, Finding, Outcome};
use crate::inspect::devices::partition_of;
use crate::syntax::fstab;
use crate::syntax::yaml::Yaml;
use crate::{Guest, Inspection};

pub(super) static ONLINE_RESIZE_FS: Check = Check {
    name: "OnlineResizeFS",
    summary: "the root filesystem grows with the disk at the first start",
    run: check,
};

fn check(inspection: &Inspection) -> Result<Outcome> {
    let Some(guest) = inspection.guest() else {
        return Ok(Outcome::not_applicable("no operating system found"));
    };
    let notes = notes(guest);
    let finding = match place(guest) {
        Some(finding) => Some(finding),
        None => means(guest)?,
    };
    Ok(Outcome::judged(finding.into_iter().collect(), "Supported", "Unsupported").noting(notes))
}

fn root(guest: &Guest) -> Option<&Volume> {
    guest.layout.volumes.get(guest.root_volume)
}

/// What is wrong with where the root is and what it is, in the order of the published rules.
pub(crate) fn place(guest: &Guest) -> Option<Finding> {
    let root = root(guest)?;
    if let Some(finding) = not_last(guest) {
        return Some(finding);
    }
    let stacked = match &root.origin {
        Origin::Lvm { vg, lv, .. } => Some(format!("the logical volume {vg}/{lv}")),
        Origin::Md { .. } => Some(format!("the array {}", root.name)),
        Origin::Disk(_) | Origin::Partition { .. } => None,
    };
    if let Some(what) = stacked {
        let message = format!("the root filesystem is on {what}, which cloud-init does not grow");
        return Some(
            Finding::medium("OnlineResizeFS.Lvm", message)
                .seen(Evidence::file(&root.name, root.content.name()))
                .suggest(
                    "install the system on a plain partition, or extend the volume by a script \
                    at the first start (growpart, pvresize, lvextend -r)",
                ),
        );
    }
    let features = root.info().map_or(&[][..], |info| &info.features);
    let grows = match root.content {
        Content::Xfs | Content::Btrfs => true,
        Content::Ext3 | Content::Ext4 => {
            let has = |name: &str| features.iter().any(|feature| feature == name);
            features.is_empty() || has("resize_inode") || has("64bit") || has("meta_bg")
        }
        _ => false,
    };
    if grows {
        return None;
    }
    let message = format!(
        "a root filesystem of type {} does not grow while it is mounted",
        root.content.name()
    );
    let finding = Finding::medium("OnlineResizeFS.FsType", message)
        .seen(Evidence::file(&root.name, format!("features: {}", features.join(" "))))
        .suggest("use ext4, xfs or btrfs for the root filesystem");
    Some(finding)
}

fn not_last(guest: &Guest) -> Option<Finding> {
    let (disk, partition) = partition_of(&guest.layout, guest.root_volume)?;
    let partitions = &guest.layout.disks.get(disk)?.partitions;
    let after = partitions
        .iter()
        .filter(|other| other.start_bytes > partition.start_bytes)
        .min_by_key(|other| other.start_bytes)?;
    let message = format!(
        "partition {} begins after the root partition {} and leaves it no room to grow",
        after.number, partition.number
    );
    let at = format!("starts at byte {}", after.start_bytes);
    Some(
        Finding::medium("OnlineResizeFS.RootNotLast", message)
            .seen(Evidence::file(format!("disk{disk}p{}", after.number), at))
            .suggest("make the root partition the last one on the disk: move or remove what comes after it"),
    )
}

/// What is wrong with who would do it.
pub(crate) fn means(guest: &Guest) -> Result<Option<Finding>> {
    if systemd_grows(guest)? {
        return Ok(None);
    }
    let has_growroot = has_growroot(guest)?;
    let state = cloud_init_state(guest)?;
    if !has_growroot && let Some(why) = cloud_init_refuses(guest, &state)? {
        return Ok(Some(Finding::medium("OnlineResizeFS.CloudInitModule", why).suggest(
            "install and enable cloud-init, keep growpart and resizefs in cloud_init_modules, \
                 and set `growpart: {mode: auto, devices: [/]}` and `resize_rootfs: true`",
        )));
    }
    if let Some(finding) = missing_tools(guest)? {
        return Ok(Some(finding));
    }
    if !has_growroot && let Some(finding) = old_kernel(guest) {
        return Ok(Some(finding));
    }
    Ok(None)
}

/// systemd-repart grows the partition, `x-systemd.growfs` the filesystem.
fn systemd_grows(guest: &Guest) -> Result<bool> {
    let tree = &guest.tree;
    let mut has_repart = false;
    for dir in ["/etc/repart.d", "/usr/lib/repart.d"] {
        has_repart |= tree.list(dir)?.iter().any(|entry| entry.name.ends_with(b".conf"));
    }
    if !has_repart || !tree.exists("/usr/bin/systemd-repart")? {
        return Ok(false);
    }
    let fstab = fstab::parse(&tree.read("/etc/fstab", 1 << 20)?.unwrap_or_default());
    Ok(fstab.entries.iter().any(|e| e.mount_point == "/" && e.has_option("x-systemd.growfs")))
}

/// Hooks that grow the root partition before it is mounted.
fn has_growroot(guest: &Guest) -> Result<bool> {
    for path in [
        "/usr/share/dracut/modules.d/50growroot",
        "/usr/lib/dracut/modules.d/50growroot",
        "/usr/share/initramfs-tools/scripts/local-bottom/growroot",
    ] {
        if guest.tree.exists(path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether cloud-init's configuration names `module` in a stage.
pub(crate) fn runs_module(config: &Yaml, module: &str) -> bool {
    let lists = ["cloud_init_modules", "cloud_config_modules", "cloud_final_modules"];
    lists.iter().filter_map(|list| config.get(list)).any(|list| {
        list.items()
            .iter()
            .any(|entry| entry.text().or_else(|| entry.items().first()?.text()) == Some(module))
    })
}

/// Why cloud-init will not do it.
pub(crate) fn why_cloud_init_refuses(guest: &Guest) -> Result<Option<String>> {
    cloud_init_refuses(guest, &cloud_init_state(guest)?)
}

fn cloud_init_refuses(guest: &Guest, state: &CloudInitState) -> Result<Option<String>> {
    if state.program.is_none() {
        return Ok(Some("nothing grows the root filesystem: cloud-init is not installed".into()));
    }
    if !state.is_effective() {
        return Ok(Some("nothing grows the root filesystem: cloud-init will not run".into()));
    }
    let config = &state.config.merged;
    for module in ["growpart", "resizefs"] {
        if !runs_module(config, module) {
            return Ok(Some(format!("cloud-init's module {module} is not in cloud_init_modules")));
        }
    }
    let mode = config.at(&["growpart", "mode"]);
    let is_off = match mode {
        Some(Yaml::Bool(on)) => !on,
        Some(Yaml::Text(text)) => matches!(text.to_ascii_lowercase().as_str(), "off" | "false"),
        _ => false,
    };
    if is_off {
        let file = state.config.set_in(&["growpart", "mode"]).unwrap_or_default();
        return Ok(Some(format!("growpart's mode is off in {file}")));
    }
    if let Some(devices) = config.at(&["growpart", "devices"])
        && !devices.items().iter().filter_map(Yaml::text).any(|device| device == "/")
    {
        return Ok(Some("growpart's devices do not hold /".into()));
    }
    let ignores = config.at(&["growpart", "ignore_growroot_disabled"]).and_then(Yaml::as_bool);
    if ignores != Some(true) && guest.tree.exists("/etc/growroot-disabled")? {
        return Ok(Some("/etc/growroot-disabled turns growpart off".into()));
    }
    let resize = config.get("resize_rootfs");
    let is_off = resize.is_some_and(|value| match value {
        Yaml::Bool(on) => !on,
        other => other.text().is_some_and(|text| matches!(text, "off" | "false" | "0" | "no")),
    });
    Ok(is_off.then(|| "resize_rootfs is false".into()))
}

fn has_tool(guest: &Guest, name: &str) -> Result<bool> {
    for dir in ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin", "/usr/local/sbin"] {
        if guest.tree.is_file(format!("{dir}/{name}"))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The first program that is missing: of those that grow the partition, where the root is on one,
/// then that of the filesystem.
pub(crate) fn missing_tool(guest: &Guest) -> Result<Option<&'static str>> {
    if partition_of(&guest.layout, guest.root_volume).is_some() {
        for name in ["growpart", "flock"] {
            if !has_tool(guest, name)? {
                return Ok(Some(name));
            }
        }
        if !has_tool(guest, "sfdisk")? && !has_tool(guest, "sgdisk")? {
            return Ok(Some("sfdisk"));
        }
    }
    let tool = resize_tool(guest);
    Ok((!has_tool(guest, tool)?).then_some(tool))
}

fn resize_tool(guest: &Guest) -> &'static str {
    match root(guest).map(|root| root.content) {
        Some(Content::Xfs) => "xfs_growfs",
        Some(Content::Btrfs) => "btrfs",
        _ => "resize2fs",
    }
}

fn missing_tools(guest: &Guest) -> Result<Option<Finding>> {
    let Some(name) = missing_tool(guest)? else { return Ok(None) };
    if name != resize_tool(guest) {
        let message = format!("{name} is not installed, and the root partition cannot grow");
        return Ok(Some(Finding::medium("OnlineResizeFS.NoGrowpart", message).suggest(
            "install cloud-guest-utils (Debian, Ubuntu), cloud-utils-growpart (RHEL) or growpart \
             (SUSE), and util-linux",
        )));
    }
    let package = match name {
        "xfs_growfs" => "xfsprogs",
        "btrfs" => "btrfs-progs",
        _ => "e2fsprogs",
    };
    let message = format!("{name} is not installed, and the root filesystem cannot grow");
    Ok(Some(
        Finding::medium("OnlineResizeFS.NoResizeTool", message)
            .suggest(format!("install {package}")),
    ))
}

/// Before 3.6 the kernel does not take a new size of a partition that is in use.
fn old_kernel(guest: &Guest) -> Option<Finding> {
    let image = guest.boot.default_entry().and_then(|entry| entry.kernel.as_deref());
    let by_image =
        guest.kernels.iter().find(|kernel| image.is_some() && kernel.image.as_deref() == image);
    let kernel = by_image.or_else(|| guest.kernels.iter().find(|kernel| !kernel.is_rescue))?;
    let mut numbers = kernel.version.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next()?, numbers.next()?);
    if version >= (3, 6) {
        return None;
    }
    let message = format!("kernel {} cannot grow a partition that is mounted", kernel.version);
    Some(Finding::medium("OnlineResizeFS.KernelTooOld", message).suggest(
        "install dracut-modules-growroot (or cloud-initramfs-growroot) and rebuild the initramfs",
    ))
}

fn notes(guest: &Guest) -> Vec<Evidence> {
    let mut notes = Vec::new();
    if let Some((disk, _)) = partition_of(&guest.layout, guest.root_volume)
        && guest.layout.disks.get(disk).is_some_and(|disk| disk.table == TableKind::Mbr)
    {
        notes.push(Evidence::note("an MBR partition cannot grow beyond 2 TiB"));
    }
    let entry = guest.boot.default_entry();
    if let Some(entry) = entry
        && entry.initrds.is_empty()
        && entry.arg("root").is_some_and(|root| root.starts_with("PARTUUID="))
    {
        let text = "without initramfs the root is /dev/root, which old cloud-init cannot map";
        notes.push(Evidence::note(text));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;
    use crate::check::sound::{Sound, codes, item};
    use crate::inspect::MountedVolume;
    use crate::testing::{Disk, UUID_ROOT};
    use std::sync::Arc;

    fn one(inspection: &Inspection) -> (&'static str, String) {
        let found = item("OnlineResizeFS", inspection);
        let [finding] = &found.findings[..] else { panic!("{:?}", found.findings) };
        assert_eq!((finding.level, found.value.as_str()), (Level::Medium, "Unsupported"));
        (finding.code, finding.message.clone())
    }

    fn planted(mut sound: Sound, plant: impl FnOnce(&mut Sound)) -> (&'static str, String) {
        assert_eq!(codes(&item("OnlineResizeFS", &sound.build())), []);
        plant(&mut sound);
        one(&sound.build())
    }

    fn root_mount(volume: usize) -> Vec<MountedVolume> {
        vec![MountedVolume { path: "/".into(), volume, subvolume: None, in_fstab: true }]
    }

    #[test]
    fn row_90_swap_after_root() {
        let sound = Sound::debian();
        let mut disk = Disk::gpt();
        let root = disk.filesystem(
            "0fc63daf-8483-4772-8e79-3d69d8477de4",
            0x83,
            Arc::new(sound.root_fs()),
        );
        disk.swap();
        let inspection = sound.inspection(disk, root, root_mount(root), sound.root_fs());
        let message = "partition 2 begins after the root partition 1 and leaves it no room to grow";
        assert_eq!(one(&inspection), ("OnlineResizeFS.RootNotLast", message.into()));
    }

    #[test]
    fn row_91_lvm_root() {
        let sound = Sound::debian();
        let mut disk = Disk::gpt();
        disk.physical_volume("pv");
        let root = disk.logical_volume("vg", "root", sound.root_fs(), UUID_ROOT);
        let inspection = sound.inspection(disk, root, root_mount(root), sound.root_fs());
        let message =
            "the root filesystem is on the logical volume vg/root, which cloud-init does not grow";
        assert_eq!(one(&inspection), ("OnlineResizeFS.Lvm", message.into()));
    }

    #[test]
    fn row_92_growpart_removed() {
        let found = planted(Sound::debian(), |sound| {
            sound.fs.remove("/usr/bin/growpart");
        });
        let message = "growpart is not installed, and the root partition cannot grow";
        assert_eq!(found, ("OnlineResizeFS.NoGrowpart", message.into()));
    }

    #[test]
    fn row_93_growpart_mode_off_as_a_yaml_boolean() {
        let file = "/etc/cloud/cloud.cfg.d/99_x.cfg";
        for text in ["growpart: {mode: off}\n", "growpart:\n  mode: 'off'\n"] {
            let found = planted(Sound::debian(), |sound| {
                sound.fs.file(file, text);
            });
            let message = format!("growpart's mode is off in {file}");
            assert_eq!(found, ("OnlineResizeFS.CloudInitModule", message));
        }
        for (text, message) in [
            (
                "cloud_init_modules: [growpart]\n",
                "cloud-init's module resizefs is not in cloud_init_modules",
            ),
            ("growpart: {devices: [/data]}\n", "growpart's devices do not hold /"),
            ("resize_rootfs: no\n", "resize_rootfs is false"),
        ] {
            let found = planted(Sound::debian(), |sound| {
                sound.fs.file(file, text);
            });
            assert_eq!(found, ("OnlineResizeFS.CloudInitModule", message.into()));
        }
        let found = planted(Sound::debian(), |s| {
            s.fs.file("/etc/growroot-disabled", "");
        });
        assert_eq!(found.1, "/etc/growroot-disabled turns growpart off");
    }

    #[test]
    fn row_94_xfs_growfs_removed() {
        let found = planted(Sound::el9(), |sound| {
            sound.fs.remove("/usr/sbin/xfs_growfs");
        });
        let message = "xfs_growfs is not installed, and the root filesystem cannot grow";
        assert_eq!(found, ("OnlineResizeFS.NoResizeTool", message.into()));
    }

    #[test]
    fn row_154_jfs_and_el6_without_growroot() {
        let mut inspection = Sound::debian().build();
        let layout = Arc::make_mut(&mut inspection.systems[0].layout);
        layout.volumes[1].content = Content::Jfs;
        let message = "a root filesystem of type jfs does not grow while it is mounted";
        assert_eq!(one(&inspection), ("OnlineResizeFS.FsType", message.into()));

        let found = planted(Sound::el6(), |sound| {
            sound.fs.remove("/usr/share/dracut");
        });
        let message = "kernel 2.6.32-754.el6.x86_64 cannot grow a partition that is mounted";
        assert_eq!(found, ("OnlineResizeFS.KernelTooOld", message.into()));
    }

    #[test]
    fn systemd_repart_stands_in_for_cloud_init() {
        let mut sound = Sound::debian();
        sound.remove_cloud_init();
        assert_eq!(one(&sound.build()).0, "OnlineResizeFS.CloudInitModule");
        sound.fs.file("/usr/lib/repart.d/50-root.conf", "[Partition]\nType=root\n");
        sound.fs.executable("/usr/bin/systemd-repart", "");
        sound
            .fs
            .file("/etc/fstab", format!("UUID={UUID_ROOT} / ext4 defaults,x-systemd.growfs 0 1\n"));
        assert_eq!(codes(&item("OnlineResizeFS", &sound.build())), []);
    }
}
