//! ext2, ext3 and ext4 beside the kernel, `dumpe2fs` and the crate `ext4-view`; and spoiled ones.

mod corrupt;
mod images;
mod journal;
mod mutate;
mod oracle;
mod speed;
