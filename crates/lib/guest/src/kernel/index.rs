//! Writing kmod's binary indexes (`modules.dep.bin` and its like), byte for byte as depmod does.
//!
//! udev and modprobe read no other form, so modules added to an initramfs load only where these are
//! written anew. [`index_entries`](super::index_entries) reads them and tells the layout.
//!
//! The trie has one shape for one set of entries: a node for each key and for each place where keys
//! part, children before their parent, an empty prefix at the root. Values of one key are ordered
//! by priority; of two with the same, depmod puts the one inserted later first.

use super::kmod::{HAS_CHILDREN, HAS_PREFIX, HAS_VALUES, MAGIC, OFFSET_MASK, VERSION};

/// depmod folds an alias in a buffer of 1024 bytes. Keys bound the depth of the trie.
pub(crate) const MAX_KEY_BYTES: usize = 1023;
/// More than any line of `modules.dep` has.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// A binary index being made.
#[derive(Clone, Debug, Default)]
pub struct IndexWriter {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: Vec<u8>,
    value: Vec<u8>,
    priority: u32,
}

/// Why an entry cannot be in an index.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The format has 7-bit characters and texts that end with NUL.
    #[error("`{text}` cannot be in a module index: only ASCII without NUL can")]
    NotAscii {
        /// The key or value, escaped.
        text: String,
    },
    /// Longer than depmod writes.
    #[error(
        "a module index has keys of up to {MAX_KEY_BYTES} bytes and values of up to 1 MiB, not {found}"
    )]
    TooLong {
        /// Length of the key or value in bytes.
        found: usize,
    },
    /// Offsets have 28 bits.
    #[error("a module index of more than 256 MiB cannot be written")]
    TooLarge,
}

impl IndexWriter {
    /// An index without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Add a value to those of `key`. The lower `priority`, the earlier it is found.
    ///
    /// # Errors
    ///
    /// Where the format cannot hold `key` or `value`.
    pub fn insert(&mut self, key: &str, value: &str, priority: u32) -> Result<(), IndexError> {
        for (text, limit) in [(key, MAX_KEY_BYTES), (value, MAX_VALUE_BYTES)] {
            if text.len() > limit {
                return Err(IndexError::TooLong { found: text.len() });
            }
            if !text.bytes().all(|byte| byte.is_ascii() && byte != 0) {
                return Err(IndexError::NotAscii { text: text.escape_default().to_string() });
            }
        }
        let (key, value) = (key.as_bytes().to_vec(), value.as_bytes().to_vec());
        self.entries.push(Entry { key, value, priority });
        Ok(())
    }

    /// The file.
    ///
    /// # Errors
    ///
    /// Where it would have more bytes than offsets can tell.
    pub fn finish(mut self) -> Result<Vec<u8>, IndexError> {
        // A stable sort of the reverse: the later of two equal ones comes first.
        self.entries.reverse();
        self.entries.sort_by(|a, b| a.key.cmp(&b.key).then(a.priority.cmp(&b.priority)));
        let mut bytes = Vec::new();
        for word in [MAGIC, VERSION, 0] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        let root = write_node(&self.entries, 0, 0, &mut bytes)?;
        bytes[8..12].copy_from_slice(&root.to_be_bytes());
        Ok(bytes)
    }
}

/// Write the node of `entries`, whose keys are the same up to `taken`, with the next `prefix` bytes
/// of them as its prefix, and all nodes below it. Its offset with flags.
fn write_node(
    entries: &[Entry],
    taken: usize,
    prefix: usize,
    out: &mut Vec<u8>,
) -> Result<u32, IndexError> {
    let end = taken + prefix;
    let n_values = entries.partition_point(|entry| entry.key.len() == end);
    let (values, below) = entries.split_at(n_values);
    let mut children = Vec::new();
    for group in below.chunk_by(|a, b| a.key[end] == b.key[end]) {
        let child = write_node(group, end + 1, common(group, end + 1), out)?;
        children.push((group[0].key[end], child));
    }

    let offset = u32::try_from(out.len()).unwrap_or(u32::MAX);
    if offset > OFFSET_MASK {
        return Err(IndexError::TooLarge);
    }
    let mut flags = 0;
    if let Some(entry) = entries.first()
        && prefix > 0
    {
        flags |= HAS_PREFIX;
        out.extend_from_slice(&entry.key[taken..end]);
        out.push(0);
    }
    if let (Some(&(first, _)), Some(&(last, _))) = (children.first(), children.last()) {
        flags |= HAS_CHILDREN;
        out.extend_from_slice(&[first, last]);
        let mut offsets = vec![0_u32; usize::from(last - first) + 1];
        for (character, child) in children {
            offsets[usize::from(character - first)] = child;
        }
        out.extend(offsets.into_iter().flat_map(u32::to_be_bytes));
    }
    if !values.is_empty() {
        flags |= HAS_VALUES;
        out.extend_from_slice(&u32::try_from(values.len()).unwrap_or(u32::MAX).to_be_bytes());
        for value in values {
            out.extend_from_slice(&value.priority.to_be_bytes());
            out.extend_from_slice(&value.value);
            out.push(0);
        }
    }
    Ok(offset | flags)
}

/// How many bytes from `start` on the keys of `entries`, which are sorted, have in common.
fn common(entries: &[Entry], start: usize) -> usize {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return 0 };
    let pairs = first.key[start..].iter().zip(&last.key[start..]);
    pairs.take_while(|(a, b)| a == b).count()
}
