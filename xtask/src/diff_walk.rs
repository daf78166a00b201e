//! `diff-walk`: every filesystem of an image as kiln reads it, against the kernel's mount.
//!
//! Each volume is copied out of kiln's view into a sparse file and mounted from there, so that one
//! way serves partitions, logical volumes and every image format, and the image is never written.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use kiln_disk::{BlockSource, ExtentKind, OpenOptions};
use kiln_fixtures::mounted::Mounted;
use kiln_fixtures::walk;
use kiln_volume::{Content, Volume};

const STEP_BYTES: u64 = 4 << 20;

/// Compare every filesystem on `image`, a line for each.
///
/// # Errors
///
/// The differences; or that there was nothing to compare, which must not count as "no difference".
pub(crate) fn run(image: &Path) -> Result<()> {
    let location = image.to_str().context("the path is not UTF-8")?;
    let mut n_compared = 0;
    each_volume(image, |volume, file| {
        let options = match volume.content {
            Content::Ext2 | Content::Ext3 | Content::Ext4 | Content::Btrfs => "ro",
            Content::Xfs => "ro,nouuid",
            _ => {
                let what = volume.content.name();
                eprintln!(
                    "{location} {}: skipped: {what} is compared with mtools instead",
                    volume.name
                );
                return Ok(());
            }
        };
        let mounted = Mounted::new(file, options)?;
        let summary = walk::compare(&*volume.open()?, mounted.path())?;
        n_compared += 1;
        eprintln!(
            "{location} {}: {}: {} entries, {} xattrs, {} bytes of content equal",
            volume.name,
            volume.content.name(),
            summary.n_entries,
            summary.n_xattrs,
            summary.n_bytes
        );
        Ok(())
    })?;
    if n_compared == 0 {
        bail!("{location}: no filesystem to compare");
    }
    Ok(())
}

/// Give every filesystem of `image`, copied into a file of its own, to `each`.
///
/// # Errors
///
/// What `each` says, with the name of the volume.
pub(crate) fn each_volume(
    image: &Path,
    mut each: impl FnMut(&Volume, &Path) -> Result<()>,
) -> Result<()> {
    let location = image.to_str().context("the path is not UTF-8")?;
    let opened = kiln_disk::open(location, &OpenOptions::default())?;
    let layout = kiln_volume::scan(std::slice::from_ref(&opened.source));
    for volume in layout.volumes.iter().filter(|volume| volume.filesystem.is_some()) {
        let copy = tempfile::NamedTempFile::new()?;
        copy_out(&*volume.source, copy.as_file())?;
        each(volume, copy.path()).with_context(|| format!("{location} {}", volume.name))?;
    }
    Ok(())
}

fn copy_out(source: &dyn BlockSource, to: &File) -> Result<()> {
    to.set_len(source.size_bytes())?;
    let mut buffer = vec![0; usize::try_from(STEP_BYTES)?];
    for extent in kiln_disk::map(source) {
        let (offset, extent) = extent?;
        if extent.kind == ExtentKind::Zero {
            continue;
        }
        let end = offset + extent.length_bytes;
        let mut at = offset;
        while at < end {
            let length = usize::try_from(STEP_BYTES.min(end - at))?;
            source.read_at(at, &mut buffer[..length])?;
            to.write_all_at(&buffer[..length], at)?;
            at += length as u64;
        }
    }
    Ok(())
}
