//! Fields of structures on the disk, read without a way to panic.
//!
//! A structure is first read whole; a field that would lie beyond it reads as zero, which no
//! parser here takes for a valid value without a check of its own.

use kiln_disk::{Result, Source};

/// The bytes of one structure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    /// The `N` bytes at `at`; zeroes where the structure is shorter.
    pub(crate) fn array<const N: usize>(self, at: usize) -> [u8; N] {
        self.0.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
    }

    /// The `length` bytes at `at`; empty where the structure is shorter.
    pub(crate) fn slice(self, at: usize, length: usize) -> &'a [u8] {
        self.0.get(at..at.saturating_add(length)).unwrap_or(&[])
    }

    /// Whether `magic` stands at `at`.
    pub(crate) fn has(self, at: usize, magic: &[u8]) -> bool {
        self.slice(at, magic.len()) == magic
    }

    pub(crate) fn u8(self, at: usize) -> u8 {
        u8::from_le_bytes(self.array(at))
    }

    pub(crate) fn u16(self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    pub(crate) fn u32(self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    pub(crate) fn u64(self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }

    pub(crate) fn u16_be(self, at: usize) -> u16 {
        u16::from_be_bytes(self.array(at))
    }

    pub(crate) fn u32_be(self, at: usize) -> u32 {
        u32::from_be_bytes(self.array(at))
    }

    pub(crate) fn u64_be(self, at: usize) -> u64 {
        u64::from_be_bytes(self.array(at))
    }

    /// Text of at most `length` bytes up to the first NUL, trailing spaces off. `None`: empty.
    pub(crate) fn text(self, at: usize, length: usize) -> Option<String> {
        let end = self.0.len().min(at.saturating_add(length));
        let bytes = self.0.get(at..end)?;
        let bytes = bytes.split(|&byte| byte == 0).next()?;
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_end_matches(' ');
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The 16 bytes at `at` as a lower-case hyphenated UUID. `None`: all zero.
    pub(crate) fn uuid(self, at: usize) -> Option<String> {
        let bytes: [u8; 16] = self.array(at);
        (bytes != [0; 16]).then(|| hyphenated(bytes, &[4, 2, 2, 2, 6], "-"))
    }
}

/// `bytes` in lower-case hexadecimal, in groups of the given numbers of bytes.
pub(crate) fn hyphenated(bytes: [u8; 16], groups: &[usize], separator: &str) -> String {
    let mut rest = bytes.iter();
    let groups: Vec<String> = groups
        .iter()
        .map(|&n| rest.by_ref().take(n).map(|byte| format!("{byte:02x}")).collect())
        .collect();
    groups.join(separator)
}

/// A length as a disk offset. Only a machine whose `usize` exceeds 64 bits would saturate.
pub(crate) fn length_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// As much of the `length` bytes at `offset` as the source has; empty at and after its end.
pub(crate) fn read_up_to(source: &Source, offset: u64, length: usize) -> Result<Vec<u8>> {
    let available = source.size_bytes().saturating_sub(offset);
    let length = usize::try_from(available).unwrap_or(usize::MAX).min(length);
    let mut bytes = vec![0; length];
    if length > 0 {
        source.read_at(offset, &mut bytes)?;
    }
    Ok(bytes)
}
