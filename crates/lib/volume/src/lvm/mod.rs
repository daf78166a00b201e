//! LVM2.

use kiln_disk::Source;

use crate::layout::Layout;

mod label;

pub(crate) use label::PhysicalVolume;

/// The label of a physical volume.
pub(crate) fn label(source: &Source) -> Option<PhysicalVolume> {
    label::read(source).ok().flatten()
}

pub(crate) fn assemble(_layout: &mut Layout) {}
