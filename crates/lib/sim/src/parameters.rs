//! Request parameters as templates write them.
//!
//! Templates are freer than the wire: names come in any letter case and with or without their
//! dots, a repeated parameter as a list, as JSON text, under its plural or as `Filter2Key`, and
//! what a template leaves empty is not sent. What an operation asks for is found here in all of
//! these forms.

use indexmap::IndexMap;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::ApiFault;

/// More items in one list than any operation takes.
const MAX_ITEMS: usize = 100;
/// Tags of one resource, as the tag operations document it.
const MAX_TAGS: usize = 20;

/// The parameters of one call. Names have lost their dots and letter case.
#[derive(Debug)]
pub(crate) struct Parameters(IndexMap<String, Value>);

impl Parameters {
    /// Null and empty text count as not written.
    pub(crate) fn read(written: &Map<String, Value>) -> Self {
        let written = written.iter().filter(|(_, value)| !is_absent(value));
        Self(written.map(|(name, value)| (plain_name(name), value.clone())).collect())
    }

    /// A value as it was written, by the name that the API reference has, or as a member of a map written for the
    /// part before the dot (`SystemDisk: {Category: …}`).
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        let name = plain_name(name);
        self.0.get(&name).or_else(|| {
            self.0.iter().find_map(|(outer, value)| {
                let inner = name.strip_prefix(outer.as_str())?;
                let members = value.as_object()?.iter();
                members
                    .filter(|(_, value)| !is_absent(value))
                    .find_map(|(key, value)| (plain_name(key) == inner).then_some(value))
            })
        })
    }

    /// Scalars as text, lists and maps as compact JSON.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(text_of)
    }

    pub(crate) fn required(&self, name: &str) -> Result<String, ApiFault> {
        self.text(name).ok_or_else(|| ApiFault::missing(name))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiFault> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(ApiFault::invalid(name)),
        }
    }

    /// Numbers may be written as text.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, ApiFault> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|_| ApiFault::invalid(name))
    }

    /// A number within a range.
    pub(crate) fn number_in(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<i64>, ApiFault> {
        match self.number(name)? {
            Some(number) if !range.contains(&number) => Err(ApiFault::invalid(name)),
            number => Ok(number),
        }
    }

    /// A repeated parameter by its singular name. `None` where nothing is written; a list that is
    /// written and empty names nothing, which is not the same.
    pub(crate) fn list(&self, singular: &str) -> Result<Option<Vec<String>>, ApiFault> {
        let items = match self.repeated(singular) {
            None => self.indexed(singular).map(|items| items.into_values().map(text_of).collect()),
            Some(Value::Array(items)) => Some(items.iter().map(text_of).collect::<Vec<_>>()),
            Some(other) => Some(match json_list(other) {
                Some(items) => items.iter().map(text_of).collect(),
                None if text_of(other).starts_with('[') => return Err(ApiFault::invalid(singular)),
                None => vec![text_of(other)],
            }),
        };
        match items {
            Some(items) if items.len() > MAX_ITEMS => Err(ApiFault::invalid(singular)),
            items => Ok(items),
        }
    }

    /// A repeated parameter of which one item is needed at least.
    pub(crate) fn required_list(&self, singular: &str) -> Result<Vec<String>, ApiFault> {
        let items = self.list(singular)?.filter(|items| !items.is_empty());
        items.ok_or_else(|| ApiFault::missing(singular))
    }

    /// A repeated parameter whose items have members, by its singular name.
    pub(crate) fn items(&self, singular: &str) -> Result<Vec<Parameters>, ApiFault> {
        let items = match self.repeated(singular) {
            None => match self.indexed(singular) {
                Some(flat) => return Ok(nested(flat)),
                None => return Ok(Vec::new()),
            },
            Some(Value::Object(item)) => return Ok(vec![Parameters::read(item)]),
            Some(Value::Array(items)) => items.clone(),
            Some(other) => json_list(other).ok_or_else(|| ApiFault::invalid(singular))?,
        };
        if items.len() > MAX_ITEMS {
            return Err(ApiFault::invalid(singular));
        }
        let item = |item: &Value| item.as_object().map(Parameters::read);
        items.iter().map(|each| item(each).ok_or_else(|| ApiFault::invalid(singular))).collect()
    }

    /// `Tag`, `Tags` and `Tag.N.Key`: a list of keys and values, or a map of them.
    pub(crate) fn tags(&self) -> Result<IndexMap<String, String>, ApiFault> {
        if let Some(Value::Object(pairs)) = self.repeated("Tag")
            && !pairs.keys().any(|key| key.eq_ignore_ascii_case("key"))
        {
            return checked_tags(pairs.iter().map(|(key, value)| (key.clone(), text_of(value))));
        }
        let items = self.items("Tag")?;
        let pair = |item: &Parameters| {
            let key = item.text("Key").or_else(|| item.text("TagKey"));
            let value = item.text("Value").or_else(|| item.text("TagValue"));
            (key.unwrap_or_default(), value.unwrap_or_default())
        };
        checked_tags(items.iter().map(pair))
    }

    /// A digest of everything written but `ClientToken`, in an order of its own.
    pub(crate) fn fingerprint(&self) -> String {
        let mut written: Vec<_> =
            self.0.iter().filter(|(name, _)| *name != "clienttoken").collect();
        written.sort_by_key(|(name, _)| *name);
        let mut digest = Sha256::new();
        for (name, value) in written {
            for part in [name.as_str(), &text_of(value)] {
                digest.update(part.len().to_be_bytes());
                digest.update(part);
            }
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The members of these names, as an object that has the names so.
    pub(crate) fn to_value(&self, names: &[&str]) -> Value {
        let written = names.iter().filter_map(|name| Some(((*name).to_owned(), self.get(name)?)));
        Value::Object(written.map(|(name, value)| (name, value.clone())).collect())
    }

    fn repeated(&self, singular: &str) -> Option<&Value> {
        self.get(singular).or_else(|| self.get(&format!("{singular}s")))
    }

    /// `Name1`, `Name2Sub` …: by number and what follows it, without the dots already.
    fn indexed(&self, singular: &str) -> Option<std::collections::BTreeMap<(u32, &str), &Value>> {
        let prefix = plain_name(singular);
        let numbered = |name: &'_ str| -> Option<(u32, usize)> {
            let rest = name.strip_prefix(prefix.as_str())?;
            let n_digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            Some((rest.get(..n_digits)?.parse().ok()?, prefix.len() + n_digits))
        };
        let found: std::collections::BTreeMap<_, _> = (self.0.iter())
            .filter_map(|(name, value)| {
                let (number, sub_at) = numbered(name)?;
                Some(((number, name.get(sub_at..)?), value))
            })
            .take(MAX_ITEMS * 8)
            .collect();
        (!found.is_empty()).then_some(found)
    }
}

fn nested(flat: std::collections::BTreeMap<(u32, &str), &Value>) -> Vec<Parameters> {
    let mut items: std::collections::BTreeMap<u32, IndexMap<String, Value>> = Default::default();
    for ((number, sub), value) in flat {
        items.entry(number).or_default().insert(sub.to_owned(), value.clone());
    }
    items.into_values().map(Parameters).collect()
}

fn checked_tags(
    pairs: impl Iterator<Item = (String, String)>,
) -> Result<IndexMap<String, String>, ApiFault> {
    let mut tags = IndexMap::new();
    for (key, value) in pairs {
        if key.is_empty() || key.chars().count() > 128 {
            let message = "The specified Tag.N.Key is not valid.";
            return Err(ApiFault::new(400, "InvalidTagKey.Malformed", message));
        }
        if tags.insert(key, value).is_some() {
            let message = "The Tag.N.Key contain duplicate key.";
            return Err(ApiFault::new(400, "Duplicate.TagKey", message));
        }
        if tags.len() > MAX_TAGS {
            let message = "The specified tags are beyond the permitted range.";
            return Err(ApiFault::new(400, "InvalidTagCount", message));
        }
    }
    Ok(tags)
}

fn is_absent(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

fn plain_name(name: &str) -> String {
    name.chars().filter(|c| *c != '.').map(|c| c.to_ascii_lowercase()).collect()
}

pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn json_list(value: &Value) -> Option<Vec<Value>> {
    serde_json::from_str(value.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(written: Value) -> Parameters {
        Parameters::read(written.as_object().unwrap())
    }

    #[test]
    fn names_are_found_in_any_case_with_and_without_dots_and_nested() {
        for written in [
            json!({"SystemDisk.Category": "x"}),
            json!({"systemdiskcategory": "x"}),
            json!({"SystemDisk": {"category": "x"}}),
        ] {
            assert_eq!(
                read(written.clone()).text("SystemDisk.Category").unwrap(),
                "x",
                "{written}"
            );
        }
    }

    #[test]
    fn null_and_empty_are_not_written_and_an_empty_list_is() {
        let found = read(json!({"A": null, "B": "", "C": [], "D": 0, "E": false, "F": "[]"}));
        assert_eq!((found.text("A"), found.text("B")), (None, None));
        assert_eq!((found.number("D").unwrap(), found.flag("E").unwrap()), (Some(0), Some(false)));
        assert_eq!(found.list("C").unwrap(), Some(vec![]));
        assert_eq!(found.list("F").unwrap(), Some(vec![]));
        assert_eq!(found.list("A").unwrap(), None);
    }

    #[test]
    fn a_list_is_the_same_in_all_its_forms() {
        for written in [
            json!({"InstanceIds": ["i-1", "i-2"]}),
            json!({"instanceIds": "[\"i-1\", \"i-2\"]"}),
            json!({"InstanceId": ["i-1", "i-2"]}),
            json!({"InstanceId.1": "i-1", "InstanceId.2": "i-2"}),
            json!({"InstanceId10": "i-2", "InstanceId9": "i-1"}),
        ] {
            let found = read(written.clone()).list("InstanceId").unwrap();
            assert_eq!(found.unwrap(), ["i-1", "i-2"], "{written}");
        }
        assert_eq!(
            read(json!({"InstanceIds": "i-1"})).list("InstanceId").unwrap().unwrap(),
            ["i-1"]
        );
        assert_eq!(read(json!({"X": "[1"})).list("X").unwrap_err().code, "InvalidParameter");
        assert!(read(json!({"X": vec![1; 101]})).list("X").is_err());
    }

    #[test]
    fn items_and_tags_are_the_same_in_all_their_forms() {
        for written in [
            json!({"Filter": [{"Key": "k", "Value": "v"}]}),
            json!({"Filter2Key": "k", "Filter2Value": "v"}),
            json!({"Filter.1.key": "k", "Filter.1.value": "v"}),
            json!({"Filters": "[{\"Key\":\"k\",\"Value\":\"v\"}]"}),
        ] {
            let items = read(written.clone()).items("Filter").unwrap();
            assert_eq!(items.len(), 1, "{written}");
            assert_eq!(
                (items[0].text("Key"), items[0].text("Value")),
                (Some("k".into()), Some("v".into()))
            );
        }
        for written in [
            json!({"Tags": [{"Key": "k", "Value": "v"}]}),
            json!({"Tag.1.Key": "k", "Tag.1.Value": "v"}),
            json!({"Tags": {"k": "v"}}),
        ] {
            assert_eq!(read(written.clone()).tags().unwrap()["k"], "v", "{written}");
        }
        let twice = json!({"Tags": [{"Key": "k"}, {"Key": "k"}]});
        assert_eq!(read(twice).tags().unwrap_err().code, "Duplicate.TagKey");
        assert!(read(json!({"Tags": []})).tags().unwrap().is_empty());
    }

    #[test]
    fn the_fingerprint_is_of_the_content() {
        let of = |written: Value| read(written).fingerprint();
        assert_eq!(
            of(json!({"A": 1, "b": "x"})),
            of(json!({"B": "x", "a": "1", "ClientToken": "t"}))
        );
        assert_ne!(of(json!({"A": "xy", "B": "z"})), of(json!({"A": "x", "B": "yz"})));
    }
}
