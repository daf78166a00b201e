//! What is not the address: name servers and gateways of the source's network.

use kiln_volume::{Result, Tree};

use crate::check::{Evidence, Finding};
use crate::syntax::assignments::{self, value_of};

const RESOLV: &str = "/etc/resolv.conf";

/// Name servers that will not be replaced by what DHCP says.
pub(crate) fn dns(tree: &Tree, is_rewritten: bool) -> Result<Option<Finding>> {
    if tree.read_link(RESOLV)?.is_some() {
        return Ok(None);
    }
    let Some(stat) = tree.stat(RESOLV)? else { return Ok(None) };
    let text = tree.read_text(RESOLV)?.unwrap_or_default();
    let servers: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver")?.split_whitespace().next())
        .collect();
    // The platform's own servers, and local ones.
    let is_foreign =
        |server: &&str| !server.starts_with("100.100.2.") && !server.starts_with("127.");
    let foreign: Vec<&str> = servers.iter().filter(|server| is_foreign(server)).copied().collect();
    let why = if stat.immutable {
        "is immutable, so nothing can write the platform's name servers into it"
    } else if !foreign.is_empty() && !is_rewritten {
        "is a file with name servers of the source's network, and no service replaces it"
    } else {
        return Ok(None);
    };
    Ok(Some(
        Finding::medium("Dhcp.StaticDns", format!("{RESOLV} {why}"))
            .seen(Evidence::file(RESOLV, format!("nameserver {}", servers.join(" "))))
            .suggest(format!("chattr -i {RESOLV}, and remove the nameserver lines")),
    ))
}

/// A default gateway for all NICs, left from the source's network.
pub(super) fn gateway(tree: &Tree) -> Result<Option<Evidence>> {
    let path = "/etc/sysconfig/network";
    let Some(text) = tree.read_text(path)? else { return Ok(None) };
    let found = assignments::parse(&text);
    let gateway = value_of(&found, "GATEWAY").filter(|gateway| !gateway.value.is_empty());
    Ok(gateway.map(|g| Evidence::line(path, g.line, format!("GATEWAY={}", g.value))))
}
