//! XFS. The kernel is the oracle for version 5, `mkfs.xfs -p` and `xfs_db` for version 4, which
//! kernels no longer mount.

mod compare;
mod corrupt;
mod image;
mod mutate;
mod version4;
