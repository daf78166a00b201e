//! The actions, one file each: they judge parameters, ask or change the records, and answer.

pub mod check;
pub mod import;
pub mod paging;
