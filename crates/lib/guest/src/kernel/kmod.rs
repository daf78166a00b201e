//! The indexes that `depmod` writes and libkmod reads: `modules.alias.bin`, `modules.dep.bin`,
//! `modules.builtin.bin`; their text forms; and the matching of aliases.
//!
//! Layout: libkmod/libkmod-index.c. A radix trie: nodes with a prefix, a run of children by
//! character, and values with a priority. All numbers are big endian.

use kiln_volume::{Error, Result};

pub(super) const MAGIC: u32 = 0xB007_F457;
/// Major 2, minor 1: the only version there ever was in use.
pub(super) const VERSION: u32 = 0x0002_0001;
pub(super) const HAS_PREFIX: u32 = 0x8000_0000;
pub(super) const HAS_VALUES: u32 = 0x4000_0000;
pub(super) const HAS_CHILDREN: u32 = 0x2000_0000;
pub(super) const OFFSET_MASK: u32 = 0x0FFF_FFFF;

/// The largest real index has about 60 000 values.
const MAX_NODES: u32 = 1_000_000;
/// The longest real alias (of DMI strings) is below 600.
const MAX_KEY_BYTES: usize = 2048;
/// Keys and values handed out, over all nodes; a hostile trie shares nodes to multiply them.
const MAX_TOTAL_BYTES: usize = 256 << 20;

/// Call `each` with every key and value of a binary index, in the order of keys.
///
/// # Errors
///
/// `OtherFormat` where the magic differs, `Unsupported` for another version, `Corrupt` where a node
/// lies outside the file or the trie has no end.
pub fn index_entries(index: &[u8], each: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
    let mut reader = Reader { bytes: index, n_nodes: 0, total_bytes: 0, key: Vec::new(), each };
    if reader.u32(0)? != MAGIC {
        let error = Error::new(kiln_volume::Kind::OtherFormat, "not a module index: wrong magic");
        return Err(error.at(0));
    }
    let version = reader.u32(4)?;
    if version != VERSION {
        let (major, minor) = (version >> 16, version & 0xFFFF);
        return Err(Error::unsupported(format!("module index of version {major}.{minor}")).at(4));
    }
    let root = reader.u32(8)?;
    reader.walk(root)
}

struct Reader<'a> {
    bytes: &'a [u8],
    n_nodes: u32,
    total_bytes: usize,
    key: Vec<u8>,
    each: &'a mut dyn FnMut(&[u8], &[u8]),
}

impl Reader<'_> {
    /// With a stack of its own: the depth is that of the longest key.
    fn walk(&mut self, root: u32) -> Result<()> {
        // What is to be visited: the node, and the key that leads to it (length to cut the current
        // one to, and the character to add).
        let mut pending = vec![(root, 0_usize, None)];
        while let Some((offset, key_bytes, character)) = pending.pop() {
            self.key.truncate(key_bytes);
            self.key.extend(character);
            if offset & OFFSET_MASK == 0 {
                continue;
            }
            self.n_nodes += 1;
            let start = (offset & OFFSET_MASK) as usize;
            if self.n_nodes > MAX_NODES {
                return Err(corrupt(
                    start,
                    format!("a module index of more than {MAX_NODES} nodes"),
                ));
            }
            let mut at = start;
            if offset & HAS_PREFIX != 0 {
                let prefix = self.text(at)?;
                at += prefix.len() + 1;
                self.key.extend_from_slice(prefix);
            }
            if self.key.len() > MAX_KEY_BYTES {
                return Err(corrupt(start, format!("a key of more than {MAX_KEY_BYTES} bytes")));
            }
            if offset & HAS_CHILDREN != 0 {
                let (first, last) = (self.byte(at)?, self.byte(at + 1)?);
                at += 2;
                for (index, character) in (first..=last).enumerate().rev() {
                    let child = self.u32(at + 4 * index)?;
                    pending.push((child, self.key.len(), Some(character)));
                }
                at += 4 * (usize::from(last) + 1).saturating_sub(usize::from(first));
            }
            if offset & HAS_VALUES != 0 {
                self.values(at)?;
            }
        }
        Ok(())
    }

    fn values(&mut self, mut at: usize) -> Result<()> {
        let n = self.u32(at)?;
        at += 4;
        for _ in 0..n {
            // The priority only orders them.
            let value = self.text(at + 4)?;
            self.total_bytes += self.key.len() + value.len() + 1;
            if self.total_bytes > MAX_TOTAL_BYTES {
                return Err(corrupt(at, "a module index that unfolds to more than 256 MiB"));
            }
            at += 4 + value.len() + 1;
            (self.each)(&self.key, value);
        }
        Ok(())
    }
}

impl<'a> Reader<'a> {
    fn byte(&self, at: usize) -> Result<u8> {
        self.bytes.get(at).copied().ok_or_else(|| outside(at))
    }

    fn u32(&self, at: usize) -> Result<u32> {
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map(|bytes| u32::from_be_bytes(*bytes)).ok_or_else(|| outside(at))
    }

    fn text(&self, at: usize) -> Result<&'a [u8]> {
        let rest = self.bytes.get(at..).ok_or_else(|| outside(at))?;
        let end = rest.iter().position(|&byte| byte == 0).ok_or_else(|| outside(at))?;
        Ok(&rest[..end])
    }
}

fn outside(at: usize) -> Error {
    corrupt(at, "a module index ends inside a node")
}

fn corrupt(at: usize, message: impl Into<String>) -> Error {
    Error::corrupt(message).at(at as u64)
}

/// The pairs of pattern and module of a text `modules.alias`.
pub(crate) fn text_aliases(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next()? == "alias").then_some(())?;
        Some((words.next()?, words.next()?))
    })
}

/// Whether `pattern` of an alias fits `name`, as fnmatch(3) with `*`, `?` and `[...]`, after
/// libkmod's folding of `-` to `_` outside brackets.
pub(crate) fn alias_matches(pattern: &[u8], name: &[u8]) -> bool {
    if pattern.len() > MAX_KEY_BYTES || name.len() > MAX_KEY_BYTES {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    // Where to go on when what follows the last `*` does not fit: it takes one character more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match (pattern.get(p), name.get(n)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                retry = Some((p + 1, n));
                p += 1;
                continue;
            }
            (Some(b'?'), Some(_)) => Some(1),
            (Some(b'['), Some(&found)) => bracket(&pattern[p..], found),
            (Some(&wanted), Some(&found)) => (fold(wanted) == fold(found)).then_some(1),
            _ => None,
        };
        if let Some(length) = step {
            p += length;
            n += 1;
        } else if let Some((after_star, taken)) = retry
            && taken < name.len()
        {
            retry = Some((after_star, taken + 1));
            (p, n) = (after_star, taken + 1);
        } else {
            return false;
        }
    }
}

fn fold(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte }
}

/// The length of the bracket expression that `pattern` starts with, where it holds `found`.
fn bracket(pattern: &[u8], found: u8) -> Option<usize> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = if negated { 2 } else { 1 };
    let close = pattern.iter().skip(first + 1).position(|&byte| byte == b']')? + first + 1;
    let set = &pattern[first..close];
    let mut holds = false;
    let mut at = 0;
    while let Some(&low) = set.get(at) {
        match (set.get(at + 1), set.get(at + 2)) {
            (Some(b'-'), Some(&high)) => {
                holds |= (low..=high).contains(&found);
                at += 3;
            }
            _ => {
                holds |= low == found;
                at += 1;
            }
        }
    }
    (holds != negated).then_some(close + 1)
}
