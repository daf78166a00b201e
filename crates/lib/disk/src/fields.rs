//! Numbers out of byte slices, and the two conversions between lengths and offsets.
//!
//! Images are hostile, so nothing here can panic: a field that the slice does not reach reads as
//! zero. A decoder therefore checks the length of its structure first, once, and then reads.

/// The fields of one on-disk structure.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    /// The `N` bytes from `at` on; bytes that are not there are zero.
    pub(crate) fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut out = [0; N];
        let there = self.0.get(at..).unwrap_or_default();
        for (to, from) in out.iter_mut().zip(there) {
            *to = *from;
        }
        out
    }

    pub(crate) fn be_u16(&self, at: usize) -> u16 {
        u16::from_be_bytes(self.bytes(at))
    }

    pub(crate) fn be_u32(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.bytes(at))
    }

    pub(crate) fn be_u64(&self, at: usize) -> u64 {
        u64::from_be_bytes(self.bytes(at))
    }

    pub(crate) fn le_u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.bytes(at))
    }

    pub(crate) fn le_u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    pub(crate) fn le_u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes(at))
    }
}

/// A length in memory as a number of bytes in a file. Saturates where `usize` is wider than 64 bits.
pub(crate) fn length_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A number of bytes as a length in memory. Saturates, so that a slice by it is refused.
pub(crate) fn length_usize(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// Which piece of `unit` bytes holds `offset`, and where in that piece. A unit of 0, which every
/// decoder refuses, has one piece.
pub(crate) fn place(offset: u64, unit: u64) -> (u64, u64) {
    let index = offset.checked_div(unit).unwrap_or(0);
    (index, offset.checked_rem(unit).unwrap_or(offset))
}

/// `value` rounded up to a multiple of `unit`, or the largest number where that does not fit.
pub(crate) fn round_up(value: u64, unit: u64) -> u64 {
    value.checked_next_multiple_of(unit).unwrap_or(u64::MAX)
}
