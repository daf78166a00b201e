//! Tables before and after, over whole guests.

use kiln_volume::MemFs;

use super::*;
use crate::repair::{Bundle, Options, Staging, codes};
use crate::testing::systems::{debian, debian_esp, el6, legacy_disk};
use crate::testing::{Disk, UUID_BOOT, UUID_ESP, UUID_ROOT, UUID_SWAP};
use crate::{Declared, inspect};

/// ESP, root, swap: Debian with systemd.
fn disk(table: &[u8]) -> Disk {
    let mut root = debian();
    root.file("/etc/fstab", table).file("/usr/lib/systemd/systemd", "x");
    for dir in ["/data", "/mnt/nas", "/mnt/hgfs", "/boot/efi", "/srv"] {
        root.dir(dir);
    }
    with_root(root)
}

fn with_root(root: MemFs) -> Disk {
    let mut disk = Disk::gpt();
    disk.esp(debian_esp());
    disk.partition(root, UUID_ROOT, "");
    disk.swap();
    disk
}

fn mended(disk: Disk) -> Result<Staging, Stop> {
    let mut staging = Staging::new(&inspect(disk.build(), Declared::default()));
    let (options, bundle) = (Options::default(), Bundle::default());
    let mut draft = Draft::new(&mut staging, &options, &bundle);
    plan(&mut draft)?;
    draft.look_again();
    let mut again = Draft::new(&mut staging, &options, &bundle);
    plan(&mut again)?;
    assert_eq!(again.finish().0, [], "a second run");
    Ok(staging)
}

fn text(staging: &Staging, path: &str) -> String {
    let tree = &staging.inspection().guest().unwrap().tree;
    String::from_utf8(tree.read(path, 1 << 20).unwrap().unwrap()).unwrap()
}

fn table(before: &str) -> String {
    text(&mended(disk(before.as_bytes())).unwrap(), PATH)
}

/// The sound lines, with `more` behind them.
fn with(more: &str) -> String {
    format!(
        "UUID={UUID_ROOT} / ext4 rw 0 1\nUUID={UUID_ESP} /boot/efi vfat umask=0077 0 1\n{more}\n"
    )
}

#[test]
fn the_table_of_the_specification() {
    let before = "\
/dev/sda2        /            ext4  errors=remount-ro  0 1
UUID=0000-DEAD   /boot/efi    vfat  umask=0077         0 1
/dev/sdb1        /data        xfs   defaults           0 0
nas:/vol1        /mnt/nas     nfs   rw                 0 0
.host:/          /mnt/hgfs    vmhgfs defaults          0 0
/dev/sda3        none         swap  sw                 0 0
";
    let after = format!(
        "\
UUID={UUID_ROOT}        /            ext4  errors=remount-ro  0 1
UUID={UUID_ESP}   /boot/efi    vfat  umask=0077         0 1
/dev/sdb1        /data        xfs   defaults,nofail,x-systemd.device-timeout=5s           0 0
nas:/vol1        /mnt/nas     nfs   rw,_netdev,nofail                 0 0
#kiln .host:/          /mnt/hgfs    vmhgfs defaults          0 0
UUID={UUID_SWAP}        none         swap  sw                 0 0
"
    );
    assert_eq!(table(before), after);
}

#[test]
fn each_finding_has_its_edit() {
    let root = format!("UUID={UUID_ROOT}");
    for (before, after) in [
        (
            "UUID=dead-beef none swap sw 0 0".to_owned(),
            format!("UUID={UUID_SWAP} none swap sw 0 0"),
        ),
        ("/swap.img none swap sw 0 0".to_owned(), "#kiln /swap.img none swap sw 0 0".to_owned()),
    ]
    .into_iter()
    .map(|(before, after)| (with(&before), with(&after)))
    .chain([
        (with("").replace("ext4", "xfs"), with("")),
        (
            with("").replace("vfat umask=0077", "ext4 umask=0077,noatime"),
            with("").replace("umask=0077", "noatime"),
        ),
        (with("/data"), with("#kiln /data")),
        (
            with("tmpfs /srv tmpfs rw 0 0\ntmpfs /srv tmpfs ro 0 0"),
            with("tmpfs /srv tmpfs rw 0 0\n#kiln tmpfs /srv tmpfs ro 0 0"),
        ),
        (with("UUID=dead /boot/efi vfat rw 0 0"), with("#kiln UUID=dead /boot/efi vfat rw 0 0")),
        (with(&format!("{root} /srv ext4 rw 0 2")), with("/ /srv none bind 0 0")),
        (with(&format!("{root} /srv ext4 subvol=@ 0 2")), with("/ /srv none bind 0 0")),
        (with("/dev/cdrom /srv iso9660 ro 0 0"), with("#kiln /dev/cdrom /srv iso9660 ro 0 0")),
        (
            with("/dev/disk/by-path/x-part1 /srv ext4 rw 0 2"),
            with("/dev/disk/by-path/x-part1 /srv ext4 rw,nofail,x-systemd.device-timeout=5s 0 2"),
        ),
        (
            with("/dev/mapper/vg-x /srv ext4 rw 0 2"),
            with("/dev/mapper/vg-x /srv ext4 rw,nofail,x-systemd.device-timeout=5s 0 2"),
        ),
        (
            with("").replace(&format!("{root} / ext4 rw 0 1\n"), ""),
            with("").replace(" rw ", " defaults "),
        ),
        (
            with("").replace(&format!("UUID={UUID_ESP} /boot/efi vfat umask=0077 0 1\n"), ""),
            format!(
                "{root} / ext4 rw 0 1\n\nUUID={UUID_ESP} /boot/efi vfat umask=0077,nofail 0 2\n"
            ),
        ),
        (with("").replace(&root, &format!("UUID={UUID_SWAP}")), with("")),
        (with("").replace(&root, "/dev/vda2"), with("")),
    ]) {
        assert_eq!(table(&before), after, "{before}");
    }
}

#[test]
fn what_is_sound_stays_as_it_is() {
    for more in [
        "# UUID=dead /x ext4 rw 0 0",
        "UUID=dead /data ext4 nofail 0 2",
        "/dev/sdb1 /data auto defaults,nofail,comment=cloudconfig 0 2",
        "/dev/cdrom /srv udf,iso9660 user,noauto 0 0",
        "LABEL=a\\040b /data ext4 noauto 0 2",
        "tmpfs /tmp tmpfs rw 0 0",
    ] {
        assert_eq!(table(&with(more)), with(more));
    }
}

#[test]
fn bytes_that_no_table_may_have_go() {
    let windows = with("").replace('\n', "\r\n");
    assert_eq!(table(&windows), with(""));
    let latin = [with("nas:/x /srv/caf").trim_end().as_bytes(), b"\xe9 nfs nofail 0 0\n"].concat();
    let after = text(&mended(disk(&latin)).unwrap(), PATH);
    assert_eq!(after, with("nas:/x /srv/caf\\351 nfs nofail 0 0").trim_end().to_owned() + "\n");
    let crashed = with("\0\0\0");
    assert_eq!(table(&crashed), with(""));
}

#[test]
fn without_systemd_nothing_waits_and_directories_are_made() {
    let (mut root, boot) = el6();
    root.file(
        "/etc/fstab",
        format!("UUID={UUID_ROOT} / ext4 rw 1 1\nUUID=dead /boot ext4 rw 1 2\nUUID=beef /data ext4 rw 1 2\nproc /new proc defaults 0 0\ntmpfs /late tmpfs rw 0 0\n/dev/sda2 /again ext4 noauto 0 0\n"),
    );
    let staging = mended(legacy_disk((root, boot))).unwrap();
    assert_eq!(
        text(&staging, PATH),
        format!(
            "UUID={UUID_ROOT} / ext4 rw 1 1\nUUID={UUID_BOOT} /boot ext4 rw 1 2\n#kiln UUID=beef /data ext4 rw 1 2\nproc /new proc defaults 0 0\ntmpfs /late tmpfs rw 0 0\n/dev/sda2 /again ext4 noauto 0 0\n"
        )
    );
}

#[test]
fn units_are_tables_too() {
    let mut root = debian();
    root.file("/etc/fstab", with("")).file("/usr/lib/systemd/systemd", "x").dir("/boot/efi");
    for (name, what) in [("data", "/dev/sdb1"), ("swapped", "/dev/sda1")] {
        root.file(
            &format!("/etc/systemd/system/{name}.mount"),
            format!("[Mount]\nWhat={what}\nWhere=/{name}\nType=vfat\n[Install]\nRequiredBy=local-fs.target\n"),
        );
        root.symlink(
            &format!("/etc/systemd/system/local-fs.target.requires/{name}.mount"),
            &format!("../{name}.mount"),
        );
    }
    let staging = mended(with_root(root)).unwrap();
    let tree = &staging.inspection().guest().unwrap().tree;
    let link = |name: &str| format!("/etc/systemd/system/local-fs.target.requires/{name}.mount");
    assert!(tree.locate_link(link("data")).unwrap().is_none());
    assert!(tree.locate_link(link("swapped")).unwrap().is_some());
    let unit = text(&staging, "/etc/systemd/system/swapped.mount");
    assert!(unit.contains(&format!("What=UUID={UUID_ESP}\n")), "{unit}");
}

#[test]
fn what_remembers_old_names_goes() {
    let mut root = debian();
    root.file("/etc/fstab", with("UUID=dead /srv ext4 rw 0 2")).file("/etc/blkid/blkid.tab", "x");
    root.file("/etc/lvm/devices/system.devices", "IDTYPE=sys_wwid\n").dir("/srv");
    let staging = mended(with_root(root)).unwrap();
    let tree = &staging.inspection().guest().unwrap().tree;
    assert!(!tree.exists("/etc/blkid/blkid.tab").unwrap());
    assert!(tree.exists("/etc/lvm/devices/system.devices").unwrap(), "the root is not on LVM");
}

#[test]
fn what_cannot_be_told_is_refused() {
    let usr = mended(disk(with("UUID=dead /usr ext4 rw 0 2").as_bytes()));
    assert!(matches!(usr, Err(Stop::Refused(refusal)) if refusal.code == codes::NOT_MENDED));

    let mut root = debian();
    root.file("/etc/fstab", "/dev/sdc9 / ext4 rw 0 1\n");
    root.remove("/boot/grub/grub.cfg");
    let mut disk = Disk::gpt();
    disk.bios_boot();
    disk.partition(root.clone(), UUID_ROOT, "");
    disk.partition(root, UUID_BOOT, "");
    disk.grub_bios();
    let two = mended(disk);
    assert!(
        matches!(two, Err(Stop::Refused(refusal)) if refusal.code == codes::FSTAB_ROOT_AMBIGUOUS)
    );
}
