//! Requests and answers of the actions, with every field of the public model.
//!
//! Every field is optional: which one an action needs, and what it may hold, is the action's rule
//! with the action's error code. Here only names and types of the wire are kept.

pub mod describe_images;
pub mod import_image;

use serde::{Deserialize, Serialize};

/// A tag in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Tag {
    /// The name.
    pub key: Option<String>,
    /// The value, maybe empty.
    pub value: Option<String>,
}

/// A filter of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Filter {
    /// What to filter by.
    pub key: Option<String>,
    /// What it has to be.
    pub value: Option<String>,
}
