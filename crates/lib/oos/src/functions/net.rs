//! Addresses: whether one lies in a network.

use std::net::IpAddr;

use serde_json::Value;

use super::argument::Call;
use super::error::FunctionError;

/// `[address, network]`, both of IPv4 or of IPv6: an address is in no network of the other family.
pub(super) fn is_ip_in_cidr(call: Call<'_>) -> Result<Value, FunctionError> {
    let [address, network] = call.items()?;
    let ip: IpAddr = address
        .text()?
        .trim()
        .parse()
        .map_err(|_| address.must_be("an address such as 10.0.0.1"))?;
    let cidr = Cidr::parse(network.text()?.trim())
        .ok_or_else(|| network.must_be("a network such as 10.0.0.0/8"))?;
    Ok(cidr.has(ip).into())
}

struct Cidr {
    address: IpAddr,
    prefix_bits: u32,
}

impl Cidr {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        // The standard parser takes a plus sign, which no network has.
        let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix_bits = prefix.parse().ok().filter(|_| digits)?;
        (prefix_bits <= bits(address).1).then_some(Self { address, prefix_bits })
    }

    /// Bits of the host are ignored on both sides.
    fn has(&self, ip: IpAddr) -> bool {
        let ((network, width), (ip, ip_width)) = (bits(self.address), bits(ip));
        // A prefix of no bits would shift all of them out, which a shift refuses.
        let differing = (network ^ ip).checked_shr(width - self.prefix_bits).unwrap_or(0);
        width == ip_width && differing == 0
    }
}

/// An address as a number, and how many bits such addresses have.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (v4.to_bits().into(), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Function::*, tests::check};

    #[test]
    fn is_ip_in_cidr() {
        for (ip, cidr, expected) in [
            ("10.1.2.3", "10.0.0.0/8", true),
            ("11.1.2.3", "10.0.0.0/8", false),
            ("10.1.2.3", "10.255.0.0/8", true),
            ("10.0.0.1", "10.0.0.1/32", true),
            ("10.0.0.2", "10.0.0.1/32", false),
            ("10.0.0.3", "10.0.0.2/31", true),
            ("200.0.0.1", "0.0.0.0/0", true),
            ("fd00::1", "fd00::/8", true),
            ("fe00::1", "fd00::/8", false),
            ("::1", "::/0", true),
            ("::1", "::1/128", true),
            ("::2", "::1/128", false),
            ("10.0.0.1", "::/0", false),
            ("::1", "0.0.0.0/0", false),
            (" 10.0.0.1 ", " 10.0.0.0/8 ", true),
        ] {
            check(IsIpInCIDR, json!([ip, cidr]), Ok(json!(expected)));
        }
        for ip in ["10.0.0", "10.0.0.256", "", "fd00::/8"] {
            let error = format!(
                "Fn::IsIpInCIDR: the first item must be an address such as 10.0.0.1, and is `{ip}`"
            );
            check(IsIpInCIDR, json!([ip, "10.0.0.0/8"]), Err(&error));
        }
        for cidr in ["10.0.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "x/8", "1/-1"]
        {
            let error = format!(
                "Fn::IsIpInCIDR: the second item must be a network such as 10.0.0.0/8, and is `{cidr}`"
            );
            check(IsIpInCIDR, json!(["10.0.0.1", cidr]), Err(&error));
        }
        check(
            IsIpInCIDR,
            json!(["10.0.0.1", ["10.0.0.0/8"]]),
            Err("Fn::IsIpInCIDR: the second item must be a string, and is a list"),
        );
    }
}
