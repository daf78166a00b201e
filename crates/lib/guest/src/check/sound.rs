//! Sound guests in memory, for tests that plant one fault in them.

use std::sync::Arc;

use kiln_volume::{FsKind, MemFs, Tree};

use super::{Level, Outcome, find};
use crate::boot::{Boot, BootEntry, Loader};
use crate::inspect::MountedVolume;
use crate::testing::{Disk, UUID_ESP, UUID_ROOT};
use crate::{Family, Guest, Inspection, Kernel, OsInfo};

/// The head of an ELF program for `machine` (62 is x86-64, 183 is arm64).
pub(crate) fn elf(machine: u8) -> Vec<u8> {
    let mut head = vec![0; 64];
    head[..6].copy_from_slice(b"\x7fELF\x02\x01");
    head[16] = 2;
    head[18] = machine;
    head
}

/// A guest to be spoiled, then built.
#[derive(Debug)]
pub(crate) struct Sound {
    pub(crate) fs: MemFs,
    pub(crate) kind: FsKind,
    pub(crate) os: OsInfo,
    pub(crate) kernel: &'static str,
    pub(crate) cmdline: String,
    /// `None`: a BIOS guest on an MBR disk.
    pub(crate) esp: Option<MemFs>,
}

const INSTALL: &str =
    "[Unit]\nDescription=x\n[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n";

impl Sound {
    fn new(family: Family, id: &str, version: &str, kernel: &'static str) -> Self {
        let os = OsInfo {
            family,
            id: Some(id.into()),
            version: Some(version.into()),
            architecture: Some("x86_64".into()),
            ..OsInfo::default()
        };
        let mut fs = MemFs::new();
        fs.file("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
        fs.file("/etc/shadow", "root:*:19000:0:99999:7:::\n").chmod("/etc/shadow", 0o640);
        fs.executable("/usr/bin/passwd", "");
        for dir in ["/proc", "/sys", "/dev", "/run", "/tmp", "/mnt", "/boot"] {
            fs.dir(dir);
        }
        let cmdline = format!("root=UUID={UUID_ROOT} ro quiet");
        Self { fs, kind: FsKind::Ext4, os, kernel, cmdline, esp: None }
    }

    fn merged_usr(mut self) -> Self {
        for dir in ["bin", "sbin", "lib", "lib64"] {
            self.fs.dir(&format!("/usr/{dir}")).symlink(&format!("/{dir}"), &format!("usr/{dir}"));
        }
        self
    }

    fn systemd(mut self) -> Self {
        self.fs.executable("/usr/lib/systemd/systemd", "");
        self.fs.symlink("/usr/sbin/init", "../lib/systemd/systemd");
        self.fs.file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        self
    }

    /// Install a unit that `multi-user.target` wants.
    pub(crate) fn enabled(&mut self, unit: &str) -> &mut Self {
        self.installed(unit);
        let link = format!("/etc/systemd/system/multi-user.target.wants/{unit}");
        self.fs.symlink(&link, &format!("/usr/lib/systemd/system/{unit}"));
        self
    }

    /// Install a unit that nothing wants.
    pub(crate) fn installed(&mut self, unit: &str) -> &mut Self {
        self.fs.file(&format!("/usr/lib/systemd/system/{unit}"), INSTALL);
        self
    }

    /// Mask a unit.
    pub(crate) fn mask(&mut self, unit: &str) -> &mut Self {
        self.fs.symlink(&format!("/etc/systemd/system/{unit}"), "/dev/null");
        self
    }

    fn fstab(mut self, root_type: &str) -> Self {
        let mut text =
            format!("# <source> <mount point>\nUUID={UUID_ROOT} / {root_type} defaults 0 1\n");
        if self.esp.is_some() {
            text.push_str(&format!("UUID={UUID_ESP} /boot/efi vfat umask=0077 0 1\n"));
            self.fs.dir("/boot/efi");
        }
        self.fs.file("/etc/fstab", text);
        self
    }

    /// cloud-init as a package of a systemd distribution has it.
    pub(crate) fn cloud_init(mut self, version: &str, packages: &str) -> Self {
        self.fs.executable("/usr/bin/cloud-init", "#!/usr/bin/python3\n");
        self.fs.executable("/usr/bin/python3.11", elf(62));
        self.fs.symlink("/usr/bin/python3", "python3.11");
        let text =
            format!("__VERSION__ = \"{version}\"\n_PACKAGED_VERSION = \"@@PACKAGED_VERSION@@\"\n");
        self.fs.file(&format!("{packages}/cloudinit/version.py"), text);
        self.fs.file("/etc/cloud/cloud.cfg", CLOUD_CFG);
        for unit in ["cloud-init-local", "cloud-init", "cloud-config", "cloud-final"] {
            let unit = format!("{unit}.service");
            let text = "[Service]\nExecStart=/x\n[Install]\nWantedBy=cloud-init.target\n";
            self.fs.file(&format!("/usr/lib/systemd/system/{unit}"), text);
            let link = format!("/etc/systemd/system/cloud-init.target.wants/{unit}");
            self.fs.symlink(&link, &format!("/usr/lib/systemd/system/{unit}"));
        }
        self.fs
            .file("/usr/lib/systemd/system/cloud-init.target", "[Unit]\nAfter=multi-user.target\n");
        self.fs
            .executable("/usr/lib/systemd/system-generators/cloud-init-generator", "#!/bin/sh\n");
        self
    }

    fn growth(mut self) -> Self {
        for tool in ["/usr/bin/growpart", "/usr/sbin/sfdisk", "/usr/bin/flock"] {
            self.fs.executable(tool, "");
        }
        for tool in ["/usr/sbin/resize2fs", "/usr/sbin/xfs_growfs", "/usr/bin/btrfs"] {
            self.fs.executable(tool, "");
        }
        self
    }

    /// Debian 12 with ifupdown, dhclient and cloud-init, on UEFI.
    pub(crate) fn debian() -> Self {
        let mut sound = Self::new(Family::Debian, "debian", "12.5", "6.1.0-40-cloud-amd64");
        sound.esp = Some(MemFs::new());
        let mut sound = sound
            .merged_usr()
            .systemd()
            .fstab("ext4")
            .cloud_init("22.4.2", "/usr/lib/python3/dist-packages")
            .growth();
        sound.enabled("networking.service");
        sound.fs.executable("/usr/sbin/ifup", elf(62)).executable("/usr/sbin/dhclient", elf(62));
        sound.fs.file(
            "/etc/network/interfaces",
            "source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n",
        );
        sound.fs.dir("/etc/network/interfaces.d");
        let list = "datasource_list: [ NoCloud, AliYun, None ]\n";
        sound.fs.file("/etc/cloud/cloud.cfg.d/90_dpkg.cfg", list);
        sound.enabled("ssh.service");
        sound
    }

    /// Debian 12 without cloud-init: what `/etc/network/interfaces` says is what happens.
    pub(crate) fn debian_bare() -> Self {
        let mut sound = Self::debian();
        sound.remove_cloud_init();
        sound.cmdline.push_str(" net.ifnames=0 biosdevname=0");
        let text = "auto lo\niface lo inet loopback\nallow-hotplug eth0\niface eth0 inet dhcp\n";
        sound.fs.file("/etc/network/interfaces", text);
        sound
    }

    /// Purge cloud-init.
    pub(crate) fn remove_cloud_init(&mut self) -> &mut Self {
        for path in [
            "/usr/bin/cloud-init",
            "/usr/lib/python3/dist-packages/cloudinit",
            "/usr/lib/python3.9/site-packages/cloudinit",
            "/usr/lib/python2.6/site-packages/cloudinit",
            "/etc/cloud",
            "/usr/lib/systemd/system-generators/cloud-init-generator",
            "/etc/systemd/system/cloud-init.target.wants",
        ] {
            self.fs.remove(path);
        }
        self
    }

    /// CentOS 6 with SysV scripts, an ifcfg file and a growing initramfs, on BIOS.
    pub(crate) fn el6() -> Self {
        let sound = Self::new(Family::RedHat, "centos", "6.10", "2.6.32-754.el6.x86_64");
        let mut sound = sound.fstab("ext4").growth();
        let fs = &mut sound.fs;
        for dir in ["/bin", "/sbin", "/lib", "/lib64"] {
            fs.dir(dir);
        }
        fs.executable("/sbin/init", "").executable("/sbin/dhclient", elf(62));
        fs.symlink("/etc/init.d", "rc.d/init.d").symlink("/etc/rc3.d", "rc.d/rc3.d");
        for (service, order) in [
            ("network", 10),
            ("sshd", 55),
            ("cloud-init-local", 50),
            ("cloud-init", 51),
            ("cloud-config", 52),
            ("cloud-final", 53),
        ] {
            fs.executable(&format!("/etc/rc.d/init.d/{service}"), "#!/bin/sh\n");
            let link = format!("/etc/rc.d/rc3.d/S{order}{service}");
            fs.symlink(&link, &format!("../init.d/{service}"));
        }
        fs.executable("/usr/bin/cloud-init", "#!/usr/bin/python2.6\n");
        fs.executable("/usr/bin/python2.6", elf(62));
        let version = "def version_string():\n    return \"0.7.9\"\n";
        fs.file("/usr/lib/python2.6/site-packages/cloudinit/version.py", version);
        fs.file("/etc/cloud/cloud.cfg", CLOUD_CFG);
        fs.file("/etc/sysconfig/network", "NETWORKING=yes\n");
        let ifcfg = "DEVICE=eth0\nBOOTPROTO=\"dhcp\"\nONBOOT=\"yes\"\nTYPE=Ethernet\n";
        fs.file("/etc/sysconfig/network-scripts/ifcfg-eth0", ifcfg);
        fs.file(
            "/etc/sysconfig/network-scripts/ifcfg-lo",
            "DEVICE=lo\nIPADDR=127.0.0.1\nONBOOT=yes\n",
        );
        fs.file("/usr/share/dracut/modules.d/50growroot/install", "#!/bin/bash\n");
        sound
    }

    /// CentOS Stream 9 with NetworkManager and no profile, on xfs.
    pub(crate) fn el9() -> Self {
        let mut sound = Self::new(Family::RedHat, "centos", "9", "5.14.0-400.el9.x86_64");
        sound.kind = FsKind::Xfs;
        sound.esp = Some(MemFs::new());
        let mut sound = sound
            .merged_usr()
            .systemd()
            .fstab("xfs")
            .cloud_init("23.4", "/usr/lib/python3.9/site-packages")
            .growth();
        sound.enabled("NetworkManager.service").enabled("sshd.service");
        sound.fs.executable("/usr/sbin/NetworkManager", elf(62));
        sound.fs.file("/etc/NetworkManager/NetworkManager.conf", "[main]\n#plugins=keyfile\n");
        sound.fs.dir("/etc/NetworkManager/system-connections");
        sound
    }

    /// CentOS Stream 9 without cloud-init.
    pub(crate) fn el9_bare() -> Self {
        let mut sound = Self::el9();
        sound.remove_cloud_init();
        sound
    }

    /// SLES 15 with wicked, btrfs and no cloud-init.
    pub(crate) fn suse() -> Self {
        let mut sound = Self::new(Family::Suse, "sles", "15.5", "5.14.21-150500-default");
        sound.kind = FsKind::Btrfs;
        sound.esp = Some(MemFs::new());
        sound.cmdline.push_str(" net.ifnames=0");
        let mut sound = sound.merged_usr().systemd().fstab("btrfs");
        sound.enabled("wicked.service").enabled("sshd.service");
        sound.fs.executable("/usr/sbin/wicked", elf(62));
        let ifcfg = "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n";
        sound.fs.file("/etc/sysconfig/network/ifcfg-eth0", ifcfg);
        sound.fs.file("/etc/sysconfig/network/ifcfg-lo", "IPADDR=127.0.0.1/8\nSTARTMODE=nfsroot\n");
        sound
    }

    /// Alpine with OpenRC and busybox.
    pub(crate) fn alpine() -> Self {
        let sound = Self::new(Family::Alpine, "alpine", "3.19.1", "6.6.14-0-virt");
        let mut sound = sound.fstab("ext4");
        let fs = &mut sound.fs;
        for dir in ["/bin", "/sbin", "/lib"] {
            fs.dir(dir);
        }
        fs.executable("/bin/busybox", elf(62)).executable("/sbin/openrc", elf(62));
        fs.symlink("/sbin/udhcpc", "/bin/busybox").symlink("/sbin/init", "/bin/busybox");
        fs.executable("/etc/init.d/networking", "#!/sbin/openrc-run\n");
        fs.executable("/etc/init.d/sshd", "#!/sbin/openrc-run\n");
        fs.symlink("/etc/runlevels/boot/networking", "/etc/init.d/networking");
        fs.symlink("/etc/runlevels/default/sshd", "/etc/init.d/sshd");
        fs.file(
            "/etc/network/interfaces",
            "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n",
        );
        sound
    }

    /// Ubuntu 24.04 with netplan and cloud-init.
    pub(crate) fn ubuntu() -> Self {
        let mut sound = Self::new(Family::Debian, "ubuntu", "24.04", "6.8.0-31-generic");
        sound.esp = Some(MemFs::new());
        let mut sound = sound
            .merged_usr()
            .systemd()
            .fstab("ext4")
            .cloud_init("24.1.3", "/usr/lib/python3/dist-packages")
            .growth();
        sound.enabled("systemd-networkd.service").enabled("systemd-resolved.service");
        sound.enabled("ssh.service");
        sound.fs.executable("/usr/sbin/netplan", "#!/usr/bin/python3\n");
        sound.fs.executable("/usr/lib/systemd/systemd-networkd", elf(62));
        sound.fs.executable("/usr/lib/systemd/system-generators/netplan", elf(62));
        sound.fs.symlink("/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf");
        let text = "network:\n    ethernets:\n        ens3:\n            dhcp4: true\n            match: {macaddress: '52:54:00:12:34:56'}\n            set-name: ens3\n    version: 2\n";
        sound.fs.file("/etc/netplan/50-cloud-init.yaml", text);
        sound
    }

    /// Ubuntu with netplan and without cloud-init.
    pub(crate) fn ubuntu_bare() -> Self {
        let mut sound = Self::ubuntu();
        sound.remove_cloud_init();
        sound.fs.remove("/etc/netplan/50-cloud-init.yaml");
        let text = "network:\n  version: 2\n  ethernets:\n    all:\n      match: {name: 'en*'}\n      dhcp4: yes\n";
        sound.fs.file("/etc/netplan/01-netcfg.yaml", text);
        sound
    }

    /// The inspection of a disk with that guest: the ESP first, the root last.
    pub(crate) fn build(&self) -> Inspection {
        let mut disk = if self.esp.is_some() { Disk::gpt() } else { Disk::mbr() };
        let mut mounts = Vec::new();
        let mut esp = None;
        if let Some(fs) = &self.esp {
            esp = Some(disk.esp(fs.clone()));
        }
        let root_fs = self.root_fs();
        let root = disk.filesystem(
            "0fc63daf-8483-4772-8e79-3d69d8477de4",
            0x83,
            Arc::new(root_fs.clone()),
        );
        let mount = |path: &str, volume| MountedVolume {
            path: path.into(),
            volume,
            subvolume: None,
            in_fstab: true,
        };
        mounts.push(mount("/", root));
        mounts.extend(esp.map(|volume| mount("/boot/efi", volume)));
        self.inspection(disk, root, mounts, root_fs)
    }

    /// The root filesystem with its identity.
    pub(crate) fn root_fs(&self) -> MemFs {
        self.fs.clone().with_info(|info| {
            info.kind = self.kind;
            info.uuid = Some(UUID_ROOT.into());
            info.features = vec!["has_journal".into(), "resize_inode".into(), "64bit".into()];
        })
    }

    /// The inspection of a disk that the test made itself.
    pub(crate) fn inspection(
        &self,
        disk: Disk,
        root_volume: usize,
        mounts: Vec<MountedVolume>,
        root_fs: MemFs,
    ) -> Inspection {
        let layout = Arc::new(disk.build());
        let kernel = Kernel {
            version: self.kernel.into(),
            image: Some(format!("/boot/vmlinuz-{}", self.kernel)),
            initramfs: Some(format!("/boot/initrd.img-{}", self.kernel)),
            config: None,
            modules_dir: Some(format!("/usr/lib/modules/{}", self.kernel)),
            is_rescue: false,
        };
        let entry = BootEntry {
            loader: Loader::Grub2,
            id: "0".into(),
            selector: "0".into(),
            title: "Linux".into(),
            kernel: kernel.image.clone(),
            kernel_found: true,
            initrds: kernel.initramfs.clone().into_iter().collect(),
            missing_initrds: Vec::new(),
            cmdline: self.cmdline.clone(),
            command: "linux".into(),
            search_uuid: None,
            legacy_root: None,
            unrestricted: true,
            source: "/boot/grub/grub.cfg".into(),
            line: 1,
        };
        let guest = Guest {
            layout: Arc::clone(&layout),
            tree: Tree::new(Arc::new(root_fs)),
            root_volume,
            root_subvolume: None,
            ostree_deployment: None,
            mounts,
            os: self.os.clone(),
            kernels: vec![kernel],
            boot: Boot { entries: vec![entry], default: Some(0), ..Boot::default() },
            cache: Default::default(),
        };
        Inspection { layout, systems: vec![guest], chosen: Some(0), ..Inspection::default() }
    }
}

const CLOUD_CFG: &str = "users:\n   - default\ndisable_root: true\ncloud_init_modules:\n - migrator\n - seed_random\n - growpart\n - resizefs\n - disk_setup\n - mounts\n - ssh\n";

/// Run the item `name`.
pub(crate) fn item(name: &str, inspection: &Inspection) -> Outcome {
    (find(name).expect("an item of that name").run)(inspection).expect("looked")
}

/// Codes and levels of all findings.
pub(crate) fn codes(outcome: &Outcome) -> Vec<(&'static str, Level)> {
    outcome.findings.iter().map(|finding| (finding.code, finding.level)).collect()
}

/// The items about configuration. These guests have no kernel and no boot chain, so what the other
/// items say of them proves nothing.
const ABOUT_CONFIGURATION: [&str; 8] = [
    "RtcTimeMode",
    "Fstab",
    "Dhcp",
    "Selinux",
    "OnlineResizeFS",
    "CloudAssistant",
    "CloudInit",
    "SecurityCenterAgent",
];

/// Every sound guest passes these items, or the tests that plant a fault prove nothing.
#[test]
fn sound_guests_have_no_findings() {
    for sound in [
        Sound::debian(),
        Sound::debian_bare(),
        Sound::el6(),
        Sound::el9(),
        Sound::el9_bare(),
        Sound::suse(),
        Sound::alpine(),
        Sound::ubuntu(),
        Sound::ubuntu_bare(),
    ] {
        let has_cloud_init = sound.fs.content("/etc/cloud/cloud.cfg").is_some();
        let inspection = sound.build();
        for name in ABOUT_CONFIGURATION {
            let check = find(name).expect("an item of that name");
            let about_software =
                ["CloudAssistant", "SecurityCenterAgent", "CloudInit", "OnlineResizeFS"];
            let found = item(check.name, &inspection);
            let highs = found.findings.iter().filter(|finding| finding.level == Level::High);
            assert_eq!(
                highs.count(),
                0,
                "{} of {:?}: {:?}",
                check.name,
                sound.os.id,
                found.findings
            );
            if !about_software[..if has_cloud_init { 2 } else { 4 }].contains(&check.name) {
                assert_eq!(
                    codes(&found),
                    [],
                    "{} of {:?}: {:?}",
                    check.name,
                    sound.os.id,
                    found.findings
                );
            }
        }
    }
}
