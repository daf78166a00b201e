//! `Legacy`: what the vendor's older compliance tool asked of an image. Not among the eighteen
//! items of the check; runs only when it is asked for.

use kiln_volume::{Result, Tree};

use super::{Check, Evidence, Finding, Outcome};
use crate::{Guest, Inspection, services};

pub(super) static LEGACY: Check = Check {
    name: "Legacy",
    summary: "rules of the older compliance tool: accounts, sshd, firewall, links, free space",
    run: check,
};

/// Room for the first start: logs, host keys, cloud-init's state.
const MIN_FREE_BYTES: u64 = 100 << 20;
const MIN_FREE_INODES: u64 = 1000;

fn check(inspection: &Inspection) -> Result<Outcome> {
    let Some(guest) = inspection.guest() else {
        return Ok(Outcome::not_applicable("no operating system found"));
    };
    let tree = &guest.tree;
    let mut findings = Vec::new();
    findings.extend(qemu_ga(tree)?);
    findings.extend(accounts(tree)?);
    findings.extend(ssh(tree)?);
    findings.extend(firewall(tree)?);
    findings.extend(links(tree)?);
    findings.extend(space(guest));
    Ok(Outcome::judged(findings, "Valid", "Invalid"))
}

fn qemu_ga(tree: &Tree) -> Result<Option<Finding>> {
    for path in ["/usr/bin/qemu-ga", "/usr/sbin/qemu-ga"] {
        if tree.is_file(path)? {
            return Ok(Some(
                Finding::medium("Legacy.QemuGa", "the QEMU guest agent is installed")
                    .seen(Evidence::file(path, "the program"))
                    .suggest("remove the package qemu-guest-agent"),
            ));
        }
    }
    Ok(None)
}

fn accounts(tree: &Tree) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if tree.stat("/etc/shadow")?.is_some_and(|stat| stat.immutable) {
        let message = "/etc/shadow is immutable, so no password can be set";
        findings.push(
            Finding::medium("Legacy.ShadowImmutable", message).suggest("chattr -i /etc/shadow"),
        );
    }
    let passwd = tree.read_text("/etc/passwd")?.unwrap_or_default();
    let has_root = passwd.lines().any(|line| {
        let mut fields = line.split(':');
        fields.next() == Some("root") && fields.nth(1) == Some("0")
    });
    if !has_root {
        let message = "/etc/passwd has no account root with number 0";
        findings.push(
            Finding::medium("Legacy.NoRootAccount", message).suggest("restore the account root"),
        );
    }
    if !tree.exists("/usr/bin/passwd")? && !tree.exists("/bin/passwd")? {
        let message = "the program passwd is not installed";
        findings.push(
            Finding::medium("Legacy.NoPasswdTool", message).suggest("install passwd (or shadow)"),
        );
    }
    Ok(findings)
}

fn ssh(tree: &Tree) -> Result<Option<Finding>> {
    let names = ["sshd", "ssh", "sshd.socket", "ssh.socket", "dropbear"];
    if services::first_enabled(tree, &names)?.is_some() {
        return Ok(None);
    }
    let finding = Finding::medium("Legacy.SshDisabled", "no SSH server starts at boot");
    Ok(Some(finding.suggest("install and enable sshd")))
}

/// Rule files that drop by default and let no SSH in.
fn firewall(tree: &Tree) -> Result<Option<Finding>> {
    for (service, path, drop) in [
        ("iptables", "/etc/sysconfig/iptables", ":INPUT DROP"),
        ("netfilter-persistent", "/etc/iptables/rules.v4", ":INPUT DROP"),
        ("nftables", "/etc/nftables.conf", "hook input"),
        ("nftables", "/etc/sysconfig/nftables.conf", "hook input"),
    ] {
        let Some(text) = tree.read_text(path)? else { continue };
        let is_rule = |line: &&str| !line.trim_start().starts_with('#');
        let lets_ssh_in = |line: &str| {
            let words = line.split(|c: char| !c.is_ascii_alphanumeric());
            words.into_iter().any(|word| word == "22" || word == "ssh")
        };
        let drops = match text.lines().filter(is_rule).find(|line| line.contains(drop)) {
            Some(line) if drop.starts_with(':') => Some(line),
            Some(_) => text.lines().filter(is_rule).find(|line| line.contains("policy drop")),
            None => None,
        };
        let Some(line) = drops else { continue };
        if text.lines().filter(is_rule).any(lets_ssh_in)
            || !services::state(tree, service)?.is_enabled()
        {
            continue;
        }
        return Ok(Some(
            Finding::medium(
                "Legacy.FirewallBlocking",
                format!("{path} drops what comes in and lets no SSH through"),
            )
            .seen(Evidence::file(path, line.trim()))
            .suggest(format!("let port 22 in, or disable {service} and use security groups")),
        ));
    }
    Ok(None)
}

/// An absolute `/lib -> /usr/lib` breaks where the tree is mounted somewhere else, as the platform
/// does.
fn links(tree: &Tree) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in ["/lib", "/lib64"] {
        let Some(target) = tree.read_link(path)? else { continue };
        if target.first() == Some(&b'/') {
            let target = String::from_utf8_lossy(&target).into_owned();
            findings.push(
                Finding::medium(
                    "Legacy.LibLink",
                    format!("{path} is an absolute link to {target}"),
                )
                .suggest(format!("ln -sfn {} {path}", target.trim_start_matches('/'))),
            );
        }
    }
    Ok(findings)
}

fn space(guest: &Guest) -> Vec<Finding> {
    let mut findings = Vec::new();
    let volume = guest.layout.volumes.get(guest.root_volume);
    let Some(info) = volume.and_then(|volume| volume.info()) else { return findings };
    if let Some(free) = info.free_bytes.filter(|&free| free < MIN_FREE_BYTES) {
        let message = format!("the root filesystem has {} MiB free", free >> 20);
        findings.push(Finding::medium("Legacy.LowSpace", message).suggest("free 100 MiB or more"));
    }
    // btrfs and xfs have no fixed number: they say nothing, or zero of zero.
    if let Some(free) = info.free_inodes.filter(|&free| free < MIN_FREE_INODES) {
        let message = format!("the root filesystem has {free} inodes free");
        findings.push(
            Finding::medium("Legacy.LowInodes", message)
                .suggest("remove files that are not needed"),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use crate::check::Level;
    use crate::check::sound::{Sound, codes, elf, item};

    #[test]
    fn row_157_each_legacy_rule() {
        type Plant = fn(&mut Sound);
        let plants: [(&str, Plant); 8] = [
            ("Legacy.QemuGa", |s| {
                s.fs.executable("/usr/bin/qemu-ga", elf(62));
            }),
            ("Legacy.ShadowImmutable", |s| {
                s.fs.immutable("/etc/shadow");
            }),
            ("Legacy.NoRootAccount", |s| {
                s.fs.file("/etc/passwd", "toor:x:0:0::/:/bin/sh\n");
            }),
            ("Legacy.NoPasswdTool", |s| {
                s.fs.remove("/usr/bin/passwd");
            }),
            ("Legacy.SshDisabled", |s| {
                s.mask("ssh.service");
            }),
            ("Legacy.LibLink", |s| {
                s.fs.symlink("/lib64", "/usr/lib64");
            }),
            ("Legacy.LowSpace", |s| {
                s.fs = s.fs.clone().with_info(|i| i.free_bytes = Some(5 << 20))
            }),
            ("Legacy.LowInodes", |s| s.fs = s.fs.clone().with_info(|i| i.free_inodes = Some(0))),
        ];
        assert_eq!(codes(&item("Legacy", &Sound::debian().build())), []);
        for (code, plant) in plants {
            let mut sound = Sound::debian();
            plant(&mut sound);
            assert_eq!(codes(&item("Legacy", &sound.build())), [(code, Level::Medium)], "{code}");
        }
    }

    #[test]
    fn a_firewall_that_lets_ssh_in_is_fine() {
        let mut sound = Sound::debian();
        sound.enabled("nftables.service");
        let table = "table inet f {\n chain i { type filter hook input priority 0; policy drop;\n";
        sound.fs.file("/etc/nftables.conf", format!("{table} tcp dport 22 accept\n}}\n}}\n"));
        assert_eq!(codes(&item("Legacy", &sound.build())), []);
        sound.fs.file("/etc/nftables.conf", format!("{table}# tcp dport 22 accept\n}}\n}}\n"));
        let found = item("Legacy", &sound.build());
        assert_eq!(codes(&found), [("Legacy.FirewallBlocking", Level::Medium)]);
    }
}
