//! Lists in pages: by number, or by a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::{error::ApiFault, operations::Request};

const DEFAULT_PAGE: i64 = 10;
const MAX_PAGE: i64 = 100;

/// The part of a list that was asked for, and the fields that say which.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) items: Vec<Value>,
    pub(crate) fields: Map<String, Value>,
}

/// Cut the page out of `found` that the request asks for: by `MaxResults` and `NextToken` where
/// one of them is written, else by `PageNumber` and `PageSize`. Only what is on the page is shown.
pub(crate) fn page<T>(
    request: &Request<'_>,
    found: &[T],
    show: impl Fn(&T) -> Value,
) -> Result<Page, ApiFault> {
    let parameters = &request.parameters;
    let token = parameters.text("NextToken");
    let max_results = parameters.number("MaxResults")?;
    let mut fields = Map::new();
    let (start, n_items) = if token.is_some() || max_results.is_some() {
        let n_items = max_results.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
        let start = token.map_or(Ok(0), |token| start_of(request, &token))?;
        let next = start.saturating_add(to_index(n_items));
        let token = if next < found.len() { token_of(request, next) } else { String::new() };
        fields.insert("NextToken".into(), token.into());
        fields.insert("MaxResults".into(), n_items.into());
        (start, n_items)
    } else {
        let number = parameters.number_in("PageNumber", 1..=i64::MAX)?.unwrap_or(1);
        let n_items = parameters.number_in("PageSize", 1..=MAX_PAGE)?.unwrap_or(DEFAULT_PAGE);
        fields.insert("PageNumber".into(), number.into());
        fields.insert("PageSize".into(), n_items.into());
        (to_index((number - 1).saturating_mul(n_items)), n_items)
    };
    fields.insert("TotalCount".into(), json!(found.len()));
    let items = found.iter().skip(start).take(to_index(n_items)).map(show).collect();
    Ok(Page { items, fields })
}

impl Page {
    /// The answer: the paging fields and the items in their two wrappers.
    pub(crate) fn answer(self, outer: &str, inner: &str) -> Value {
        let mut answer = self.fields;
        answer.insert(outer.to_owned(), json!({ inner: self.items }));
        Value::Object(answer)
    }
}

fn to_index(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The token holds the place and the operation it belongs to; callers are not to look inside.
fn token_of(request: &Request<'_>, start: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("{} {} {start}", request.api, request.region))
}

fn start_of(request: &Request<'_>, token: &str) -> Result<usize, ApiFault> {
    let start = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let start = text.strip_prefix(&format!("{} {} ", request.api, request.region))?;
        start.parse().ok()
    };
    let message = "The specified parameter NextToken is not valid.";
    start().ok_or_else(|| ApiFault::new(400, "InvalidParameter.NextToken", message))
}
