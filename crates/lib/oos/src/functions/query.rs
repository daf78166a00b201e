//! `Fn::Jq`: a jq program run over a value. The programs themselves are run by what the caller
//! passes in, so that this module knows nothing of jq.

use serde_json::Value;

use super::RunJq;
use super::argument::Call;
use super::error::FunctionError;

/// `["First" or "All", program, input]`. Text that is JSON is parsed before the program sees it;
/// other text is a string.
pub(super) fn jq(call: Call<'_>, run: &RunJq<'_>) -> Result<Value, FunctionError> {
    let [which, program, input] = call.items()?;
    let all = match which.value.as_str() {
        Some("First") => false,
        Some("All") => true,
        _ => return Err(which.must_be("`First` or `All`")),
    };
    let text = program.value.as_str().ok_or_else(|| program.must_be("a jq program"))?;
    let parsed = input.value.as_str().and_then(|text| serde_json::from_str(text).ok());
    let results = run(text, parsed.as_ref().unwrap_or(input.value))
        .map_err(|why| call.failed(&program.place, format!("failed: {why}")))?;
    Ok(match all {
        true => Value::Array(results),
        false => results.into_iter().next().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Function::*, tests::check};

    /// The stand-in for jq of the tests: `each` gives the items of its input, `keep` the input.
    #[test]
    fn jq() {
        for (argument, expected) in [
            (json!(["First", "each", [1, 2]]), json!(1)),
            (json!(["All", "each", [1, 2]]), json!([1, 2])),
            (json!(["First", "each", []]), json!(null)),
            (json!(["All", "each", []]), json!([])),
            (json!(["First", "keep", "{\"a\": 1}"]), json!({"a": 1})),
            (json!(["First", "keep", "7"]), json!(7)),
            (json!(["First", "keep", "i-123"]), json!("i-123")),
            (json!(["First", "keep", ""]), json!("")),
            (json!(["First", "keep", null]), json!(null)),
        ] {
            check(Jq, argument, Ok(expected));
        }
        for (argument, error) in [
            (json!(["Last", "keep", 1]), "the first item must be `First` or `All`, and is `Last`"),
            (json!(["All", ["keep"], 1]), "the second item must be a jq program, and is a list"),
            (json!(["All", "each", 1]), "the second item failed: cannot iterate over a number"),
            (
                json!(["All", "keep"]),
                "the argument must be [\"First\" or \"All\", program, input], and has 2 items",
            ),
        ] {
            check(Jq, argument, Err(&format!("Fn::Jq: {error}")));
        }
    }
}
