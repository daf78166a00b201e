//! The OSS API on the wire: signatures, documents, ranges.

#![warn(missing_docs)]
