//! FAT12, FAT16 and FAT32, read only.

pub(crate) mod bpb;
