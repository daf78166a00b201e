//! `/etc/resolv.conf` with the name servers of the source's network.

use super::super::lines::{self, Fate};
use super::super::{Draft, Stop};
use crate::check::dhcp::{secondary, survey};
use crate::services;

const RESOLV: &str = "/etc/resolv.conf";
/// What `systemd-resolved` keeps for programs that read the file.
const STUB: &str = "../run/systemd/resolve/stub-resolv.conf";
/// The platform's name servers, the same in every region.
const SERVERS: [&str; 2] = ["100.100.2.136", "100.100.2.138"];

/// Runs after the choice of the network service, which decides who writes the file.
pub(super) fn plan(draft: &mut Draft) -> Result<(), Stop> {
    let rewrites = survey(draft.guest()?)?.writes_resolv_conf();
    if secondary::dns(draft.tree()?, rewrites)?.is_none() {
        return Ok(());
    }
    if services::state(draft.tree()?, "systemd-resolved")?.is_enabled() {
        draft.remove(RESOLV, "systemd-resolved knows the name servers that DHCP tells")?;
        draft.symlink(RESOLV, STUB, "programs ask systemd-resolved")?;
    } else if rewrites {
        draft.remove(RESOLV, "the DHCP client writes it, unless it is immutable")?;
    } else {
        // Nobody would write it: the platform's name servers are known without DHCP.
        draft.rewrite(RESOLV, "the name servers are those of the source's network", platform)?;
    }
    Ok(())
}

/// `text` with the platform's name servers in place of its own, which stay as comments.
fn platform(text: &str) -> String {
    let is_server = |line: &str| line.trim_start().starts_with("nameserver");
    let text = lines::edit(text, |line| match is_server(line) {
        true => Fate::Become(format!("#kiln {line}")),
        false => Fate::Keep,
    });
    let add = |text: String, server: &&str| lines::append(&text, &format!("nameserver {server}"));
    SERVERS.iter().fold(text, add)
}

#[cfg(test)]
mod tests {
    #[test]
    fn foreign_servers_become_comments() {
        let before = "search corp.example\nnameserver 10.9.8.7\n# x\n";
        let after = "search corp.example\n#kiln nameserver 10.9.8.7\n# x\n\
                     nameserver 100.100.2.136\nnameserver 100.100.2.138\n";
        assert_eq!(super::platform(before), after);
    }
}
