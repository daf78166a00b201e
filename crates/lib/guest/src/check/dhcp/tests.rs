use crate::check::sound::{Sound, codes, item};
use crate::check::{Level, Outcome};

const IFCFG: &str = "/etc/sysconfig/network-scripts/ifcfg-eth0";

fn planted(mut sound: Sound, plant: impl FnOnce(&mut Sound)) -> Outcome {
    assert_eq!(codes(&item("Dhcp", &sound.build())), []);
    plant(&mut sound);
    item("Dhcp", &sound.build())
}

#[track_caller]
fn one(found: &Outcome, code: &str, level: Level, message: &str) {
    let [finding] = &found.findings[..] else { panic!("{:?}", found.findings) };
    assert_eq!((finding.code, finding.level, finding.message.as_str()), (code, level, message));
    assert!(finding.suggestion.is_some());
    assert_eq!(found.value, if level == Level::High { "Disabled" } else { "Enabled" });
}

/// EL6 without cloud-init, whose ifcfg file decides.
fn el6() -> Sound {
    let mut sound = Sound::el6();
    sound.remove_cloud_init();
    sound
}

#[test]
fn row_78_static_ifcfg() {
    let text = "DEVICE=eth0\nBOOTPROTO=none\nIPADDR0=10.0.0.5\nONBOOT=yes\n";
    let found = planted(el6(), |sound| {
        sound.fs.file(IFCFG, text);
    });
    let message = format!("the service network gives the NIC a static address ({IFCFG})");
    one(&found, "Dhcp.StaticAddress", Level::High, &message);
    let found = planted(Sound::el9_bare(), |sound| {
        sound.fs.file(IFCFG, text);
    });
    assert_eq!(codes(&found), [("Dhcp.StaticAddress", Level::High)]);
}

#[test]
fn row_79_ifcfg_bound_to_a_mac() {
    let text = "DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\nHWADDR=00:0c:29:11:22:33\n";
    let found = planted(el6(), |sound| {
        sound.fs.file(IFCFG, text);
    });
    let message = format!(
        "the service network's DHCP is bound to a MAC address of the source machine ({IFCFG})"
    );
    one(&found, "Dhcp.BoundToMac", Level::High, &message);
    // NetworkManager makes a profile of its own for the new NIC.
    let found = planted(Sound::el9_bare(), |sound| {
        sound.fs.file(IFCFG, text);
    });
    assert_eq!(codes(&found), []);
}

#[test]
fn row_80_interfaces_bound_to_a_name() {
    let text = "auto ens192\niface ens192 inet dhcp\n";
    let found = planted(Sound::debian_bare(), |sound| {
        sound.fs.file("/etc/network/interfaces", text);
    });
    let message = "ifupdown's DHCP is bound to the name ens192 (/etc/network/interfaces), and the \
                   first NIC will be eth0";
    one(&found, "Dhcp.BoundToName", Level::Medium, message);
    // eth0 is as bad where names are predictable.
    let found = planted(Sound::debian_bare(), |sound| sound.cmdline = "ro".into());
    assert_eq!(codes(&found), [("Dhcp.BoundToName", Level::Medium)]);
}

#[test]
fn row_81_ifupdown_without_client() {
    let found = planted(Sound::debian_bare(), |sound| {
        sound.fs.remove("/usr/sbin/dhclient");
    });
    one(&found, "Dhcp.NoClient", Level::High, "ifupdown has no DHCP client to call");
}

#[test]
fn row_82_all_services_masked() {
    let found = planted(Sound::debian_bare(), |sound| {
        sound.mask("networking.service");
    });
    one(&found, "Dhcp.NoNetworkService", Level::High, "no network service starts at boot");
    let found = planted(Sound::ubuntu(), |sound| {
        sound.mask("systemd-networkd.service");
    });
    one(&found, "Dhcp.NoNetworkService", Level::High, "no network service starts at boot");
}

#[test]
fn row_83_persistent_net_rules() {
    let path = "/etc/udev/rules.d/70-persistent-net.rules";
    let rule =
        "# PCI device\nSUBSYSTEM==\"net\", ATTR{address}==\"00:0c:29:11:22:33\", NAME=\"eth0\"\n";
    let found = planted(el6(), |sound| {
        sound.fs.file(path, rule);
    });
    assert_eq!(codes(&found), [("Dhcp.PersistentNetRules", Level::High)]);
    let found = planted(Sound::debian(), |sound| {
        sound.fs.file(path, rule);
    });
    assert_eq!(codes(&found), [("Dhcp.PersistentNetRules", Level::Medium)]);
    let found = planted(el6(), |sound| {
        sound.fs.file(path, "# SUBSYSTEM ATTR{address}== NAME\n");
    });
    assert_eq!(codes(&found), []);
}

#[test]
fn row_84_networkmanager_without_default_profile() {
    let found = planted(Sound::el9_bare(), |sound| {
        sound
            .fs
            .file("/usr/lib/NetworkManager/conf.d/00-server.conf", "[main]\nno-auto-default=*\n");
    });
    one(&found, "Dhcp.NoConfig", Level::High, "NetworkManager has no configuration for a new NIC");
}

#[test]
fn row_85_cloud_init_leaves_the_network_alone() {
    let found = planted(Sound::debian(), |sound| {
        let text = "network: {config: disabled}\n";
        sound.fs.file("/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg", text);
    });
    let message = "cloud-init is told to leave the network alone, and ifupdown has no DHCP \
                   configuration";
    one(&found, "Dhcp.CloudInitNetDisabled", Level::High, message);
}

#[test]
fn row_86_static_netplan_after_cloud_init() {
    let text = "network:\n  version: 2\n  ethernets:\n    all:\n      match: {name: 'e*'}\n      addresses: [10.0.0.5/24]\n";
    let path = "/etc/netplan/99-static.yaml";
    let found = planted(Sound::ubuntu(), |sound| {
        sound.fs.file(path, text);
    });
    let message = format!("netplan gives the NIC a static address ({path})");
    one(&found, "Dhcp.StaticAddress", Level::High, &message);
}

#[test]
fn row_87_wicked_static() {
    let path = "/etc/sysconfig/network/ifcfg-eth0";
    let text = "BOOTPROTO='static'\nIPADDR='10.0.0.5/24'\nSTARTMODE='auto'\n";
    let found = planted(Sound::suse(), |sound| {
        sound.fs.file(path, text);
    });
    let message = format!("wicked gives the NIC a static address ({path})");
    one(&found, "Dhcp.StaticAddress", Level::High, &message);
}

#[test]
fn row_153_resolv_conf_immutable() {
    let path = "/etc/resolv.conf";
    let found = planted(Sound::debian(), |sound| {
        sound.fs.file(path, "nameserver 10.0.0.1\n").immutable(path);
    });
    let message = "/etc/resolv.conf is immutable, so nothing can write the platform's name servers \
                   into it";
    one(&found, "Dhcp.StaticDns", Level::Medium, message);
    let found = planted(Sound::debian(), |s| {
        s.fs.file(path, "nameserver 10.0.0.1\n");
    });
    assert_eq!(codes(&found), [], "dhclient writes it anew");
}

#[test]
fn keyfiles_are_read_with_their_binding() {
    let path = "/etc/NetworkManager/system-connections/a.nmconnection";
    for (text, expected) in [
        (
            "[connection]\ntype=ethernet\ninterface-name=eth0\n[ipv4]\nmethod=auto\n",
            vec![("Dhcp.BoundToName", Level::Medium)],
        ),
        ("[connection]\ntype=ethernet\n[ipv4]\nmethod=auto\n", vec![]),
        (
            "[connection]\ntype=ethernet\n[ipv4]\nmethod=manual\naddress1=10.0.0.5/24\n",
            vec![("Dhcp.StaticAddress", Level::High)],
        ),
        ("[connection]\ntype=wifi\n[ipv4]\nmethod=manual\naddress1=10.0.0.5/24\n", vec![]),
        ("[connection]\ntype=ethernet\nautoconnect=false\n[ipv4]\nmethod=manual\n", vec![]),
    ] {
        let found = planted(Sound::el9_bare(), |sound| {
            sound.fs.file(path, text).chmod(path, 0o600);
        });
        assert_eq!(codes(&found), expected, "{text}");
    }
    let text = "[connection]\ntype=ethernet\n[ipv4]\nmethod=manual\naddress1=10.0.0.5/24\n";
    let found = planted(Sound::el9_bare(), |sound| {
        sound.fs.file(path, text);
    });
    assert_eq!(codes(&found), [], "NetworkManager ignores a file that all can read");
}

#[test]
fn networkd_gives_a_nic_the_first_file_that_fits() {
    let dhcp = "[Match]\nName=!lo\n[Network]\nDHCP=yes\n";
    let fixed = "[Match]\nName=en*\n[Network]\nAddress=10.0.0.5/24\n";
    let with = |first: &str, second: &str| {
        let mut sound = Sound::ubuntu_bare();
        sound.fs.remove("/usr/sbin/netplan").remove("/etc/netplan");
        sound.fs.file("/etc/systemd/network/10-a.network", first);
        sound.fs.file("/usr/lib/systemd/network/20-b.network", second);
        codes(&item("Dhcp", &sound.build()))
    };
    assert_eq!(with(dhcp, fixed), []);
    assert_eq!(with(fixed, dhcp), [("Dhcp.StaticAddress", Level::High)]);
    assert_eq!(
        with("", "[Match]\nName=ve-*\n[Network]\nDHCP=yes\n"),
        [("Dhcp.NoConfig", Level::High)]
    );
    let container = "[Match]\nVirtualization=container\nName=host0\n[Network]\nDHCP=yes\n";
    assert_eq!(with("", container), [("Dhcp.NoConfig", Level::High)], "not for a machine's NIC");
}

/// N15, N16 and the traps of the specification.
#[test]
fn near_misses_stay_silent() {
    assert_eq!(codes(&item("Dhcp", &Sound::el9_bare().build())), [], "N15");
    assert_eq!(codes(&item("Dhcp", &Sound::debian_bare().build())), [], "N16");
    let found = planted(el6(), |sound| {
        let text = "DEVICE=eth0\nBOOTPROTO=static\nIPADDR=10.0.0.5\n";
        for end in [".bak", ".rpmsave", "~"] {
            sound.fs.file(&format!("{IFCFG}{end}"), text);
        }
        sound.fs.file(IFCFG, "DEVICE=\"eth0\" \nBOOTPROTO='dhcp'  \nONBOOT=yes \n");
    });
    assert_eq!(codes(&found), [], "backups and quotes");
    let found = planted(Sound::el6(), |sound| {
        sound.fs.file(IFCFG, "DEVICE=eth0\nBOOTPROTO=static\nIPADDR=10.0.0.5\n");
    });
    assert_eq!(codes(&found), [], "cloud-init writes this file anew");
    let found = planted(Sound::ubuntu(), |sound| {
        let text = "network: {ethernets: {ens192: {addresses: [10.0.0.5/24]}}}\n";
        sound.fs.file("/etc/netplan/00-installer-config.yaml", text);
    });
    assert_eq!(codes(&found), [], "cloud-init's file sorts after it");
}

#[test]
fn mutated_files_never_panic() {
    for (sound, path) in [
        (Sound::ubuntu_bare(), "/etc/netplan/01-netcfg.yaml"),
        (Sound::debian_bare(), "/etc/network/interfaces"),
        (el6(), IFCFG),
    ] {
        let mut inspection = sound.build();
        let text = sound.fs.content(path).unwrap().to_vec();
        let mut fs = sound.fs.clone();
        crate::syntax::mutation::mutated(&text, |bytes| {
            fs.file(path, bytes);
            inspection.systems[0].tree = kiln_volume::Tree::new(std::sync::Arc::new(fs.clone()));
            drop(item("Dhcp", &inspection));
        });
    }
}
