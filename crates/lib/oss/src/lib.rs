//! The OSS API on the wire: signatures, documents, ranges.
//!
//! Everything here takes text or values and returns values; it opens no socket and no file. The
//! caller owns the HTTP, so the same code serves a server, its tests and a fuzzer.

#![warn(missing_docs)]

pub mod address;
pub mod documents;
pub mod range;
pub mod sign;
