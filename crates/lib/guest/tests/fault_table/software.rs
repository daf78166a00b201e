//! SELinux, growth of the root, cloud-init, the vendor's agents, old systems, the older rules: rows
//! 88 to 103 and 154 to 157.

use kiln_fixtures::phony::disk::Part;
use kiln_fixtures::phony::{Phony, SWAP_UUID, arm64_elf};

use crate::table::Grade::{self, High, Medium};
use crate::table::{Also, Base, Fault, Row};

const ASSIST: &str = "/usr/local/share/aliyun-assist/2.2.3.857";

const NO_GROWTH: Also =
    ("OnlineResizeFS", "OnlineResizeFS.CloudInitModule", "cloud-init is what grows the root");

const fn row(
    number: u32,
    what: &'static str,
    base: Base,
    fault: Fault,
    code: (&'static str, &'static str),
    grade: Grade,
    also: &'static [Also],
) -> Row {
    Row { number, what, base, fault, item: code.0, code: code.1, grade, also }
}

const fn growth(
    number: u32,
    what: &'static str,
    base: Base,
    fault: Fault,
    code: &'static str,
) -> Row {
    row(number, what, base, fault, ("OnlineResizeFS", code), Medium, &[])
}

const fn cloud_init(
    number: u32,
    what: &'static str,
    fault: Fault,
    code: &'static str,
    also: &'static [Also],
) -> Row {
    row(number, what, Phony::debian, fault, ("CloudInit", code), Medium, also)
}

const fn legacy(what: &'static str, fault: Fault, code: &'static str) -> Row {
    row(157, what, Phony::debian, fault, ("Legacy", code), Medium, &[])
}

fn root_fs(guest: &mut Phony, change: fn(&mut kiln_volume::FsInfo)) {
    let part = guest.disk.part("/");
    part.fs = part.fs.take().map(|fs| fs.with_info(change));
}

pub(crate) const ROWS: &[Row] = &[
    row(
        88,
        "SELINUX=enforcing",
        Phony::el7_labeled,
        |guest| {
            guest.replace("/etc/selinux/config", "SELINUX=disabled", "SELINUX=enforcing");
        },
        ("Selinux", "Selinux.Enforcing"),
        Medium,
        &[],
    ),
    row(
        89,
        "enforcing, no labels",
        Phony::el7,
        |guest| {
            guest.replace("/etc/selinux/config", "SELINUX=disabled", "SELINUX=enforcing");
        },
        ("Selinux", "Selinux.Unlabeled"),
        High,
        &[],
    ),
    growth(
        90,
        "swap after the root",
        Phony::debian,
        |guest| guest.disk.parts.push(Part::swap(SWAP_UUID)),
        "OnlineResizeFS.RootNotLast",
    ),
    growth(
        91,
        "root on LVM",
        Phony::el7,
        |guest| {
            guest.root_on_lvm("cl");
        },
        "OnlineResizeFS.Lvm",
    ),
    growth(
        92,
        "growpart removed",
        Phony::debian,
        |guest| {
            guest.remove("/usr/bin/growpart");
        },
        "OnlineResizeFS.NoGrowpart",
    ),
    growth(
        93,
        "`growpart: {mode: off}`, which YAML reads as false",
        Phony::debian,
        |guest| {
            guest.put("/etc/cloud/cloud.cfg.d/91_growpart.cfg", "growpart: {mode: off}\n");
        },
        "OnlineResizeFS.CloudInitModule",
    ),
    growth(
        94,
        "xfs root, xfs_growfs removed",
        Phony::el9,
        |guest| {
            guest.remove("/usr/sbin/xfs_growfs");
        },
        "OnlineResizeFS.NoResizeTool",
    ),
    cloud_init(
        95,
        "cloud-init.disabled file",
        |guest| {
            guest.put("/etc/cloud/cloud-init.disabled", "");
        },
        "CloudInit.Disabled",
        &[NO_GROWTH],
    ),
    cloud_init(
        96,
        "cloud-init=disabled on the default entry only",
        |guest| {
            let text = guest.text("/boot/grub/grub.cfg");
            let changed = text.replacen("console=tty0", "cloud-init=disabled console=tty0", 1);
            guest.put("/boot/grub/grub.cfg", changed);
        },
        "CloudInit.Disabled",
        &[NO_GROWTH],
    ),
    cloud_init(
        97,
        "`datasource_list: [ NoCloud ]`",
        |guest| {
            guest.put("/etc/cloud/cloud.cfg.d/90_dpkg.cfg", "datasource_list: [ NoCloud ]\n");
        },
        "CloudInit.DatasourceMissing",
        // Without a data source cloud-init ends before it runs a module, growpart included.
        &[NO_GROWTH],
    ),
    cloud_init(
        98,
        "tab in a cloud.cfg.d file",
        |guest| {
            guest.put("/etc/cloud/cloud.cfg.d/91_site.cfg", "runcmd:\n\t- [ echo ]\n");
        },
        "CloudInit.ConfigInvalid",
        &[],
    ),
    cloud_init(
        99,
        "version 19.1.1",
        |guest| {
            let path = "/usr/lib/python3/dist-packages/cloudinit/version.py";
            guest.replace(path, "22.4.2", "19.1.1");
        },
        "CloudInit.TooOld",
        &[],
    ),
    row(
        100,
        "assist directory emptied, unit left",
        Phony::debian,
        |guest| {
            guest.remove(ASSIST).dir(ASSIST);
        },
        ("CloudAssistant", "CloudAssistant.NotInstalled"),
        Medium,
        &[],
    ),
    row(
        101,
        "arm64 assist program on x86_64",
        Phony::debian,
        |guest| {
            guest.program(&format!("{ASSIST}/aliyun-service"), arm64_elf());
        },
        ("CloudAssistant", "CloudAssistant.WrongArch"),
        Medium,
        &[],
    ),
    row(
        102,
        "aegis unit masked",
        Phony::debian,
        |guest| {
            guest.mask("aegis.service");
        },
        ("SecurityCenterAgent", "SecurityCenterAgent.Disabled"),
        Medium,
        &[],
    ),
    row(
        103,
        "CentOS 5.8",
        Phony::el5,
        |guest| {
            let old = guest.kver;
            guest.put("/etc/redhat-release", "CentOS release 5.8 (Final)\n");
            guest.initrds.clear();
            guest.remove(&format!("/boot/vmlinuz-{old}")).remove(&format!("/boot/config-{old}"));
            guest.remove(&format!("/lib/modules/{old}"));
            guest.kernel_5("2.6.18-308.el5");
            guest.menu_replace(old, "2.6.18-308.el5");
        },
        ("SupportMocInstanceTypes", "SupportMocInstanceTypes.Unsupported"),
        High,
        &[],
    ),
    // The row names jfs, which kiln does not read: such a root is SystemImage.UnsupportedStack, as
    // the one on ZFS of row 140. The same code by a filesystem that it reads:
    growth(
        154,
        "root that cannot grow while mounted: ext4 without resize_inode",
        Phony::debian,
        |guest| root_fs(guest, |info| info.features = vec!["has_journal".into(), "extent".into()]),
        "OnlineResizeFS.FsType",
    ),
    growth(
        154,
        "EL6 with Linux 2.6.32, without growroot",
        Phony::el6,
        |guest| {
            guest.remove("/usr/share/dracut/modules.d/50growroot");
            guest.initrd().files.remove("pre-pivot/00growroot.sh").expect("was there");
        },
        "OnlineResizeFS.KernelTooOld",
    ),
    cloud_init(
        155,
        "python removed",
        |guest| {
            guest.remove("/usr/bin/python3").remove("/usr/bin/python3.11");
        },
        "CloudInit.NoInterpreter",
        &[NO_GROWTH],
    ),
    cloud_init(
        155,
        "manual_cache_clean: true, with an old instance left behind",
        |guest| {
            guest.put("/etc/cloud/cloud.cfg.d/91_site.cfg", "manual_cache_clean: true\n");
            guest.dir("/var/lib/cloud/instances/i-2zeaaaaaaaaaaaaaaaaa");
            guest
                .link("/var/lib/cloud/instance", "/var/lib/cloud/instances/i-2zeaaaaaaaaaaaaaaaaa");
        },
        "CloudInit.ManualCacheClean",
        &[],
    ),
    cloud_init(
        155,
        "package purged",
        |guest| {
            guest.purge_cloud_init();
            let stanza = "Package: cloud-init\nStatus: install ok installed\n";
            let gone = "Package: cloud-init\nStatus: purge ok not-installed\n";
            guest.replace("/var/lib/dpkg/status", stanza, gone);
        },
        "CloudInit.NotInstalled",
        &[NO_GROWTH],
    ),
    row(
        156,
        "assist unit disabled",
        Phony::debian,
        |guest| {
            guest.disable("aliyun.service");
        },
        ("CloudAssistant", "CloudAssistant.Disabled"),
        Medium,
        &[],
    ),
    row(
        156,
        "aegis absent",
        Phony::debian,
        |guest| {
            guest.disable("aegis.service").remove("/usr/lib/systemd/system/aegis.service");
            guest.remove("/usr/local/aegis");
        },
        ("SecurityCenterAgent", "SecurityCenterAgent.NotInstalled"),
        Medium,
        &[],
    ),
    legacy(
        "qemu-ga enabled",
        |guest| {
            guest.program("/usr/sbin/qemu-ga", kiln_fixtures::phony::elf());
            guest.enabled("qemu-guest-agent.service");
        },
        "Legacy.QemuGa",
    ),
    legacy(
        "/etc/shadow immutable",
        |guest| {
            guest.immutable("/etc/shadow");
        },
        "Legacy.ShadowImmutable",
    ),
    legacy(
        "sshd masked",
        |guest| {
            guest.mask("ssh.service");
        },
        "Legacy.SshDisabled",
    ),
    legacy(
        "root removed from passwd",
        |guest| {
            guest.replace("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n", "");
        },
        "Legacy.NoRootAccount",
    ),
    legacy(
        "/lib64 an absolute link",
        |guest| {
            guest.link("/lib64", "/usr/lib64");
        },
        "Legacy.LibLink",
    ),
    legacy(
        "5 MiB free",
        |guest| root_fs(guest, |info| info.free_bytes = Some(5 << 20)),
        "Legacy.LowSpace",
    ),
    legacy(
        "no inodes free",
        |guest| root_fs(guest, |info| info.free_inodes = Some(0)),
        "Legacy.LowInodes",
    ),
];
