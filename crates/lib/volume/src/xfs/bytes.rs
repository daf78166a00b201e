//! Big-endian fields of a block, absent where the block is too short.

/// `N` bytes at `at`.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

/// The byte at `at`; past the end it reads as 0, which no check takes for sound.
pub(super) fn u8_at(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// See [`u8_at`].
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    array(bytes, at).map_or(0, u16::from_be_bytes)
}

/// See [`u8_at`].
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    array(bytes, at).map_or(0, u32::from_be_bytes)
}

/// See [`u8_at`].
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    array(bytes, at).map_or(0, u64::from_be_bytes)
}

/// A count or length as an index; one that this machine cannot address lies past every block.
pub(super) fn index(value: impl TryInto<usize>) -> usize {
    value.try_into().unwrap_or(usize::MAX)
}

/// Whether the CRC32C stored (little-endian, unlike all else) at `at` is that of `bytes`.
/// The fuzzer cannot guess checksums, so they do not count in its build.
pub(super) fn crc_holds(bytes: &[u8], at: usize) -> bool {
    if cfg!(fuzzing) {
        return true;
    }
    let Some(stored) = array(bytes, at).map(u32::from_le_bytes) else { return false };
    let (before, rest) = bytes.split_at(at);
    let after = rest.get(4..).unwrap_or_default();
    let crc = crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]);
    crc32c::crc32c_append(crc, after) == stored
}
