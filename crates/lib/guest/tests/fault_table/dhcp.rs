//! Dhcp: rows 78 to 87 and 153.

use kiln_fixtures::phony::Phony;

use crate::table::Grade::{self, High, Medium};
use crate::table::{Base, Fault, Row};

const IFCFG: &str = "/etc/sysconfig/network-scripts/ifcfg-eth0";
const INTERFACES: &str = "/etc/network/interfaces";

const fn row(
    number: u32,
    what: &'static str,
    base: Base,
    fault: Fault,
    code: &'static str,
    grade: Grade,
) -> Row {
    Row { number, what, base, fault, item: "Dhcp", code, grade, also: &[] }
}

pub(crate) const ROWS: &[Row] = &[
    row(
        78,
        "static ifcfg",
        Phony::el7_bare,
        |guest| {
            guest.replace(IFCFG, "BOOTPROTO=\"dhcp\"", "BOOTPROTO=\"static\"");
            guest.append(IFCFG, "IPADDR=10.1.2.3\nNETMASK=255.255.255.0\nGATEWAY=10.1.2.1\n");
        },
        "Dhcp.StaticAddress",
        High,
    ),
    row(
        79,
        "ifcfg DHCP with the HWADDR of the source",
        Phony::el7_bare,
        |guest| {
            guest.append(IFCFG, "HWADDR=00:50:56:aa:bb:cc\n");
        },
        "Dhcp.BoundToMac",
        High,
    ),
    row(
        80,
        "interfaces bound to ens192",
        Phony::debian_bare,
        |guest| {
            guest.menu_replace(" net.ifnames=0 biosdevname=0", "");
            guest.replace("/etc/default/grub", "net.ifnames=0 biosdevname=0 ", "");
            guest.replace(INTERFACES, "eth0", "ens192");
        },
        "Dhcp.BoundToName",
        Medium,
    ),
    row(
        81,
        "no client installed, ifupdown",
        Phony::debian_bare,
        |guest| {
            guest.remove("/usr/sbin/dhclient");
        },
        "Dhcp.NoClient",
        High,
    ),
    row(
        82,
        "all network services masked",
        Phony::debian,
        |guest| {
            guest.mask("networking.service");
        },
        "Dhcp.NoNetworkService",
        High,
    ),
    row(
        83,
        "EL6 70-persistent-net.rules with the old MAC",
        Phony::el6,
        |guest| {
            guest.put(
                "/etc/udev/rules.d/70-persistent-net.rules",
                "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", \
                 ATTR{address}==\"00:50:56:aa:bb:cc\", ATTR{type}==\"1\", KERNEL==\"eth*\", \
                 NAME=\"eth0\"\n",
            );
        },
        "Dhcp.PersistentNetRules",
        High,
    ),
    row(
        84,
        "NetworkManager with no-auto-default=* and no profile",
        Phony::el9_bare,
        |guest| {
            guest.remove("/etc/NetworkManager/system-connections/cloud.nmconnection");
            guest.put(
                "/usr/lib/NetworkManager/conf.d/00-server.conf",
                "[main]\nno-auto-default=*\nignore-carrier=*\n",
            );
        },
        "Dhcp.NoConfig",
        High,
    ),
    row(
        85,
        "cloud-init network disabled, no other configuration",
        Phony::debian,
        |guest| {
            guest.put(
                "/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg",
                "network: {config: disabled}\n",
            );
            guest.put(INTERFACES, "auto lo\niface lo inet loopback\n");
        },
        "Dhcp.CloudInitNetDisabled",
        High,
    ),
    row(
        86,
        "static netplan file sorted after 50-cloud-init.yaml",
        Phony::ubuntu,
        |guest| {
            guest.put(
                "/etc/netplan/99-static.yaml",
                "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: false\n      \
                 addresses: [10.1.2.3/24]\n",
            );
        },
        "Dhcp.StaticAddress",
        High,
    ),
    row(
        87,
        "wicked BOOTPROTO=static",
        Phony::suse,
        |guest| {
            guest.put(
                "/etc/sysconfig/network/ifcfg-eth0",
                "BOOTPROTO='static'\nIPADDR='10.1.2.3/24'\nSTARTMODE='auto'\n",
            );
        },
        "Dhcp.StaticAddress",
        High,
    ),
    row(
        153,
        "resolv.conf regular and immutable",
        Phony::debian_bare,
        |guest| {
            guest.put("/etc/resolv.conf", "nameserver 10.9.8.7\n").immutable("/etc/resolv.conf");
        },
        "Dhcp.StaticDns",
        Medium,
    ),
];
