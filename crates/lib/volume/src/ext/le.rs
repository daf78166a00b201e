//! Little-endian fields and ext's flavour of CRC32C.
//!
//! Every field is fetched by its offset and may be missing: nothing here trusts a length.

use kiln_disk::{Error, Result};

/// The byte at `at`.
pub(super) fn u8_at(bytes: &[u8], at: usize) -> Result<u8> {
    bytes.get(at).copied().ok_or_else(|| missing(bytes, at))
}

/// The 16-bit field at `at`.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

/// The 32-bit field at `at`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

/// The big-endian 32-bit field at `at`: the journal is written in network order.
pub(super) fn be32_at(bytes: &[u8], at: usize) -> Result<u32> {
    array_at(bytes, at).map(u32::from_be_bytes)
}

/// `high` and `low` halves of a 64-bit number.
pub(super) fn join(high: u32, low: u32) -> u64 {
    (u64::from(high) << 32) | u64::from(low)
}

/// The `N` bytes at `at`.
pub(super) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or_else(|| missing(bytes, at))
}

/// The `length` bytes from `at` on.
pub(super) fn slice_at(bytes: &[u8], at: usize, length: usize) -> Result<&[u8]> {
    at.checked_add(length).and_then(|end| bytes.get(at..end)).ok_or_else(|| missing(bytes, at))
}

/// A length or an index from the disk as a `usize`. One too large for this machine becomes the
/// largest there is, which no slice reaches.
pub(super) fn index(value: impl TryInto<usize>) -> usize {
    value.try_into().unwrap_or(usize::MAX)
}

/// A length in memory as a number of bytes.
pub(super) fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// The CRC32C of `bytes`, continued from `seed`, neither end inverted: that is how ext and its
/// journal chain their checksums.
pub(super) fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!seed, bytes)
}

/// The low 16 bits, for the places where only half of a checksum is kept.
pub(super) fn low_half(checksum: u32) -> u32 {
    checksum & 0xffff
}

fn missing(bytes: &[u8], at: usize) -> Error {
    Error::corrupt(format!("a structure of {} bytes ends before its byte {at}", bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of CRC-32C is E3069283; ext leaves out the last inversion.
    #[test]
    fn crc_chains_without_inversion() {
        assert_eq!(!crc32c(!0, b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(crc32c(!0, b"1234"), b"56789"), crc32c(!0, b"123456789"));
    }

    #[test]
    fn a_field_beyond_the_end_is_an_error() {
        assert_eq!(
            u32_at(&[0; 5], 2).unwrap_err().to_string(),
            "a structure of 5 bytes ends before its byte 2"
        );
        assert_eq!(u16_at(&[0, 1, 2], 1).unwrap(), 0x0201);
        assert!(slice_at(&[0; 5], usize::MAX, 2).is_err());
    }
}
