//! Any bytes as one of the configuration files that inspection and the items read; the first byte
//! chooses which.
#![no_main]

use kiln_fuzz::Firmware;

const PATHS: &[&str] = &[
    "/etc/os-release",
    "/etc/fstab",
    "/etc/cloud/cloud.cfg",
    "/etc/cloud/cloud.cfg.d/90_x.cfg",
    "/etc/netplan/50-cloud-init.yaml",
    "/etc/network/interfaces",
    "/etc/systemd/network/10-eth.network",
    "/etc/NetworkManager/system-connections/eth0.nmconnection",
    "/etc/NetworkManager/NetworkManager.conf",
    "/etc/sysconfig/network-scripts/ifcfg-eth0",
    "/etc/sysconfig/selinux",
    "/etc/selinux/config",
    "/etc/ssh/sshd_config",
    "/etc/ssh/sshd_config.d/a.conf",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/adjtime",
    "/etc/crypttab",
    "/etc/default/grub",
    "/etc/sysctl.conf",
    "/etc/sysctl.d/a.conf",
    "/etc/modprobe.d/a.conf",
    "/etc/dracut.conf.d/a.conf",
    "/etc/initramfs-tools/modules",
    "/etc/systemd/system/a.service",
    "/etc/systemd/system/multi-user.target.wants/a.service",
    "/etc/ufw/ufw.conf",
    "/etc/firewalld/firewalld.conf",
    "/etc/iptables/rules.v4",
    "/etc/nftables.conf",
    "/etc/udev/rules.d/70-persistent-net.rules",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/machine-id",
    "/etc/ld.so.preload",
    "/etc/debian_version",
    "/etc/redhat-release",
    "/etc/inittab",
    "/usr/bin/cloud-init",
    "/usr/lib/python3/dist-packages/cloudinit/version.py",
    "/usr/lib/modules/6.1.0/modules.dep",
    "/usr/lib/modules/6.1.0/modules.builtin",
    "/var/lib/dpkg/status",
    "/boot/config-6.1.0",
    "/boot/initrd.img-6.1.0",
];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((path, content)) = kiln_fuzz::chosen(data, PATHS) else { return };
    kiln_fuzz::check_guest(Firmware::Bios, &[(path, content)]);
});
