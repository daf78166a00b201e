//! The raw writer: the bytes of the disk, with holes where they are zero.

use std::io::{Seek, Write};
use std::ops::ControlFlow;

use super::out::Out;
use super::pack::{Cluster, Packing};
use super::pass::{Store, check, pass};
use super::{CLUSTER_BYTES, DISK_MAX_BYTES, Options, Written};
use crate::fields::{length_usize, round_up};
use crate::{Result, Source};

/// Write the disk in `source` as it is, rounded up to whole sectors of 512 bytes.
///
/// `out` is an empty file. Runs of 64 KiB of zeroes are passed over with a seek, so they are holes
/// where the file system has them. Of `options`, only the threads count. It is flushed and not synced;
/// memory and `progress` are as for [`super::qcow2`].
///
/// # Errors
///
/// As [`super::qcow2`]. What is left after one is a part of the disk and looks like all of it: do not
/// keep it.
pub fn raw(
    source: &Source,
    out: impl Write + Seek,
    options: &Options,
    progress: &dyn Fn(u64) -> ControlFlow<()>,
) -> Result<Written> {
    check(source.size_bytes(), DISK_MAX_BYTES, options.threads)?;
    let size_bytes = round_up(source.size_bytes(), 512);
    let mut raw = Raw { out: Out::new(out)?, size_bytes, allocated_bytes: 0 };
    pass(source, Packing::None, options.threads, progress, &mut raw)?;
    raw.out.extend_to(size_bytes)?;
    raw.out.flush()?;
    let allocated_bytes = raw.allocated_bytes;
    Ok(Written { size_bytes, allocated_bytes, virtual_size_bytes: size_bytes })
}

struct Raw<W: Write + Seek> {
    out: Out<W>,
    size_bytes: u64,
    allocated_bytes: u64,
}

impl<W: Write + Seek> Store for Raw<W> {
    fn store(&mut self, number: u64, cluster: &Cluster) -> Result<()> {
        let at = number.saturating_mul(CLUSTER_BYTES);
        let length = length_usize(self.size_bytes.saturating_sub(at));
        let bytes = cluster.bytes();
        self.allocated_bytes = self.allocated_bytes.saturating_add(CLUSTER_BYTES);
        self.out.put(at, bytes.get(..length).unwrap_or(bytes))
    }
}
