use kiln_fixtures::phony::{Phony, elf};

use super::super::{Options, testing};
use super::DHCP;

const IFCFG: &str = "/etc/sysconfig/network-scripts/ifcfg-eth0";

fn told(mut guest: Phony, plant: impl FnOnce(&mut Phony)) -> String {
    plant(&mut guest);
    testing::told(&guest, &DHCP, &Options::default())
}

#[test]
fn a_static_ifcfg_asks_instead() {
    let told = told(Phony::el7_bare(), |guest| {
        let text = "DEVICE=eth0\nBOOTPROTO=none\nIPADDR=10.1.2.3\nPREFIX=24\nONBOOT=yes\n\
                    HWADDR=00:50:56:aa:bb:cc\nUUID=1\nMTU=1450\n";
        guest.put(IFCFG, text);
        guest.put("/etc/sysconfig/network", "NETWORKING=yes\nGATEWAY=10.1.2.1\n");
    });
    insta::assert_snapshot!(told, @r#"
    # the first NIC gets an address by DHCP, and no other one
    --- a/etc/sysconfig/network-scripts/ifcfg-eth0
    +++ b/etc/sysconfig/network-scripts/ifcfg-eth0
    @@ -1,8 +1,4 @@
     DEVICE=eth0
    -BOOTPROTO=none
    -IPADDR=10.1.2.3
    -PREFIX=24
    +BOOTPROTO=dhcp
     ONBOOT=yes
    -HWADDR=00:50:56:aa:bb:cc
    -UUID=1
     MTU=1450
    # the gateway is that of the source's network
    --- a/etc/sysconfig/network
    +++ b/etc/sysconfig/network
    @@ -1,2 +1 @@
     NETWORKING=yes
    -GATEWAY=10.1.2.1
    "#);
}

#[test]
fn a_bond_is_taken_apart_and_said_so() {
    let told = told(Phony::el7_bare(), |guest| {
        guest.put(IFCFG, "DEVICE=eth0\nMASTER=bond0\nSLAVE=yes\nONBOOT=yes\n");
        let dir = "/etc/sysconfig/network-scripts";
        guest.put(&format!("{dir}/ifcfg-eth1"), "DEVICE=eth1\nMASTER=bond0\nSLAVE=yes\n");
        let bond = "DEVICE=bond0\nTYPE=Bond\nBOOTPROTO=none\nIPADDR=10.1.2.3\nONBOOT=yes\n";
        guest.put(&format!("{dir}/ifcfg-bond0"), bond);
        let own = "DEVICE=br-int\nTYPE=Bridge\nBOOTPROTO=none\nIPADDR=172.16.0.1\nONBOOT=yes\n";
        guest.put(&format!("{dir}/ifcfg-br-int"), own);
    });
    insta::assert_snapshot!(told, @r#"
    # bond0 is a bond over NICs of the source machine
    # make directory etc/sysconfig/network-scripts/kiln-off with mode 0755
    # bond0 is a bond over NICs of the source machine
    rename from etc/sysconfig/network-scripts/ifcfg-bond0
    rename to etc/sysconfig/network-scripts/kiln-off/ifcfg-bond0.kiln-off
    # eth0 belongs to bond0, and the instance has one NIC
    rename from etc/sysconfig/network-scripts/ifcfg-eth0
    rename to etc/sysconfig/network-scripts/kiln-off/ifcfg-eth0.kiln-off
    # eth1 belongs to bond0, and the instance has one NIC
    rename from etc/sysconfig/network-scripts/ifcfg-eth1
    rename to etc/sysconfig/network-scripts/kiln-off/ifcfg-eth1.kiln-off
    # the first NIC gets an address by DHCP
    new file mode 100644
    --- /dev/null
    +++ b/etc/sysconfig/network-scripts/ifcfg-eth0
    @@ -0,0 +1,6 @@
    +DEVICE=eth0
    +TYPE=Ethernet
    +BOOTPROTO=dhcp
    +ONBOOT=yes
    +PEERDNS=yes
    +PERSISTENT_DHCLIENT=yes
    "#);
}

#[test]
fn wicked_asks() {
    let told = told(Phony::suse(), |guest| {
        let text = "BOOTPROTO='static'\nIPADDR='10.1.2.3/24'\nSTARTMODE='auto'\n";
        guest.put("/etc/sysconfig/network/ifcfg-eth0", text);
        guest.put("/etc/sysconfig/network/ifcfg-eth1", text);
        guest.put("/etc/sysconfig/network/routes", "default 10.1.2.1 - -\n10.9.0.0/16 10.1.2.9\n");
    });
    insta::assert_snapshot!(told, @r#"
    # the first NIC gets an address by DHCP, and no other one
    --- a/etc/sysconfig/network/ifcfg-eth0
    +++ b/etc/sysconfig/network/ifcfg-eth0
    @@ -1,3 +1,2 @@
    -BOOTPROTO='static'
    -IPADDR='10.1.2.3/24'
    +BOOTPROTO='dhcp'
     STARTMODE='auto'
    # it gives a NIC a static address
    rename from etc/sysconfig/network/ifcfg-eth1
    rename to etc/sysconfig/network/kiln-off/ifcfg-eth1.kiln-off
    # the gateway is that of the source's network
    --- a/etc/sysconfig/network/routes
    +++ b/etc/sysconfig/network/routes
    @@ -1,2 +1 @@
    -default 10.1.2.1 - -
     10.9.0.0/16 10.1.2.9
    "#);
}

#[test]
fn networkmanager_gets_a_profile_for_any_nic() {
    let path = "/etc/NetworkManager/system-connections/office.nmconnection";
    let told = told(Phony::el9_bare(), |guest| {
        guest.put(
            path,
            "[connection]\nid=office\ntype=ethernet\ninterface-name=ens192\n\n[ipv4]\n\
             method=manual\naddress1=10.1.2.3/24,10.1.2.1\n",
        );
        guest.chmod(path, 0o600);
        guest.remove("/etc/NetworkManager/system-connections/cloud.nmconnection");
        let text = "[main]\nno-auto-default=*\n";
        guest.put("/usr/lib/NetworkManager/conf.d/00-server.conf", text);
    });
    insta::assert_snapshot!(told, @r#"
    # it gives the NIC a static address
    --- a/etc/NetworkManager/system-connections/office.nmconnection
    +++ b/etc/NetworkManager/system-connections/office.nmconnection
    @@ -2,6 +2,7 @@
     id=office
     type=ethernet
     interface-name=ens192
    +autoconnect=false
     
     [ipv4]
     method=manual
    # NetworkManager takes care of every wired NIC
    # make directory etc/NetworkManager/conf.d with mode 0755
    # NetworkManager takes care of every wired NIC
    new file mode 100644
    --- /dev/null
    +++ b/etc/NetworkManager/conf.d/99-kiln.conf
    @@ -0,0 +1,2 @@
    +[main]
    +no-auto-default=
    # any wired NIC gets an address by DHCP
    new file mode 100600
    --- /dev/null
    +++ b/etc/NetworkManager/system-connections/kiln-dhcp.nmconnection
    @@ -0,0 +1,7 @@
    +[connection]
    +id=kiln-dhcp
    +type=ethernet
    +[ipv4]
    +method=auto
    +[ipv6]
    +method=auto
    "#);
}

#[test]
fn netplan_defines_one_nic() {
    let mut guest = Phony::ubuntu();
    guest.purge_cloud_init();
    let told = told(guest, |guest| {
        guest.remove("/etc/netplan/50-cloud-init.yaml");
        guest.put(
            "/etc/netplan/00-installer-config.yaml",
            "network:\n  version: 2\n  ethernets:\n    eno1: {}\n    eno2: {}\n  bonds:\n    bond0:\n      \
             interfaces: [eno1, eno2]\n      addresses: [10.1.2.3/24]\n",
        );
        let own =
            "network:\n  version: 2\n  bridges:\n    br-int:\n      addresses: [172.16.0.1/24]\n";
        guest.put("/etc/netplan/60-containers.yaml", own);
    });
    insta::assert_snapshot!(told, @r#"
    # it defines the NICs eno1, eno2 and the bonds bond0 of the source machine
    rename from etc/netplan/00-installer-config.yaml
    rename to etc/netplan/00-installer-config.yaml.kiln-off
    # any NIC gets an address by DHCP
    new file mode 100600
    --- /dev/null
    +++ b/etc/netplan/90-kiln.yaml
    @@ -0,0 +1,6 @@
    +network:
    +  version: 2
    +  ethernets:
    +    kiln:
    +      match: {name: "e*"}
    +      dhcp4: true
    "#);
}

#[test]
fn cloud_init_sets_up_the_network_again() {
    let told = told(Phony::debian(), |guest| {
        let text = "# by the installer\nnetwork: {config: disabled}\n";
        guest.put("/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg", text);
        let text = "preserve_hostname: true\nnetwork:\n  config: disabled\n# end\nx: 1\n";
        guest.put("/etc/cloud/cloud.cfg.d/50-site.cfg", text);
        let text = "auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet static\n\
                    \taddress 10.1.2.3/24\n";
        guest.put("/etc/network/interfaces", text);
    });
    insta::assert_snapshot!(told, @r#"
    # it keeps cloud-init from setting up the network of the instance
    rename from etc/cloud/cloud.cfg.d/99-disable-network-config.cfg
    rename to etc/cloud/cloud.cfg.d/99-disable-network-config.cfg.kiln-orig
    # it keeps cloud-init from setting up the network of the instance
    --- a/etc/cloud/cloud.cfg.d/50-site.cfg
    +++ b/etc/cloud/cloud.cfg.d/50-site.cfg
    @@ -1,5 +1,3 @@
     preserve_hostname: true
    -network:
    -  config: disabled
     # end
     x: 1
    # the instance has one NIC, which asks for its address; out goes eth0; ifupdown reads what cloud-init writes
    --- a/etc/network/interfaces
    +++ b/etc/network/interfaces
    @@ -1,5 +1,4 @@
    +source /etc/network/interfaces.d/*
    +
     auto lo
     iface lo inet loopback
    -auto eth0
    -iface eth0 inet static
    -	address 10.1.2.3/24
    "#);
}

#[test]
fn ifupdown_asks_for_eth0_only() {
    let told = told(Phony::debian_bare(), |guest| {
        guest.put(
            "/etc/network/interfaces",
            "# of the installer\nsource /etc/network/interfaces.d/*\n\nauto lo eth0 eth1\n\
             iface lo inet loopback\n\n# the office\niface eth0 inet static\n\taddress 10.1.2.3/24\n\
             \tup ip route add 10.9.0.0/16 \\\n\t\tvia 10.1.2.9\n\n# the bridge\nauto br0 br1\n\
             iface br0 inet static\n\tbridge_ports eth1\n\taddress 10.1.3.3/24\n\
             iface br1 inet static\n\tbridge_ports none\n\taddress 172.16.0.1/24\n",
        );
        let text = "auto eth2\niface eth2 inet dhcp\niface eth2 inet6 auto\n";
        guest.put("/etc/network/interfaces.d/eth2", text);
    });
    insta::assert_snapshot!(told, @r#"
    # the instance has one NIC, which asks for its address; out goes br0 (over eth1), eth0, eth1, eth2; eth0 gets an address by DHCP
    --- a/etc/network/interfaces
    +++ b/etc/network/interfaces
    @@ -1,20 +1,16 @@
     # of the installer
     source /etc/network/interfaces.d/*
     
    -auto lo eth0 eth1
    +auto lo
     iface lo inet loopback
     
     # the office
    -iface eth0 inet static
    -	address 10.1.2.3/24
    -	up ip route add 10.9.0.0/16 \
    -		via 10.1.2.9
     
     # the bridge
    -auto br0 br1
    -iface br0 inet static
    -	bridge_ports eth1
    -	address 10.1.3.3/24
    +auto br1
     iface br1 inet static
     	bridge_ports none
     	address 172.16.0.1/24
    +
    +auto eth0
    +iface eth0 inet dhcp
    # the instance has one NIC, which asks for its address; out goes br0 (over eth1), eth0, eth1, eth2
    # make directory etc/network/kiln-off with mode 0755
    # the instance has one NIC, which asks for its address; out goes br0 (over eth1), eth0, eth1, eth2
    rename from etc/network/interfaces.d/eth2
    rename to etc/network/kiln-off/eth2.kiln-off
    "#);
}

#[test]
fn networkd_stands_in_where_ifupdown_has_no_client() {
    let told = told(Phony::debian_bare(), |guest| {
        guest.remove("/usr/sbin/dhclient");
        guest.program("/usr/lib/systemd/systemd-networkd", elf());
        guest.installed("systemd-networkd.service");
        guest.put("/etc/resolv.conf", "search corp.example\nnameserver 10.9.8.7\n");
    });
    insta::assert_snapshot!(told, @r#"
    # the instance has one NIC, which asks for its address; out goes eth0
    --- a/etc/network/interfaces
    +++ b/etc/network/interfaces
    @@ -3,5 +3,3 @@
     auto lo
     iface lo inet loopback
     
    -allow-hotplug eth0
    -iface eth0 inet dhcp
    # any NIC gets an address by DHCP; the files that sort after it say nothing more about Ethernet NICs
    # make directory etc/systemd/network with mode 0755
    # any NIC gets an address by DHCP; the files that sort after it say nothing more about Ethernet NICs
    new file mode 100644
    --- /dev/null
    +++ b/etc/systemd/network/05-kiln.network
    @@ -0,0 +1,4 @@
    +[Match]
    +Name=e*
    +[Network]
    +DHCP=yes
    # ifupdown has no DHCP client to call, and systemd-networkd is one
    # link etc/systemd/system/multi-user.target.wants/systemd-networkd.service -> /usr/lib/systemd/system/systemd-networkd.service
    # the name servers are those of the source's network
    --- a/etc/resolv.conf
    +++ b/etc/resolv.conf
    @@ -1,2 +1,4 @@
     search corp.example
    -nameserver 10.9.8.7
    +#kiln nameserver 10.9.8.7
    +nameserver 100.100.2.136
    +nameserver 100.100.2.138
    "#);
}

#[test]
fn old_names_are_forgotten() {
    let told = told(Phony::debian(), |guest| {
        let rule = "SUBSYSTEM==\"net\", ATTR{address}==\"00:0c:29:11:22:33\", NAME=\"eth0\"\n";
        guest.put("/etc/udev/rules.d/70-persistent-net.rules", rule);
        let link = "[Match]\nMACAddress=00:0c:29:11:22:33\n[Link]\nName=lan0\n";
        guest.put("/etc/systemd/network/10-lan.link", link);
        guest.put("/etc/resolv.conf", "nameserver 10.9.8.7\n").immutable("/etc/resolv.conf");
    });
    insta::assert_snapshot!(told, @r#"
    # it keeps a name for the MAC address of the source machine
    rename from etc/udev/rules.d/70-persistent-net.rules
    rename to etc/udev/rules.d/70-persistent-net.rules.kiln-orig
    # it keeps a name for the MAC address of the source machine
    rename from etc/systemd/network/10-lan.link
    rename to etc/systemd/network/10-lan.link.kiln-orig
    # the DHCP client writes it, unless it is immutable
    rename from etc/resolv.conf
    rename to etc/resolv.conf.kiln-orig
    "#);
}

#[test]
fn a_name_that_is_not_known_becomes_eth0() {
    let told = told(Phony::debian_bare(), |guest| {
        guest.menu_replace(" net.ifnames=0 biosdevname=0", "");
        guest.replace("/etc/default/grub", "net.ifnames=0 biosdevname=0 ", "");
        guest.replace("/etc/network/interfaces", "eth0", "ens192");
    });
    insta::assert_snapshot!(told, @r#"
    # the instance has one NIC, which asks for its address; out goes ens192; eth0 gets an address by DHCP
    --- a/etc/network/interfaces
    +++ b/etc/network/interfaces
    @@ -3,5 +3,5 @@
     auto lo
     iface lo inet loopback
     
    -allow-hotplug ens192
    -iface ens192 inet dhcp
    +auto eth0
    +iface eth0 inet dhcp
    # the network files name the NIC, and its name must be known: eth0
    --- a/boot/grub/grub.cfg
    +++ b/boot/grub/grub.cfg
    @@ -56,7 +56,7 @@
     	insmod ext2
     	search --no-floppy --fs-uuid --set=root 3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f
     	echo	'Loading Linux 6.1.0-40-amd64 ...'
    -	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    +	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8 net.ifnames=0 biosdevname=0
     	echo	'Loading initial ramdisk ...'
     	initrd	/boot/initrd.img-6.1.0-40-amd64
     }
    @@ -69,7 +69,7 @@
     	insmod ext2
     	search --no-floppy --fs-uuid --set=root 3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f
     	echo	'Loading Linux 6.1.0-40-amd64 ...'
    -	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8
    +	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8 net.ifnames=0 biosdevname=0
     	echo	'Loading initial ramdisk ...'
     	initrd	/boot/initrd.img-6.1.0-40-amd64
     	}
    @@ -81,7 +81,7 @@
     	insmod ext2
     	search --no-floppy --fs-uuid --set=root 3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f
     	echo	'Loading Linux 6.1.0-40-amd64 ...'
    -	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro single
    +	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=3f4c5a6e-0b1d-4c2e-9f3a-1a2b3c4d5e6f ro single net.ifnames=0 biosdevname=0
     	echo	'Loading initial ramdisk ...'
     	initrd	/boot/initrd.img-6.1.0-40-amd64
     	}
    # the network files name the NIC, and its name must be known: eth0
    --- a/etc/default/grub
    +++ b/etc/default/grub
    @@ -2,4 +2,4 @@
     GRUB_TIMEOUT=5
     GRUB_DISTRIBUTOR=Debian
     GRUB_CMDLINE_LINUX_DEFAULT=""
    -GRUB_CMDLINE_LINUX="nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8"
    +GRUB_CMDLINE_LINUX="nvme_core.io_timeout=4294967295 console=tty0 console=ttyS0,115200n8 net.ifnames=0 biosdevname=0"
    "#);
}

#[test]
fn a_service_that_is_masked_starts_again() {
    let told = told(Phony::debian(), |guest| {
        guest.mask("networking.service").disable("networking.service");
    });
    insta::assert_snapshot!(told, @r#"
    # no network service starts at boot, and networking is installed
    rename from etc/systemd/system/networking.service
    rename to etc/systemd/system/networking.service.kiln-orig
    # no network service starts at boot, and networking is installed
    # link etc/systemd/system/multi-user.target.wants/networking.service -> /usr/lib/systemd/system/networking.service
    "#);
}

#[test]
fn without_any_client_it_is_refused() {
    let told = told(Phony::debian_bare(), |guest| {
        guest.remove("/usr/sbin/dhclient");
    });
    insta::assert_snapshot!(told, @"refused: Repair.DhcpNoClient: ifupdown has no DHCP client to call, and no other network service that has a DHCP client is installed");
}

fn kept(mut guest: Phony, plant: impl FnOnce(&mut Phony)) -> String {
    plant(&mut guest);
    let options = Options { preserve_static: true, ..Options::default() };
    testing::told(&guest, &DHCP, &options)
}

#[test]
fn a_static_address_is_kept_where_that_is_asked_for() {
    let mut netplan = Phony::ubuntu();
    netplan.purge_cloud_init();
    netplan.remove("/etc/netplan/50-cloud-init.yaml");
    let told = [
        kept(Phony::el7_bare(), |guest| {
            guest.remove(IFCFG);
            let text = "DEVICE=ens192\nBOOTPROTO=none\nIPADDR=10.1.2.3\nPREFIX=24\nONBOOT=yes\n\
                        GATEWAY=10.1.2.1\nHWADDR=00:50:56:aa:bb:cc\n";
            guest.put("/etc/sysconfig/network-scripts/ifcfg-ens192", text);
        }),
        kept(Phony::el9_bare(), |guest| {
            let path = "/etc/NetworkManager/system-connections/cloud.nmconnection";
            let text = "[connection]\nid=x\ntype=ethernet\ninterface-name=ens192\n[ipv4]\n\
                        method=manual\naddress1=10.1.2.3/24,10.1.2.1\n";
            guest.put(path, text).chmod(path, 0o600);
        }),
        kept(netplan, |guest| {
            let text = "network:\n  version: 2\n  ethernets:\n    lan:\n      match:\n        \
                        macaddress: 00:50:56:aa:bb:cc\n      set-name: lan\n      dhcp4: no\n      \
                        addresses: [10.1.2.3/24]\n      routes:\n      - to: default\n        \
                        via: 10.1.2.1\n      nameservers: {addresses: [10.1.2.1]}\n";
            guest.put("/etc/netplan/00-installer-config.yaml", text);
        }),
        kept(Phony::debian_bare(), |guest| {
            let text = "auto lo ens192\niface lo inet loopback\niface ens192 inet static\n\
                        \taddress 10.1.2.3/24\n\thwaddress ether 00:50:56:aa:bb:cc\n\
                        iface ens192 inet6 auto\n";
            guest.put("/etc/network/interfaces", text);
        }),
        kept(Phony::debian(), |guest| {
            let text = "auto eth0\niface eth0 inet static\n\taddress 10.1.2.3/24\n";
            guest.put("/etc/network/interfaces", text);
        }),
    ];
    insta::assert_snapshot!(told.join("--\n"), @r#"
    # ifcfg-eth0 has its address
    # make directory etc/sysconfig/network-scripts/kiln-off with mode 0755
    # ifcfg-eth0 has its address
    rename from etc/sysconfig/network-scripts/ifcfg-ens192
    rename to etc/sysconfig/network-scripts/kiln-off/ifcfg-ens192.kiln-off
    # the static address is kept, for whatever NIC the instance has
    new file mode 100644
    --- /dev/null
    +++ b/etc/sysconfig/network-scripts/ifcfg-eth0
    @@ -0,0 +1,6 @@
    +DEVICE=eth0
    +BOOTPROTO=none
    +IPADDR=10.1.2.3
    +PREFIX=24
    +ONBOOT=yes
    +GATEWAY=10.1.2.1
    left: Dhcp.StaticAddress
    --
    # the static address is kept, for whatever NIC the instance has
    --- a/etc/NetworkManager/system-connections/cloud.nmconnection
    +++ b/etc/NetworkManager/system-connections/cloud.nmconnection
    @@ -1,7 +1,6 @@
     [connection]
     id=x
     type=ethernet
    -interface-name=ens192
     [ipv4]
     method=manual
     address1=10.1.2.3/24,10.1.2.1
    left: Dhcp.StaticAddress
    --
    # it defines the NICs lan of the source machine
    rename from etc/netplan/00-installer-config.yaml
    rename to etc/netplan/00-installer-config.yaml.kiln-off
    # the static address is kept, for whatever NIC the instance has
    new file mode 100600
    --- /dev/null
    +++ b/etc/netplan/90-kiln.yaml
    @@ -0,0 +1,9 @@
    +network:
    +  version: 2
    +  ethernets:
    +    kiln:
    +      match: {name: "e*"}
    +      dhcp4: false
    +      addresses: ["10.1.2.3/24"]
    +      routes: [{"to": "default", "via": "10.1.2.1"}]
    +      nameservers: {"addresses": ["10.1.2.1"]}
    left: Dhcp.StaticAddress
    --
    # the static address is kept, for whatever NIC the instance has
    --- a/etc/network/interfaces
    +++ b/etc/network/interfaces
    @@ -1,6 +1,5 @@
    -auto lo ens192
    +auto lo eth0
     iface lo inet loopback
    -iface ens192 inet static
    +iface eth0 inet static
     	address 10.1.2.3/24
    -	hwaddress ether 00:50:56:aa:bb:cc
    -iface ens192 inet6 auto
    +iface eth0 inet6 auto
    left: Dhcp.StaticAddress
    --
    # cloud-init would give the NIC another address
    new file mode 100644
    --- /dev/null
    +++ b/etc/cloud/cloud.cfg.d/99-kiln-network.cfg
    @@ -0,0 +1 @@
    +network: {config: disabled}
    left: Dhcp.StaticAddress
    "#);
}

#[test]
fn what_of_a_static_address_cannot_be_kept_is_said() {
    let told = [
        kept(Phony::suse(), |guest| {
            for nic in ["eth0", "eth1"] {
                let text = "BOOTPROTO='static'\nIPADDR='10.1.2.3/24'\nSTARTMODE='auto'\n";
                guest.put(&format!("/etc/sysconfig/network/ifcfg-{nic}"), text);
            }
        }),
        kept(Phony::debian_bare(), |guest| {
            let text = "auto br0\niface br0 inet static\n\taddress 10.1.2.3/24\n\
                        \tbridge_ports eno1\n";
            guest.put("/etc/network/interfaces", text);
        }),
        kept(Phony::suse(), |guest| {
            let text = "BOOTPROTO='static'\nIPADDR='10.1.2.3/24'\nSTARTMODE='auto'\n";
            guest.put("/etc/sysconfig/network/ifcfg-eth0", text);
        }),
        kept(Phony::debian_bare(), |_| ()),
    ];
    insta::assert_snapshot!(told.join(""), @r#"
    refused: Repair.NotMended: 2 static addresses (/etc/sysconfig/network/ifcfg-eth0, /etc/sysconfig/network/ifcfg-eth1), and which one the instance's NIC is to have cannot be told
    refused: Repair.NotMended: br0 is built over eno1, and its address cannot be kept
    skipped: as_asked
    skipped: already_ok
    "#);
}

/// N15, N16 and their like: what asks already is not touched.
#[test]
fn a_guest_that_asks_is_left_alone() {
    for guest in [
        Phony::debian(),
        Phony::debian_bare(),
        Phony::ubuntu(),
        Phony::el6(),
        Phony::el7_bare(),
        Phony::el9_bare(),
        Phony::suse(),
        Phony::alpine(),
    ] {
        assert_eq!(told(guest, |_| ()), "skipped: already_ok\n");
    }
}
