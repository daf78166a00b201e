//! From disks to volumes: tables, then what the partitions hold, then what is built on them.

use std::sync::Arc;

use kiln_disk::{Source, Window};

use crate::field::read_up_to;
use crate::layout::{Content, DiskLayout, Layout, Notice, NoticeCode, Origin, Partition, Volume};
use crate::open::open_filesystem;
use crate::signature::{self, Signature};
use crate::table::{self, mbr};
use crate::{lvm, md};

/// Everything on `disks`, which are those of one machine in the order they are attached.
///
/// Never fails: what is broken, missing or beyond kiln is told in the notices, and the rest is
/// still there. Of a sound disk less than a mebibyte is read, apart from what the filesystems read
/// to open.
pub fn scan(disks: &[Source]) -> Layout {
    let mut layout = Layout::default();
    for (index, source) in disks.iter().enumerate() {
        scan_disk(index, source, &mut layout);
    }
    md::assemble(&mut layout);
    lvm::assemble(&mut layout);
    for volume in &mut layout.volumes {
        volume.filesystem = open_filesystem(volume.content, &volume.source);
        if let Some(Ok(filesystem)) = &volume.filesystem {
            let info = filesystem.info();
            volume.uuid = info.uuid.clone().or(volume.uuid.take());
            volume.label = info.label.clone().or(volume.label.take());
        }
    }
    layout
}

fn scan_disk(index: usize, source: &Source, layout: &mut Layout) {
    let table = table::read(source);
    if table.partitions.is_empty() && table.kind == crate::TableKind::None {
        let name = format!("disk{index}");
        add_volume(layout, name, Origin::Disk(index), Arc::clone(source));
    }
    for partition in &table.partitions {
        if mbr::is_extended(&partition.kind) {
            continue; // not content, but the container of the logical partitions
        }
        let name = format!("disk{index}p{}", partition.number);
        let origin = Origin::Partition { disk: index, number: partition.number };
        let volume = clip(source, partition);
        // What cannot be read has no signature; without this it would pass for unknown data.
        if let Err(error) = read_up_to(&volume, 0, 512) {
            let message = format!("{name}: cannot be read: {error}");
            layout.notices.push(Notice::new(NoticeCode::Corrupt, message));
        }
        add_volume(layout, name, origin, volume);
    }
    layout.disks.push(DiskLayout {
        source: Arc::clone(source),
        table: table.kind,
        sector_bytes: table.sector_bytes,
        disk_id: table.disk_id,
        partitions: table.partitions,
        hybrid_entries: table.hybrid_entries,
        notices: table.notices,
    });
}

/// The part of a partition that the disk has.
fn clip(disk: &Source, partition: &Partition) -> Source {
    let start = partition.start_bytes.min(disk.size_bytes());
    let size = partition.size_bytes.min(disk.size_bytes().saturating_sub(start));
    match Window::new(Arc::clone(disk), start, size) {
        Ok(window) => Arc::new(window),
        Err(_) => kiln_disk::MemSource::shared(Vec::new()), // clipped above, so it lies inside
    }
}

/// Probe `source` and add it, with a notice where its content was larger than it.
pub(crate) fn add_volume(layout: &mut Layout, name: String, origin: Origin, source: Source) {
    let Signature { content, uuid, label, claimed_bytes } = signature::probe(&source);
    let size_bytes = source.size_bytes();
    if let Some(claimed) = claimed_bytes.filter(|&claimed| claimed > size_bytes) {
        let message = format!(
            "{name}: {} says it has {claimed} bytes and its volume has {size_bytes}",
            content.name()
        );
        layout.notices.push(Notice::new(NoticeCode::Truncated, message));
    }
    if content == Content::SwapSuspended {
        let message = format!("{name}: swap that holds a hibernated guest");
        layout.notices.push(Notice::new(NoticeCode::Info, message));
    }
    layout.volumes.push(Volume { name, origin, source, content, uuid, label, filesystem: None });
}
