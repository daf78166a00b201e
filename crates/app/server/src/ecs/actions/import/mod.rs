//! What `ImportImage` is asked for, before any object is looked at.

pub(super) mod validate;
