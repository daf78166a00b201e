use std::sync::Arc;

use kiln_volume::{Content, MemFs};

use crate::check::sound::{Sound, codes, item};
use crate::check::{Level, Outcome};
use crate::inspect::MountedVolume;
use crate::testing::{Btrfs, Disk, UUID_BOOT, UUID_ESP, UUID_ROOT, UUID_SWAP};
use crate::{BootChain, Evidence, FirmwareKind, Inspection, Loader};

const LINUX: &str = "0fc63daf-8483-4772-8e79-3d69d8477de4";
const OTHER: &str = "99999999-0000-4000-8000-000000000000";

/// ESP, /boot, swap, vg/data on a physical volume, root; with `fstab`.
fn inspection(sound: &mut Sound, fstab: &str) -> Inspection {
    sound.fs.file("/etc/fstab", fstab).dir("/data").dir("/boot/efi").dir("/boot");
    let mut disk = Disk::gpt();
    let esp = disk.esp(MemFs::new());
    let boot = disk.partition(MemFs::new(), UUID_BOOT, "boot");
    disk.swap();
    disk.physical_volume("pv");
    disk.logical_volume("vg", "data", MemFs::new(), OTHER);
    let fs = sound.root_fs();
    let volume = disk.volumes.len();
    let root = disk.filesystem(LINUX, 0x83, Arc::new(fs.clone()));
    assert_eq!(volume, root);
    let mounts = [("/", root), ("/boot", boot), ("/boot/efi", esp)].map(|(path, volume)| {
        MountedVolume { path: path.into(), volume, subvolume: None, in_fstab: true }
    });
    sound.inspection(disk, root, mounts.into(), fs)
}

fn judge(fstab: &str) -> Outcome {
    item("Fstab", &inspection(&mut Sound::debian(), fstab))
}

/// The sound table, with `more` at its end.
fn with(more: &str) -> String {
    format!(
        "UUID={UUID_ROOT} / ext4 rw 0 1\nUUID={UUID_BOOT} /boot ext4 rw 0 2\nUUID={UUID_ESP} /boot/efi vfat rw 0 1\n{more}\n"
    )
}

#[track_caller]
fn one(fstab: &str, code: &str, level: Level, message: &str) {
    let found = judge(fstab);
    let [finding] = &found.findings[..] else { panic!("{:?}", found.findings) };
    assert_eq!((finding.code, finding.level, finding.message.as_str()), (code, level, message));
    assert!(finding.suggestion.is_some());
    assert_eq!(found.value, "Invalid");
}

#[test]
fn the_sound_table_is_valid() {
    assert_eq!(codes(&judge(&with(""))), []);
}

#[test]
fn row_43_kernel_name_as_root() {
    let table = with("").replace(&format!("UUID={UUID_ROOT}"), "/dev/sda1");
    let message = "line 1: /dev/sda1 does not exist on the platform";
    one(&table, "Fstab.UnstableDeviceName", Level::High, message);
    let suggestion = format!("replace the source of line 1 of /etc/fstab by UUID={UUID_ROOT}");
    assert_eq!(judge(&table).findings[0].suggestion, Some(suggestion));
}

#[test]
fn row_44_wrong_uuid_for_boot() {
    let table = with("").replace(UUID_BOOT, "12345678-0000-4000-8000-000000000000");
    let message = "line 2: no volume of the image is UUID=12345678-0000-4000-8000-000000000000";
    one(&table, "Fstab.UuidNotFound", Level::High, message);
}

#[test]
fn row_45_data_disk_not_in_the_image() {
    let table = with("UUID=dead-beef /data ext4 defaults 0 2");
    let message = "line 4: no volume of the image is UUID=dead-beef";
    one(&table, "Fstab.UuidNotFound", Level::High, message);
}

#[test]
fn row_46_root_names_the_swap_partition() {
    let table = with("").replace(UUID_ROOT, UUID_SWAP);
    let message = format!("line 1: UUID={UUID_SWAP} is disk0p3, not the root volume");
    one(&table, "Fstab.RootMismatch", Level::High, &message);
}

#[test]
fn row_47_type_differs() {
    let mut sound = Sound::el9();
    let table = with("");
    let found = item("Fstab", &inspection(&mut sound, &table));
    assert_eq!(codes(&found), [("Fstab.TypeMismatch", Level::High)]);
    let message = format!("line 1: UUID={UUID_ROOT} holds xfs and is to be mounted as ext4");
    assert_eq!(found.findings[0].message, message);
}

#[test]
fn row_48_logical_volume_not_in_the_group() {
    let table = with("/dev/mapper/vg-home /data ext4 defaults 0 2");
    let message = "line 4: the image has no /dev/mapper/vg-home";
    one(&table, "Fstab.DeviceNotFound", Level::High, message);
}

#[test]
fn row_49_windows_line_ends() {
    let message = "line 1 ends in a carriage return (a Windows line end) (and 2 more lines)";
    let table = with("").trim_end().to_owned() + "\n";
    one(&table.replace('\n', "\r\n"), "Fstab.SyntaxError", Level::High, message);
}

#[test]
fn row_50_one_field() {
    one(&with("/dev/vdb1"), "Fstab.SyntaxError", Level::High, "line 4 has fewer than two fields");
}

#[test]
fn row_51_mounted_twice() {
    let table = with(&format!("UUID={OTHER} /mnt ext4 rw 0 2\ntmpfs /mnt tmpfs rw 0 0"));
    one(&table, "Fstab.Duplicate", Level::Medium, "lines 4 and 5 both mount /mnt");
    let table = with(&format!("UUID={OTHER} /mnt ext4 rw 0 2\n/dev/vg/data /data ext4 rw 0 0"));
    one(&table, "Fstab.Duplicate", Level::Medium, "lines 4 and 5 mount the same volume");
}

#[test]
fn row_52_mount_point_missing() {
    let table = with("/dev/vg/data /srv/data ext4 rw 0 2");
    let message = "line 4: there is no directory /srv/data, and systemd will have to make it";
    one(&table, "Fstab.MountPointMissing", Level::Medium, message);
    let found = item("Fstab", &inspection(&mut Sound::el6(), &table));
    assert_eq!(codes(&found), [("Fstab.MountPointMissing", Level::High)]);
}

#[test]
fn row_53_network_mount() {
    let message = "line 4 makes boot wait for the network mount nas:/x";
    one(&with("nas:/x /mnt nfs defaults 0 0"), "Fstab.NetworkMount", Level::Medium, message);
}

#[test]
fn row_54_shared_folder_of_the_hypervisor() {
    let message = "line 4 mounts .host:/ of type vmhgfs, which only the source's hypervisor offers";
    one(&with(".host:/ /mnt vmhgfs defaults 0 0"), "Fstab.HypervisorMount", Level::High, message);
}

#[test]
fn row_55_subvolume_missing() {
    let mut sound = Sound::suse();
    let mut fs = MemFs::new();
    fs.dir("/@").dir("/@home");
    let btrfs = Btrfs::new(fs, UUID_ROOT, &["@", "@var"][..1], "");
    let table = format!(
        "UUID={UUID_ROOT} / btrfs subvol=@ 0 0\nUUID={UUID_ROOT} /mnt btrfs subvol=@home 0 0\n"
    );
    sound.fs.file("/etc/fstab", table);
    let mut disk = Disk::gpt();
    let root = disk.filesystem(LINUX, 0x83, Arc::new(btrfs));
    let found = item("Fstab", &sound.inspection(disk, root, Vec::new(), sound.root_fs()));
    assert_eq!(codes(&found), [("Fstab.BadOption", Level::High)]);
    let message = format!("line 2: subvol=@home, and UUID={UUID_ROOT} has no such subvolume");
    assert_eq!(found.findings[0].message, message);

    let table = with("/dev/vg/data /data ext4 subvol=@ 0 2");
    let message = "line 4: subvol=@, and /dev/vg/data holds ext4";
    one(&table, "Fstab.BadOption", Level::High, message);
}

#[test]
fn row_56_swap_unknown() {
    let message = "line 4: the swap UUID=dead-beef is not in the image";
    one(&with("UUID=dead-beef none swap sw 0 0"), "Fstab.SwapMissing", Level::Medium, message);
    let message = "line 4: the swap /dev/sda3 has a name that does not exist on the platform";
    one(&with("/dev/sda3 none swap sw 0 0"), "Fstab.SwapMissing", Level::Medium, message);
    let message = "line 4: the swap /swapfile is not in the image";
    one(&with("/swapfile none swap sw 0 0"), "Fstab.SwapMissing", Level::Medium, message);
}

#[test]
fn row_57_esp_needed_and_not_listed() {
    let table: String = with("").lines().take(2).map(|line| format!("{line}\n")).collect();
    let mut inspection = inspection(&mut Sound::debian(), &table);
    inspection.systems[0].mounts[2].in_fstab = false;
    assert_eq!(codes(&item("Fstab", &inspection)), [], "nothing starts from the ESP");
    inspection.firmware.chains.push(BootChain {
        firmware: FirmwareKind::Uefi,
        loader: Loader::Grub2,
        architecture: "x86_64".into(),
        evidence: Evidence::note("x"),
    });
    let found = item("Fstab", &inspection);
    assert_eq!(codes(&found), [("Fstab.BootNotMounted", Level::Medium)]);
    let message = "disk0p1 is needed at /boot/efi and no line mounts it";
    assert_eq!(found.findings[0].message, message);
}

#[test]
fn row_58_path_name_as_root() {
    let name = "/dev/disk/by-path/pci-0000:00:10.0-scsi-0:0:0:0-part1";
    let table = with("").replace(&format!("UUID={UUID_ROOT}"), name);
    let message = format!("line 1: {name} does not exist on the platform");
    one(&table, "Fstab.UnstableDeviceName", Level::High, &message);
}

#[test]
fn row_148_no_root_and_a_swap_partition() {
    let table = with("").replace(&format!("UUID={UUID_ROOT} / "), &format!("UUID={OTHER} /data "));
    let message = format!("no line mounts /; root=UUID={UUID_ROOT} on the command line does");
    one(&table, "Fstab.RootMissing", Level::Medium, &message);
    let message = format!("line 4 uses the swap partition UUID={UUID_SWAP}");
    let table = with(&format!("UUID={UUID_SWAP} none swap sw 0 0"));
    one(&table, "Fstab.SwapPresent", Level::Medium, &message);
}

#[test]
fn platform_names_are_medium_unless_they_contradict_the_attachment() {
    let table = with("").replace(&format!("UUID={UUID_BOOT}"), "/dev/vda2");
    let message = "line 2: /dev/vda2 is another device on other instance types";
    one(&table, "Fstab.UnstableDeviceName", Level::Medium, message);
    let mut inspection = inspection(&mut Sound::debian(), &table);
    inspection.declared.nvme = true;
    assert_eq!(codes(&item("Fstab", &inspection)), [("Fstab.UnstableDeviceName", Level::High)]);
    let message = "line 4: the image has no /dev/vdb1";
    one(&with("/dev/vdb1 /data ext4 rw 0 2"), "Fstab.DeviceNotFound", Level::High, message);
}

/// N6 to N9 and their neighbours.
#[test]
fn near_misses_stay_silent() {
    for (more, why) in [
        ("UUID=dead-beef /data ext4 nofail 0 2", "N7"),
        ("UUID=dead-beef /data ext4 noauto 0 2", "not mounted at boot"),
        ("/dev/sdb1 /data auto defaults,nofail,comment=cloudconfig 0 2", "cloud-init's own"),
        ("# UUID=dead-beef /x ext4 rw 0 0", "an example in a comment"),
        ("UUID=dead-beef none swap sw,nofail 0 0", "swap that may be missing"),
        ("nas:/x /mnt nfs _netdev,nofail 0 0", "network mount that may fail"),
        ("tmpfs /tmp tmpfs rw 0 0\nproc /proc proc defaults 0 0", "no devices"),
        ("/data /mnt none bind 0 0", "a bind mount"),
        ("/dev/disk/by-uuid/99999999-0000-4000-8000-000000000000 /data ext4 rw 0 2", "N8"),
        ("/dev/disk/by-id/dm-uuid-LVM-abcdef /data ext4 rw 0 2", "N8"),
        ("UUID=\"99999999-0000-4000-8000-000000000000\"\t/data ext4 rw 0 2", "N9"),
        ("/dev/vg/data /data auto rw 0 2", "auto is any type"),
        (".host:/ /mnt vmhgfs nofail 0 0", "may be missing"),
    ] {
        assert_eq!(codes(&judge(&with(more))), [], "{why}: {more}");
    }
    assert_eq!(codes(&judge(&with("").replace(UUID_ESP, &UUID_ESP.to_lowercase()))), [], "N9");
    assert!(!judge(&with("UUID=dead-beef /data ext4 nofail 0 2")).evidence.is_empty(), "N7");
    let found = judge("# /etc/fstab: static file system information\n");
    assert_eq!(codes(&found), [("Fstab.RootMissing", Level::Medium)], "N6");
}

#[test]
fn older_filesystems_mount_upwards() {
    for (asked, content, expected) in [
        ("ext4", Content::Ext3, true),
        ("ext2", Content::Ext4, false),
        ("ext3,ext4", Content::Ext4, true),
        ("auto", Content::Xfs, true),
        ("ntfs-3g", Content::Ntfs, true),
        ("vfat", Content::Ext4, false),
    ] {
        let mut inspection =
            inspection(&mut Sound::debian(), &with(&format!("/dev/vg/data /data {asked} rw 0 2")));
        Arc::make_mut(&mut inspection.systems[0].layout).volumes[4].content = content;
        let found = codes(&item("Fstab", &inspection));
        assert_eq!(found.is_empty(), expected, "{asked} on {content:?}: {found:?}");
    }
}

#[test]
fn mount_units_that_are_required_count() {
    let mut sound = Sound::debian();
    let unit = "[Mount]\nWhat=UUID=dead-beef\nWhere=/data\nType=ext4\n[Install]\nRequiredBy=local-fs.target\n";
    sound.fs.file("/etc/systemd/system/data.mount", unit);
    assert_eq!(codes(&item("Fstab", &inspection(&mut sound, &with("")))), [], "not enabled");
    sound.fs.symlink("/etc/systemd/system/local-fs.target.requires/data.mount", "../data.mount");
    let found = item("Fstab", &inspection(&mut sound, &with("")));
    assert_eq!(codes(&found), [("Fstab.UuidNotFound", Level::High)]);
}

#[test]
fn mutated_tables_never_panic() {
    let sound_table =
        with("UUID=dead-beef /data btrfs subvol=@,nofail 0 2\n/dev/sda1 none swap sw 0 0");
    let mut inspection = inspection(&mut Sound::debian(), "");
    let mut fs = Sound::debian().fs;
    crate::syntax::mutation::mutated(sound_table.as_bytes(), |bytes| {
        fs.file("/etc/fstab", bytes);
        inspection.systems[0].tree = kiln_volume::Tree::new(Arc::new(fs.clone()));
        drop(item("Fstab", &inspection));
    });
}
