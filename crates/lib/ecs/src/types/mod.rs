//! Requests and answers of the actions, with every field of the public model.
//!
//! Every field is optional: which one an action needs, and what it may hold, is the action's rule
//! with the action's error code. Here only names and types of the wire are kept.

pub mod copy;
pub mod describe_images;
pub mod images;
pub mod import_image;
pub mod instance_types;
pub mod regions;
pub mod share;
pub mod tags;
pub mod tasks;

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

/// The answer of an action that answers with nothing but its `RequestId`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// A filter of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Filter {
    /// What to filter by.
    pub key: Option<String>,
    /// What it has to be.
    pub value: Option<String>,
}

#[cfg(test)]
pub(crate) mod testing {
    //! What every action's types are held to.

    use crate::answer::Format;
    use crate::params::{from_params, parse, to_params};
    use serde::{Serialize, de::DeserializeOwned};

    /// Every one of `parameters` is read into `T` and sent again as it was.
    pub(crate) fn are_read_and_sent_again<T: Serialize + DeserializeOwned>(parameters: &[&str]) {
        let mut pairs = Vec::new();
        parse(&parameters.join("&"), &mut pairs).unwrap();
        let request: T = from_params(&pairs).unwrap();
        let mut sent = to_params(&request).unwrap();
        sent.sort();
        pairs.sort();
        assert_eq!(sent, pairs);
    }

    /// Every field of `full`, whose `RequestId` is `R`, is read into `T` and written as it was.
    pub(crate) fn is_written_as_it_is_read<T>(action: &str, full: &str)
    where
        T: Serialize + DeserializeOwned,
    {
        let answer: T = serde_json::from_str(full).unwrap();
        let text = Format::Json.answer(action, "R", &answer).unwrap();
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(json(&text), json(full));
    }

    /// `full`, read into `T`, is written in XML as `fields` below the root of the action.
    pub(crate) fn is_written_in_xml<T>(action: &str, full: &str, fields: &str)
    where
        T: Serialize + DeserializeOwned,
    {
        let answer: T = serde_json::from_str(full).unwrap();
        let text = Format::Xml.answer(action, "R", &answer).unwrap();
        let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
        assert_eq!(text, format!("{head}<{action}Response>{fields}</{action}Response>"));
    }
}
