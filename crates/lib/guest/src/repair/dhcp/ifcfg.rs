//! `ifcfg-*` of Red Hat's scripts and of wicked: `ifcfg-eth0` asks for an address, and the other
//! files that would give one, or wait for a NIC of the source machine, are moved aside.

use kiln_volume::Tree;

use super::super::lines::{self, Fate};
use super::super::{Draft, Stop};
use crate::check::dhcp::ifcfg::{self, Read};
use crate::syntax::assignments::{self, Assignment, value_of};

/// What the two formats differ in.
pub(super) struct Dialect {
    pub(super) dir: &'static str,
    read: Read,
    /// Around values, as the distribution's own tools write them.
    quote: &'static str,
    /// A whole file.
    fresh: &'static str,
    /// What an existing file must say.
    says: &'static [(&'static str, &'static str)],
    /// What it must not say; names are compared without digits and `_` at their end.
    drops: &'static [&'static str],
    /// A file that has the source's default gateway for all NICs, and where it says so.
    gateway: (&'static str, &'static [&'static str]),
}

pub(super) static RED_HAT: Dialect = Dialect {
    dir: ifcfg::RED_HAT,
    quote: "",
    read: ifcfg::red_hat,
    fresh: "DEVICE=eth0\nTYPE=Ethernet\nBOOTPROTO=dhcp\nONBOOT=yes\nPEERDNS=yes\nPERSISTENT_DHCLIENT=yes\n",
    says: &[("BOOTPROTO", "dhcp"), ("ONBOOT", "yes")],
    drops: &[
        "IPADDR",
        "NETMASK",
        "PREFIX",
        "GATEWAY",
        "BROADCAST",
        "NETWORK",
        "DNS",
        "HWADDR",
        "MACADDR",
        "UUID",
    ],
    // With a gateway here, the client's script leaves out the one that DHCP tells.
    gateway: ("/etc/sysconfig/network", &["GATEWAY=", "GATEWAYDEV="]),
};

pub(super) static WICKED: Dialect = Dialect {
    dir: ifcfg::SUSE,
    quote: "'",
    read: ifcfg::suse,
    fresh: "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n",
    says: &[("BOOTPROTO", "dhcp"), ("STARTMODE", "auto")],
    drops: &[
        "IPADDR",
        "NETMASK",
        "PREFIXLEN",
        "BROADCAST",
        "NETWORK",
        "REMOTE_IPADDR",
        "LABEL",
        "LLADDR",
    ],
    gateway: ("/etc/sysconfig/network/routes", &["default "]),
};

/// What a file is about.
#[derive(Debug, PartialEq, Eq)]
enum About {
    /// A NIC by itself.
    Nic,
    /// A NIC that belongs to this bond or bridge.
    Port(String),
    /// A bond, bridge or VLAN on top of NICs.
    Built(&'static str),
    /// A second address of a NIC.
    Alias,
    /// Something else: a modem, a bridge without NICs.
    Other,
}

struct File {
    path: String,
    nic: String,
    found: Vec<Assignment>,
    text: String,
}

impl File {
    fn value(&self, name: &str) -> &str {
        value_of(&self.found, name).map_or("", |found| found.value.trim())
    }

    fn says_yes(&self, name: &str) -> bool {
        self.value(name).eq_ignore_ascii_case("yes")
    }

    fn about(&self, all: &[File]) -> About {
        let master = ["MASTER", "BRIDGE", "TEAM_MASTER"].map(|name| self.value(name));
        // wicked's `BRIDGE=yes` is a bridge, Red Hat's `BRIDGE=br0` a port.
        if let Some(master) = master.iter().find(|m| !matches!(**m, "" | "no" | "yes")) {
            return About::Port((*master).to_owned());
        }
        let device = match self.value("DEVICE") {
            "" => self.nic.as_str(),
            device => device,
        };
        if self.nic.contains(':') {
            return About::Alias;
        }
        if self.says_yes("VLAN") || !self.value("ETHERDEVICE").is_empty() || device.contains('.') {
            return About::Built("VLAN");
        }
        let holds = |names: &[&str]| names.iter().any(|name| !self.value(name).is_empty());
        let has_ports = holds(&["BONDING_SLAVE_0", "BONDING_SLAVE0", "BRIDGE_PORTS"])
            || all.iter().any(|other| {
                ["MASTER", "BRIDGE", "TEAM_MASTER"].iter().any(|name| other.value(name) == device)
            });
        let kind = self.value("TYPE").to_ascii_lowercase();
        let is_bond = kind == "bond" || holds(&["BONDING_OPTS", "BONDING_MASTER"]);
        let built = match kind.as_str() {
            _ if is_bond => "bond",
            "bridge" => "bridge",
            _ if self.says_yes("BRIDGE") => "bridge",
            "team" | "teamport" => "team",
            "" | "ethernet" => return About::Nic,
            _ => return About::Other,
        };
        if has_ports { About::Built(built) } else { About::Other }
    }
}

impl Dialect {
    /// Let `ifcfg-eth0` be the one file that gives a NIC an address.
    pub(super) fn mend(&self, draft: &mut Draft) -> Result<(), Stop> {
        let files = self.files(draft.tree()?)?;
        let main = format!("{}/ifcfg-eth0", self.dir);
        let mut is_there = false;
        for file in &files {
            let about = file.about(&files);
            if file.path == main && about == About::Nic {
                is_there = true;
                self.let_ask(draft, &file.path)?;
            } else if let Some(reason) = self.off(file, &about) {
                draft.disable(&file.path, reason)?;
            }
        }
        if !is_there {
            draft.write(&main, self.fresh, "the first NIC gets an address by DHCP")?;
        }
        let (path, starts) = self.gateway;
        draft.rewrite(path, "the gateway is that of the source's network", |text| {
            lines::edit(text, |line| match starts.iter().any(|start| line.starts_with(start)) {
                true => Fate::Drop,
                false => Fate::Keep,
            })
        })?;
        Ok(())
    }

    /// Let the NIC of the file at `path` ask for an address.
    pub(super) fn let_ask(&self, draft: &mut Draft, path: &str) -> Result<(), Stop> {
        let reason = "the first NIC gets an address by DHCP, and no other one";
        draft.rewrite(path, reason, |text| self.asking(text))?;
        Ok(())
    }

    fn asking(&self, text: &str) -> String {
        let bare = |name: &str| {
            self.drops.iter().any(|drop| {
                name.strip_prefix(drop).is_some_and(|rest| {
                    rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit() || c == '_')
                })
            })
        };
        let mut text = lines::without(text, bare);
        let found = assignments::parse(&text);
        let value = |name: &str| value_of(&found, name).map(|found| found.value.trim());
        let mut says = self.says.to_vec();
        // Only where they are there: without them they are right.
        let others = [("DEVICE", "eth0"), ("DEFROUTE", "yes"), ("PEERDNS", "yes")];
        says.extend(others.iter().filter(|(name, _)| value(name).is_some()));
        for (name, wanted) in says {
            if !value(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted)) {
                text = lines::assign(&text, name, &format!("{0}{wanted}{0}", self.quote));
            }
        }
        text
    }

    /// Why a file has to go; `None`: it may stay.
    fn off(&self, file: &File, about: &About) -> Option<String> {
        let device = &file.nic;
        match about {
            About::Nic => {
                let profile = (self.read)(&file.path, device, &file.text)?;
                let reason = match (profile.is_static, profile.dhcp) {
                    (true, _) => "it gives a NIC a static address".to_owned(),
                    (_, true) => format!("it waits for {device}, a NIC of the source machine"),
                    _ => return None,
                };
                profile.auto.then_some(reason)
            }
            About::Port(master) => {
                Some(format!("{device} belongs to {master}, and the instance has one NIC"))
            }
            About::Built(kind) => {
                Some(format!("{device} is a {kind} over NICs of the source machine"))
            }
            About::Alias => Some("it gives a NIC a second static address".to_owned()),
            About::Other => None,
        }
    }

    fn files(&self, tree: &Tree) -> Result<Vec<File>, Stop> {
        let mut files = Vec::new();
        for (path, nic) in ifcfg::files(tree, self.dir)? {
            let Some(text) = tree.read_text(&path)? else { continue };
            files.push(File { path, nic, found: assignments::parse(&text), text });
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_there_are_changed_in_place() {
        let before = "# eth0\nDEVICE=\"eth0\"\nBOOTPROTO=none\nIPADDR=10.1.2.3\nPREFIX0=24\n\
                      GATEWAY=10.1.2.1\nHWADDR=00:50:56:aa:bb:cc\nUUID=x\nDNS1=10.1.2.1\nMTU=1500\n\
                      ZONE=public\nDEFROUTE=no\nPEERDNS=no\nONBOOT=\"yes\"\n";
        let after = "# eth0\nDEVICE=\"eth0\"\nBOOTPROTO=dhcp\nMTU=1500\nZONE=public\nDEFROUTE=yes\n\
                     PEERDNS=yes\nONBOOT=\"yes\"\n";
        assert_eq!(RED_HAT.asking(before), after);
        assert_eq!(RED_HAT.asking(after), after);
        let before = "IPADDR_1='10.0.0.6/24'\nLABEL_1='x'\nLLADDR='00:11'\nSTARTMODE='manual'\n";
        assert_eq!(WICKED.asking(before), "STARTMODE='auto'\nBOOTPROTO='dhcp'\n");
        for dialect in [&RED_HAT, &WICKED] {
            assert_eq!(dialect.asking(dialect.fresh), dialect.fresh);
        }
    }

    #[test]
    fn what_a_file_is_about() {
        let file = |nic: &str, text: &str| File {
            path: String::new(),
            nic: nic.into(),
            found: assignments::parse(text),
            text: text.into(),
        };
        let all = vec![
            file("eth0", "DEVICE=eth0\nMASTER=bond0\nSLAVE=yes\n"),
            file("bond0", "DEVICE=bond0\nBONDING_OPTS=\"mode=1\"\nIPADDR=10.0.0.5\n"),
            file("bond0.7", "DEVICE=bond0.7\nVLAN=yes\n"),
            file("br-int", "DEVICE=br-int\nTYPE=Bridge\nIPADDR=172.16.0.1\n"),
            file("eth0:1", "DEVICE=eth0:1\nIPADDR=10.0.0.6\n"),
            file("eth1", "BOOTPROTO=dhcp\n"),
            file("br0", "BRIDGE='yes'\nBRIDGE_PORTS='eth0'\n"),
            file("ib0", "TYPE=InfiniBand\n"),
        ];
        let found: Vec<About> = all.iter().map(|file| file.about(&all)).collect();
        let expected = [
            About::Port("bond0".into()),
            About::Built("bond"),
            About::Built("VLAN"),
            About::Other,
            About::Alias,
            About::Nic,
            About::Built("bridge"),
            About::Other,
        ];
        assert_eq!(found, expected);
    }
}
