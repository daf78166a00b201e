//! The four checksums of btrfs, over everything of a block but the 32 bytes that hold it.
//!
//! Source: the kernel's `struct btrfs_csums`; crc32c and xxhash64 are stored little-endian, the
//! two long ones as they come.

use blake2::Blake2b;
use blake2::digest::consts::U32;
use sha2::{Digest, Sha256};

/// Bytes at the start of every block that hold its checksum, whatever its real length.
pub(super) const CHECKSUM_FIELD_BYTES: usize = 32;

/// Which checksum a filesystem uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checksum {
    Crc32c,
    XxHash64,
    Sha256,
    Blake2b,
}

impl Checksum {
    pub(super) fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            0 => Self::Crc32c,
            1 => Self::XxHash64,
            2 => Self::Sha256,
            3 => Self::Blake2b,
            _ => return None,
        })
    }

    /// The checksum of `bytes`, as long as this kind is.
    pub(super) fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Crc32c => crc32c::crc32c(bytes).to_le_bytes().to_vec(),
            Self::XxHash64 => twox_hash::XxHash64::oneshot(0, bytes).to_le_bytes().to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Blake2b => Blake2b::<U32>::digest(bytes).to_vec(),
        }
    }

    /// Whether `block` begins with the checksum of the rest of it; else what it holds and what it
    /// should hold, for the message.
    ///
    /// The fuzzer cannot guess checksums, so they do not count in its build.
    pub(super) fn verify(self, block: &[u8]) -> Result<(), String> {
        if cfg!(fuzzing) {
            return Ok(());
        }
        let (field, rest) = block.split_at_checked(CHECKSUM_FIELD_BYTES).unwrap_or((block, &[]));
        let expected = self.of(rest);
        let found = field.get(..expected.len()).unwrap_or(field);
        if found == expected {
            return Ok(());
        }
        Err(format!("checksum {} where its content has {}", hex(found), hex(&expected)))
    }
}

/// The hash by which names are filed: CRC-32C from `!1` on, without the usual final inversion.
pub(super) fn name_hash(name: &[u8]) -> u64 {
    u64::from(!crc32c::crc32c_append(1, name))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published check values of each algorithm.
    #[test]
    fn known_values() {
        assert_eq!(Checksum::Crc32c.of(b"123456789"), 0xe306_9283_u32.to_le_bytes());
        assert_eq!(Checksum::XxHash64.of(b""), 0xef46_db37_51d8_e999_u64.to_le_bytes());
        assert_eq!(hex(&Checksum::Sha256.of(b"abc"))[..16], *"ba7816bf8f01cfea");
        assert_eq!(hex(&Checksum::Blake2b.of(b""))[..16], *"0e5751c026e543b2");
        assert_eq!(Checksum::from_number(4), None);
    }

    /// `default` in the root tree's directory has this key offset on every btrfs.
    #[test]
    fn name_hash_is_that_of_the_format() {
        assert_eq!(name_hash(b"default"), 0x8dbf_c2d2);
    }
}
