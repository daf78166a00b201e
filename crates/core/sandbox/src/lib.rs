//! Foreign data, read in a child process that can do no harm.

#![warn(missing_docs)]
