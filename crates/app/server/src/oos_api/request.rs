//! Parameters of OOS requests: JSON text for maps and lists, empty text for what is absent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kiln_ecs::error::ApiError;
use kiln_ecs::params::from_params;
use kiln_oos::value::{TOO_DEEP, is_too_deep};
use kiln_store::PageOf;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::ecs::Call;

/// Tags of one request, and of one resource.
pub(super) const MAX_TAGS: usize = 20;

/// The request as its type. Parameters that are empty are absent, and those that the type does not
/// have are ignored.
///
/// # Errors
///
/// `InvalidParameter` that names the parameter.
pub(super) fn read<T: DeserializeOwned>(call: &Call<'_>) -> Result<T, ApiError> {
    let pairs = call.pairs.iter().filter(|(_, value)| !value.is_empty());
    Ok(from_params(&pairs.cloned().collect::<Vec<_>>())?)
}

/// A parameter that the action needs.
///
/// # Errors
///
/// `MissingParameter`.
pub(super) fn needed<'a>(name: &str, value: Option<&'a String>) -> Result<&'a str, ApiError> {
    value.map(String::as_str).ok_or_else(|| ApiError::missing_parameter(name))
}

/// A JSON object in a parameter; empty where it is absent.
///
/// # Errors
///
/// `InvalidParameter`.
pub(super) fn object(name: &str, text: Option<&String>) -> Result<Map<String, Value>, ApiError> {
    let Some(text) = text else { return Ok(Map::new()) };
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) if map.values().any(is_too_deep) => {
            Err(ApiError::invalid_parameter(name, &format!("It is {TOO_DEEP}.")))
        }
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(ApiError::invalid_parameter(name, "A JSON object is expected.")),
        Err(error) => {
            let told = format!("A JSON object is expected: {error}.");
            Err(ApiError::invalid_parameter(name, &told))
        }
    }
}

/// A list in a parameter, as a JSON array or with commas.
///
/// # Errors
///
/// `InvalidParameter` where it is neither, or has more than `most` items.
pub(super) fn list(
    name: &str,
    text: Option<&String>,
    most: usize,
) -> Result<Vec<String>, ApiError> {
    let text = text.map_or("", |text| text.trim());
    let items: Vec<String> = if text.starts_with('[') {
        serde_json::from_str(text).map_err(|_| {
            ApiError::invalid_parameter(name, "A JSON array of strings is expected.")
        })?
    } else {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(str::to_owned).collect()
    };
    if items.len() > most {
        let told = format!("It has {} items, and may have {most}.", items.len());
        return Err(ApiError::invalid_parameter(name, &told));
    }
    Ok(items)
}

/// As [`list`], of which there must be one item at least.
///
/// # Errors
///
/// Those of [`list`]; `MissingParameter`.
pub(super) fn needed_list(
    name: &str,
    text: Option<&String>,
    most: usize,
) -> Result<Vec<String>, ApiError> {
    let items = list(name, text, most)?;
    if items.is_empty() { Err(ApiError::missing_parameter(name)) } else { Ok(items) }
}

/// Tags as they are given to a resource.
///
/// # Errors
///
/// `InvalidParameter` where there are too many, or a key or value is none.
pub(super) fn tags(given: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let refused = |told: &str| Err(ApiError::invalid_parameter("Tags", told));
    if given.len() > MAX_TAGS {
        return refused("There may be 20 tags.");
    }
    for (key, value) in given {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 128 {
            return refused("A key has 1 to 128 characters and a value up to 128.");
        }
        let lower = key.to_lowercase();
        if ["aliyun", "acs:", "http://", "https://"].iter().any(|own| lower.starts_with(own)) {
            return refused("A key may not begin with aliyun, acs:, http:// or https://.");
        }
    }
    Ok(())
}

/// How a list is taken in pieces.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Paging {
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// The paging of a request.
///
/// # Errors
///
/// `InvalidParameter`.
pub(super) fn paging(call: &Call<'_>) -> Result<Paging, ApiError> {
    read(call)
}

/// Items of a page where the request does not say.
const DEFAULT_SIZE: i64 = 50;

impl Paging {
    /// How many items a page has, within `least` and 100.
    ///
    /// # Errors
    ///
    /// `InvalidParameter`.
    pub(super) fn size(&self, least: i64) -> Result<usize, ApiError> {
        self.size_up_to(least, 100)
    }

    /// As [`Self::size`], within other bounds.
    ///
    /// # Errors
    ///
    /// `InvalidParameter`.
    pub(super) fn size_up_to(&self, least: i64, most: i64) -> Result<usize, ApiError> {
        let size = self.max_results.unwrap_or(DEFAULT_SIZE.min(most));
        if !(least..=most).contains(&size) {
            let told = format!("It is {least} to {most}.");
            return Err(ApiError::invalid_parameter("MaxResults", &told));
        }
        Ok(usize::try_from(size).unwrap_or_default())
    }

    /// The page of a list of the store.
    ///
    /// # Errors
    ///
    /// `InvalidParameter`.
    pub(super) fn page(&self, least: i64) -> Result<PageOf, ApiError> {
        Ok(PageOf { after: self.next_token.clone(), limit: self.size(least)? })
    }

    /// What the token says, for lists that are not the store's.
    pub(super) fn token(&self) -> Option<&str> {
        self.next_token.as_deref()
    }
}

/// The error for a token that belongs to no page.
pub(super) fn bad_token() -> ApiError {
    ApiError::invalid_parameter("NextToken", "It belongs to no page of this list.")
}

/// A page of what is in memory: the items behind the one that the token counts, and the next token.
///
/// # Errors
///
/// `InvalidParameter`.
pub(super) fn slice<T>(
    items: Vec<T>,
    paging: &Paging,
    limit: usize,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let skip: usize = match paging.token() {
        None => 0,
        Some(token) => token.parse().map_err(|_| bad_token())?,
    };
    let end = skip.saturating_add(limit);
    let next = (items.len() > end).then(|| end.to_string());
    Ok((items.into_iter().skip(skip).take(limit).collect(), next))
}

/// A bound of time in nanoseconds since 1970. Times are told in whole seconds, so an upper bound
/// takes in all of its second.
///
/// # Errors
///
/// `InvalidParameter`.
pub(super) fn bound(
    name: &str,
    text: Option<&String>,
    is_upper: bool,
) -> Result<Option<i64>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let at: Timestamp = text.parse().map_err(|_| {
        ApiError::invalid_parameter(name, "A time such as 2025-01-31T08:00:00Z is expected.")
    })?;
    let nanoseconds = i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX);
    Ok(Some(if is_upper { nanoseconds.saturating_add(999_999_999) } else { nanoseconds }))
}

/// A time as answers have it.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time of the store as answers have it; nothing for none.
pub(super) fn stored_time(nanoseconds: i64) -> String {
    match Timestamp::from_nanosecond(nanoseconds.into()) {
        Ok(at) if nanoseconds != 0 => time(at),
        _ => String::new(),
    }
}

/// Sorting, as all lists have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum SortOrder {
    /// The greatest first.
    #[default]
    Descending,
    /// The least first.
    Ascending,
}

/// The region that a request is for: the one it names, or the first of the configuration.
///
/// # Errors
///
/// `InvalidRegionId.NotFound`.
pub(super) fn region(call: &Call<'_>, given: Option<&String>) -> Result<String, ApiError> {
    match given {
        Some(id) => Ok(call.region(id)?.id.clone()),
        None => Ok(call.service.regions.iter().next().map_or_else(String::new, |it| it.id.clone())),
    }
}

/// A client token: up to 64 letters, digits, `-` and `_`.
///
/// # Errors
///
/// `InvalidParameter`.
pub(super) fn client_token(token: Option<&String>) -> Result<Option<&str>, ApiError> {
    let Some(token) = token else { return Ok(None) };
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if token.len() > 64 || !token.bytes().all(is_good) {
        let told = "It has up to 64 letters, digits, - and _.";
        return Err(ApiError::invalid_parameter("ClientToken", told));
    }
    Ok(Some(token))
}

/// Add `value` to an answer, unless there is none.
pub(super) fn put(answer: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        answer.insert(name.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_arrays_or_have_commas() {
        let list = |text: &str| list("X", Some(&text.to_owned()), 2).map_err(|error| error.code);
        assert_eq!(list(r#"["a","b"]"#).unwrap(), ["a", "b"]);
        assert_eq!(list("a, b,").unwrap(), ["a", "b"]);
        assert_eq!(list("").unwrap(), [""; 0]);
        for bad in [r#"["a",1]"#, "[", "a,b,c", r#"["a","b","c"]"#] {
            assert_eq!(list(bad).unwrap_err(), "InvalidParameter", "{bad}");
        }
    }

    #[test]
    fn an_upper_bound_takes_in_its_second() {
        let at = |text: &str, is_upper| bound("X", Some(&text.to_owned()), is_upper);
        assert_eq!(at("1970-01-01T00:00:01Z", false).unwrap(), Some(1_000_000_000));
        assert_eq!(at("1970-01-01T00:00:01Z", true).unwrap(), Some(1_999_999_999));
        assert_eq!(at("yesterday", true).unwrap_err().code, "InvalidParameter");
    }

    #[test]
    fn what_is_in_memory_is_read_in_pages() {
        let page = |token: Option<&str>| {
            let paging = Paging { max_results: None, next_token: token.map(str::to_owned) };
            slice(vec![1, 2, 3], &paging, 2).map_err(|error| error.code)
        };
        assert_eq!(page(None).unwrap(), (vec![1, 2], Some("2".to_owned())));
        assert_eq!(page(Some("2")).unwrap(), (vec![3], None));
        assert_eq!(page(Some("99")).unwrap(), (vec![], None));
        assert_eq!(page(Some("x")).unwrap_err(), "InvalidParameter");
    }
}
