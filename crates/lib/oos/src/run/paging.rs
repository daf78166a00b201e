//! Answers that come in pages: what the next request is, and how pages become one answer.

use serde_json::Value;

use super::request::Request;
use super::scope::get_any_case;

/// Pages of one answer at most.
const MAX_PAGES: u32 = 200;

/// Bytes of one answer with all of its pages at most.
const MAX_BYTES: usize = 16 << 20;

/// The request for the page after `body`. None where there is none, where the operation changes
/// something, or where the template asked for one page itself.
///
/// # Errors
///
/// Where there were too many pages: what is left out would be missing, and nobody would know.
pub(super) fn next(
    request: &Request,
    body: &Value,
    n_pages: u32,
) -> Result<Option<Request>, String> {
    let next = after(request, body);
    if next.is_some() && n_pages >= MAX_PAGES {
        return Err(format!(
            "{} has more than {MAX_PAGES} pages: ask for larger ones (PageSize, MaxResults) or for less",
            request.api
        ));
    }
    Ok(next)
}

fn after(request: &Request, body: &Value) -> Option<Request> {
    let api = request.api.to_ascii_lowercase();
    let reads = ["describe", "list", "get", "query", "search"];
    if !reads.iter().any(|word| api.starts_with(word)) {
        return None;
    }
    let given = |name: &str| get_any_case(&request.parameters, name).is_some();
    let mut next = request.clone();
    if let Some(token) = body.get("NextToken").and_then(Value::as_str).filter(|t| !t.is_empty()) {
        if given("NextToken") {
            return None;
        }
        next.parameters.insert("NextToken".to_owned(), Value::from(token));
        return Some(next);
    }
    let number = |name: &str| body.get(name).and_then(Value::as_u64);
    let (total, page) = (number("TotalCount")?, number("PageNumber")?);
    let size = number("PageSize").filter(|size| *size > 0)?;
    if given("PageNumber") || page.checked_mul(size)? >= total || is_empty(body) {
        return None;
    }
    next.parameters.insert("PageNumber".to_owned(), Value::from(page.checked_add(1)?));
    next.parameters.insert("PageSize".to_owned(), Value::from(size));
    Some(next)
}

/// The first page with the items of `more` added, and `more` itself, which says what comes next.
///
/// # Errors
///
/// Where they would be too large together.
pub(super) fn join(mut first: Value, more: Value) -> Result<(Value, Value), String> {
    if crate::expr::size(&first).saturating_add(crate::expr::size(&more)) > MAX_BYTES {
        return Err(format!("the pages are larger than {MAX_BYTES} bytes together: ask for less"));
    }
    extend(&mut first, &more, 2);
    Ok((first, more))
}

/// Add the lists of `more` to those at the same places, `depth` maps deep at most: deeper lists
/// belong to items.
fn extend(first: &mut Value, more: &Value, depth: u32) {
    match (first, more) {
        (Value::Array(items), Value::Array(new)) => items.extend(new.iter().cloned()),
        (Value::Object(map), Value::Object(new)) if depth > 0 => {
            for (key, value) in new {
                if let Some(own) = map.get_mut(key) {
                    extend(own, value, depth - 1);
                }
            }
        }
        _ => {}
    }
}

fn is_empty(body: &Value) -> bool {
    fn has_items(value: &Value, depth: u32) -> bool {
        match value {
            Value::Array(items) => !items.is_empty(),
            Value::Object(map) if depth > 0 => map.values().any(|v| has_items(v, depth - 1)),
            _ => false,
        }
    }
    !has_items(body, 2)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(api: &str, parameters: Value) -> Request {
        let Value::Object(parameters) = parameters else { panic!("a map") };
        Request {
            service: "ECS".into(),
            api: api.into(),
            parameters,
            roa: None,
            region: String::new(),
            account: String::new(),
            user: String::new(),
            role: String::new(),
            token: String::new(),
            is_repeated: false,
        }
    }

    #[test]
    fn the_next_page_is_asked_for_while_there_is_one() {
        let page =
            |n: u64| json!({"TotalCount": 3, "PageNumber": n, "PageSize": 2, "I": {"X": [1]}});
        let next_page = |api: &str, parameters: Value, body: &Value| {
            next(&request(api, parameters), body, 1).unwrap().map(|next| next.parameters)
        };
        let asked = next_page("DescribeX", json!({"A": 1}), &page(1)).unwrap();
        assert_eq!(Value::Object(asked), json!({"A": 1, "PageNumber": 2, "PageSize": 2}));
        assert_eq!(next_page("DescribeX", json!({}), &page(2)), None);
        assert_eq!(next_page("RunX", json!({}), &page(1)), None);
        assert_eq!(next_page("DescribeX", json!({"PageNumber": 1}), &page(1)), None);
        let none = json!({"TotalCount": 3, "PageNumber": 1, "PageSize": 2, "I": {"X": []}});
        assert_eq!(next_page("DescribeX", json!({}), &none), None);
        let asked = next_page("ListX", json!({}), &json!({"NextToken": "t"})).unwrap();
        assert_eq!(Value::Object(asked), json!({"NextToken": "t"}));
        assert_eq!(next_page("ListX", json!({}), &json!({"NextToken": ""})), None);
    }

    #[test]
    fn pages_are_joined_and_items_are_not() {
        let first = json!({"N": 1, "I": {"X": [{"tags": [1]}]}, "L": [1]});
        let more = json!({"N": 2, "I": {"X": [{"tags": [2]}]}, "L": [2]});
        assert_eq!(
            join(first, more).unwrap().0,
            json!({"N": 1, "I": {"X": [{"tags": [1]}, {"tags": [2]}]}, "L": [1, 2]})
        );
    }
}
