//! Readers of the small text formats that several parts need. They turn bytes into facts and never
//! judge: a broken line is data too.

pub(crate) mod assignments;
pub(crate) mod fstab;
