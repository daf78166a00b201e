//! Whether the guest got an address, seen from outside: DHCP acknowledgements on the wire.
//!
//! QEMU writes the packets that its network sends *to* the guest as a pcap stream, so a guest cannot
//! forge one. What the guest prints about its network would be its own word.

use std::net::Ipv4Addr;

/// pcap as QEMU's filter-dump writes it: of the host's byte order, all hosts of kiln's being little
/// endian.
const MAGIC: [u8; 4] = [0xd4, 0xc3, 0xb2, 0xa1];
const HEADER_BYTES: usize = 24;
const RECORD_BYTES: usize = 16;

/// QEMU cuts packets at 64 KiB. A longer one means that the stream is not understood.
const MAX_PACKET_BYTES: usize = 65_536;

/// Reads a pcap stream piece by piece.
#[derive(Debug, Default)]
pub struct Wire {
    pending: Vec<u8>,
    has_header: bool,
    is_broken: bool,
}

impl Wire {
    /// Take the next piece; give the address of the first acknowledgement in it.
    pub fn feed(&mut self, bytes: &[u8]) -> Option<Ipv4Addr> {
        if self.is_broken {
            return None;
        }
        self.pending.extend_from_slice(bytes);
        let mut rest = self.pending.as_slice();
        if !self.has_header {
            let (header, after) = rest.split_at_checked(HEADER_BYTES)?;
            self.is_broken = !header.starts_with(&MAGIC);
            self.has_header = true;
            rest = after;
        }
        let mut address = None;
        while let Some((record, after)) = rest.split_at_checked(RECORD_BYTES) {
            let length = record.get(8..12).and_then(|bytes| bytes.try_into().ok());
            let length = usize::try_from(length.map_or(u32::MAX, u32::from_le_bytes));
            let length = length.unwrap_or(usize::MAX);
            if length > MAX_PACKET_BYTES {
                self.is_broken = true;
                break;
            }
            let Some((packet, after)) = after.split_at_checked(length) else { break };
            address = address.or_else(|| acknowledged(packet));
            rest = after;
        }
        self.pending = if self.is_broken { Vec::new() } else { rest.to_vec() };
        address
    }
}

/// The address that an Ethernet packet assigns, if it is a DHCP acknowledgement.
fn acknowledged(packet: &[u8]) -> Option<Ipv4Addr> {
    const IPV4: [u8; 2] = [0x08, 0x00];
    const UDP: u8 = 17;
    const SERVER_TO_CLIENT: [u8; 4] = [0, 67, 0, 68];
    const REPLY: u8 = 2;
    const COOKIE: [u8; 4] = [99, 130, 83, 99];
    if packet.get(12..14)? != IPV4 {
        return None;
    }
    let ip = packet.get(14..)?;
    let header_bytes = usize::from(ip.first()? & 0xf) * 4;
    if ip.get(9) != Some(&UDP) {
        return None;
    }
    let udp = ip.get(header_bytes..)?;
    let dhcp = udp.get(8..)?;
    if udp.get(..4)? != SERVER_TO_CLIENT || dhcp.first() != Some(&REPLY) {
        return None;
    }
    if dhcp.get(236..240)? != COOKIE || message_type(dhcp.get(240..)?) != Some(ACKNOWLEDGEMENT) {
        return None;
    }
    let yours: [u8; 4] = dhcp.get(16..20)?.try_into().ok()?;
    Some(Ipv4Addr::from(yours)).filter(|address| !address.is_unspecified())
}

const ACKNOWLEDGEMENT: u8 = 5;

/// The value of option 53.
fn message_type(mut options: &[u8]) -> Option<u8> {
    const PAD: u8 = 0;
    const MESSAGE_TYPE: u8 = 53;
    const END: u8 = 255;
    loop {
        match options {
            [PAD, rest @ ..] => options = rest,
            [MESSAGE_TYPE, 1, value, ..] => return Some(*value),
            [END, ..] | [] | [_] => return None,
            [_, length, rest @ ..] => options = rest.get(usize::from(*length)..)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The offer and the acknowledgement that QEMU 7.2 sent to a Debian 12, as it wrote them.
    const RECORDED: &[u8] = include_bytes!("recorded/dhcp.pcap");

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);

    #[test]
    fn an_acknowledgement_is_found_in_any_pieces() {
        for size in [1, 7, 100, RECORDED.len()] {
            let mut wire = Wire::default();
            let found: Vec<_> =
                RECORDED.chunks(size).filter_map(|piece| wire.feed(piece)).collect();
            assert_eq!(found, [ADDRESS], "in pieces of {size}");
        }
    }

    #[test]
    fn an_offer_is_not_an_address() {
        let offer_only = RECORDED.get(..HEADER_BYTES + RECORD_BYTES + 590).unwrap();
        assert_eq!(Wire::default().feed(offer_only), None);
    }

    /// Each byte that makes it an acknowledgement to a client is spoiled alone.
    #[test]
    fn near_misses_are_not_addresses() {
        let packet = RECORDED.get(HEADER_BYTES + 2 * RECORD_BYTES + 590..).unwrap();
        assert_eq!(acknowledged(packet), Some(ADDRESS));
        for (what, at) in [
            ("another protocol", 12),
            ("not UDP", 23),
            ("from another port", 35),
            ("to another port", 37),
            ("a request", 42),
            ("not DHCP", 279),
            ("no message type", 282),
            ("a refusal", 284),
        ] {
            let mut spoiled = packet.to_vec();
            spoiled[at] = 6;
            assert_eq!(acknowledged(&spoiled), None, "{what}");
        }
        for length in 0..packet.len() {
            let _ = acknowledged(&packet[..length]);
        }
    }

    #[test]
    fn a_stream_that_is_not_understood_is_given_up() {
        let mut wire = Wire::default();
        assert_eq!(wire.feed(&[0; HEADER_BYTES]), None);
        assert_eq!(wire.feed(RECORDED), None);
        let mut wire = Wire::default();
        let endless = [&RECORDED[..HEADER_BYTES], &[0xff; RECORD_BYTES]].concat();
        assert_eq!(wire.feed(&endless), None);
        assert!(wire.is_broken && wire.pending.is_empty());
    }
}
