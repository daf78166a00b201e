//! To come.

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// A stand-in while the functions are being written.
    If,
}
