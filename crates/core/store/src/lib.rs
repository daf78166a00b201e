//! Where records, blobs and journals are kept.

#![warn(missing_docs)]
