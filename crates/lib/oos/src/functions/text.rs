//! Text: joined, split, replaced, searched, encoded.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde_json::Value;

use super::argument::Call;
use super::error::FunctionError;

/// Each key of `Fn::Replace` reads the whole text once: this bounds the time.
const MAX_REPLACEMENTS: usize = 1000;

/// Output of commands comes with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn join(call: Call<'_>) -> Result<Value, FunctionError> {
    let [separator, list] = call.items()?;
    let (separator, items) = (separator.text()?, list.list()?);
    let mut joined = call.text();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            joined.push(&separator)?;
        }
        joined.push_value(item)?;
    }
    Ok(joined.done())
}

pub(super) fn split(call: Call<'_>) -> Result<Value, FunctionError> {
    let [separator_operand, text] = call.items()?;
    let (separator, text) = (separator_operand.text()?, text.text()?);
    if separator.is_empty() {
        return Err(separator_operand.must_be("a separator that is not empty"));
    }
    let parts = text.split(&*separator);
    if parts.clone().count() > call.limits.items {
        return Err(call.too_many());
    }
    Ok(parts.collect())
}

/// `[{old: new}, text]`: keys in their order, each on what the ones before it left.
pub(super) fn replace(call: Call<'_>) -> Result<Value, FunctionError> {
    let [replacements, text] = call.items()?;
    let (map, mut text) = (replacements.map()?, text.text()?.into_owned());
    if map.len() > MAX_REPLACEMENTS {
        let why = format!("has more than the limit of {MAX_REPLACEMENTS} keys");
        return Err(call.failed(&replacements.place, why));
    }
    // Each key goes over the whole text.
    if map.len().saturating_mul(text.len()) > call.limits.bytes.saturating_mul(16) {
        return Err(call.too_long());
    }
    for (old, new) in &*map {
        let new = replacements.entry(old, new).text()?;
        if old.is_empty() {
            return Err(call.failed(&replacements.place, "has an empty key"));
        }
        let n = text.matches(old.as_str()).count();
        if n == 0 {
            continue;
        }
        // No overflow: the occurrences are part of the text.
        let kept_bytes = text.len() - n * old.len();
        let bytes = n.saturating_mul(new.len()).saturating_add(kept_bytes);
        if bytes > call.limits.bytes {
            return Err(call.too_long());
        }
        text = text.replace(old.as_str(), &new);
    }
    Ok(text.into())
}

/// `[text, {name: value}]`: what a value brings is not looked at again, and a name that the map
/// does not have stays as it is, since `${x}` is also how shells write.
pub(super) fn sub(call: Call<'_>) -> Result<Value, FunctionError> {
    let [text, values_operand] = call.items()?;
    let (text, values) = (text.text()?, values_operand.map()?);
    let mut out = call.text();
    let mut rest = &*text;
    while let Some(start) = rest.find("${") {
        let (before, from_dollar) = rest.split_at(start);
        out.push(before)?;
        let name_and_rest = &from_dollar[2..];
        // A name ends at the next `$` at the latest, so that no text is read more than twice.
        let end = name_and_rest.find(['}', '$']);
        let closed = end.filter(|end| name_and_rest[*end..].starts_with('}'));
        let value =
            closed.and_then(|end| values.get(&name_and_rest[..end]).map(|value| (end, value)));
        match value {
            Some((end, value)) => {
                out.push_value(value)?;
                rest = &name_and_rest[end + 1..];
            }
            None => {
                out.push("${")?;
                rest = name_and_rest;
            }
        }
    }
    out.push(rest)?;
    Ok(out.done())
}

pub(super) fn contains(call: Call<'_>) -> Result<Value, FunctionError> {
    let [text, part] = call.items()?;
    Ok(text.text()?.contains(&*part.text()?).into())
}

pub(super) fn base64_encode(call: Call<'_>) -> Result<Value, FunctionError> {
    let text = call.whole().text()?;
    match base64::encoded_len(text.len(), true) {
        Some(bytes) if bytes <= call.limits.bytes => Ok(STANDARD.encode(&*text).into()),
        _ => Err(call.too_long()),
    }
}

/// White space between the letters is skipped; bytes that are not UTF-8 become U+FFFD.
pub(super) fn base64_decode(call: Call<'_>) -> Result<Value, FunctionError> {
    let operand = call.whole();
    let letters: Vec<u8> =
        operand.text()?.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes = LENIENT.decode(letters).map_err(|_| operand.must_be("Base64"))?;
    Ok(String::from_utf8_lossy(&bytes).into())
}

/// `[text, "powershell"]`: quotes and backticks doubled, so that the text cannot end the quotes it
/// is put between, whichever they are; PowerShell takes typographic quotes for quotes as well. The
/// original is documented by one line and seen with this shell only. A `$` stays: between double
/// quotes PowerShell would replace what follows it.
pub(super) fn escape(call: Call<'_>) -> Result<Value, FunctionError> {
    let [text, shell] = call.items()?;
    if !shell.value.as_str().is_some_and(|shell| shell.eq_ignore_ascii_case("powershell")) {
        return Err(shell.must_be("`powershell`, the only shell that templates name"));
    }
    let text = text.text()?;
    let mut out = call.text();
    for piece in text.split_inclusive(is_powershell_quote) {
        out.push(piece)?;
        if let Some(quote) = piece.chars().next_back().filter(|c| is_powershell_quote(*c)) {
            out.push(quote.encode_utf8(&mut [0; 4]))?;
        }
    }
    Ok(out.done())
}

fn is_powershell_quote(c: char) -> bool {
    matches!(c, '\'' | '"' | '`' | '\u{2018}'..='\u{201b}' | '\u{201c}'..='\u{201e}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Function::*, Limits, tests::check, tests::check_within};

    #[test]
    fn join() {
        for (argument, expected) in [
            (json!(["-", ["a", "b"]]), "a-b"),
            (json!(["", ["a", 1, true, null, [1, "x"], {"k": 1}]]), r#"a1true[1,"x"]{"k":1}"#),
            (json!([",", []]), ""),
            (json!([",", ["a"]]), "a"),
            (json!([",", "[\"a\", \"b\"]"]), "a,b"),
            (json!([0, ["a", "b"]]), "a0b"),
            (json!(["é", ["日", "本"]]), "日é本"),
        ] {
            check(Join, argument, Ok(json!(expected)));
        }
        check(
            Join,
            json!([[], []]),
            Err("Fn::Join: the first item must be a string, and is a list"),
        );
        check(
            Join,
            json!(["", null]),
            Err("Fn::Join: the second item must be a list, and is null"),
        );
        check(
            Join,
            json!("a"),
            Err("Fn::Join: the argument must be [separator, list], and is a string"),
        );
    }

    #[test]
    fn split() {
        for (argument, expected) in [
            (json!([",", "a,b,,c"]), json!(["a", "b", "", "c"])),
            (json!([", ", "a, b"]), json!(["a", "b"])),
            (json!([",", ""]), json!([""])),
            (json!([",", "abc"]), json!(["abc"])),
            (json!([".", 1.5]), json!(["1", "5"])),
            (json!([",", null]), json!([""])),
        ] {
            check(Split, argument, Ok(expected));
        }
        check(
            Split,
            json!(["", "abc"]),
            Err("Fn::Split: the first item must be a separator that is not empty, and is ``"),
        );
        check(
            Split,
            json!([",", []]),
            Err("Fn::Split: the second item must be a string, and is a list"),
        );
    }

    #[test]
    fn replace() {
        for (argument, expected) in [
            (json!([{".": "_"}, "a.b.c"]), "a_b_c"),
            (json!([{"b": "a", "a": "c"}, "ab"]), "cc"),
            (json!([{"a": "c", "b": "a"}, "ab"]), "ca"),
            (json!([{"a": 1, "b": null, "c": true}, "a-b-c"]), "1--true"),
            (json!([{}, "abc"]), "abc"),
            (json!(["{\"a\": \"b\"}", "a"]), "b"),
            (json!([{"日": "ni"}, "日本"]), "ni本"),
        ] {
            check(Replace, argument, Ok(json!(expected)));
        }
        check(
            Replace,
            json!([{"": "x"}, "abc"]),
            Err("Fn::Replace: the first item has an empty key"),
        );
        check(
            Replace,
            json!([{"a": []}, "abc"]),
            Err("Fn::Replace: the value of `a` in the first item must be a string, and is a list"),
        );
        check(
            Replace,
            json!([[], "a"]),
            Err("Fn::Replace: the first item must be a map, and is a list"),
        );
        let many: serde_json::Map<_, _> = (0..1001).map(|n| (n.to_string(), json!("x"))).collect();
        check(
            Replace,
            json!([many, "a"]),
            Err("Fn::Replace: the first item has more than the limit of 1000 keys"),
        );
    }

    #[test]
    fn sub() {
        for (argument, expected) in [
            (json!(["${a}-${b}", {"a": "x", "b": 2}]), "x-2"),
            (json!(["${a}${HOME} $a ${", {"a": "x"}]), "x${HOME} $a ${"),
            (json!(["${a}", {"a": "${b}", "b": "no"}]), "${b}"),
            (json!(["${${a}}", {"a": "x"}]), "${x}"),
            (json!(["$${a}", {"a": "x"}]), "$x"),
            (json!(["${a", {"a": "x"}]), "${a"),
            (json!(["${}", {"": "x"}]), "x"),
            (json!(["${ a }", {"a": "x"}]), "${ a }"),
            (json!(["${a}", {"a": [1, {"b": null}]}]), r#"[1,{"b":null}]"#),
            (json!(["${a}", {"a": null}]), ""),
            (json!(["${é}日", {"é": "本"}]), "本日"),
        ] {
            check(Sub, argument, Ok(json!(expected)));
        }
        check(Sub, json!([{}, {}]), Err("Fn::Sub: the first item must be a string, and is a map"));
        check(Sub, json!(["a", "b"]), Err("Fn::Sub: the second item must be a map, and is `b`"));
    }

    #[test]
    fn contains_sub_string() {
        for (argument, expected) in [
            (json!(["abc", "b"]), true),
            (json!(["abc", "B"]), false),
            (json!(["abc", ""]), true),
            (json!(["", "a"]), false),
            (json!([null, "a"]), false),
            (json!([1234, 23]), true),
        ] {
            check(ContainsSubString, argument, Ok(json!(expected)));
        }
        check(
            ContainsSubString,
            json!([["a"], "a"]),
            Err("Fn::ContainsSubString: the first item must be a string, and is a list"),
        );
    }

    #[test]
    fn base64() {
        for (plain, encoded) in [("", ""), ("a", "YQ=="), ("héllo", "aMOpbGxv")] {
            check(Base64Encode, json!(plain), Ok(json!(encoded)));
            check(Base64Decode, json!(encoded), Ok(json!(plain)));
        }
        check(Base64Encode, json!(12), Ok(json!("MTI=")));
        check(Base64Decode, json!("YQ"), Ok(json!("a")));
        check(Base64Decode, json!("aMOp\nbGxv\r\n"), Ok(json!("héllo")));
        check(Base64Decode, json!(null), Ok(json!("")));
        check(Base64Decode, json!("/w=="), Ok(json!("\u{fffd}")));
        for wrong in ["*", "YQ=a", "日本"] {
            let error = format!("Fn::Base64Decode: the argument must be Base64, and is `{wrong}`");
            check(Base64Decode, json!(wrong), Err(&error));
        }
        // A part of a secret would pass by what masks the whole of it.
        check(
            Base64Decode,
            json!("*".repeat(41)),
            Err("Fn::Base64Decode: the argument must be Base64, and is a text of 41 bytes"),
        );
        check(
            Base64Encode,
            json!(["a"]),
            Err("Fn::Base64Encode: the argument must be a string, and is a list"),
        );
        check(
            Base64Encode,
            json!({}),
            Err("Fn::Base64Encode: the argument must be a string, and is a map"),
        );
    }

    #[test]
    fn escape() {
        check(
            Escape,
            json!(["it's `a` \"b\" $c", "powershell"]),
            Ok(json!("it''s ``a`` \"\"b\"\" $c")),
        );
        check(Escape, json!(["’“日", "PowerShell"]), Ok(json!("’’““日")));
        check(Escape, json!(["", "powershell"]), Ok(json!("")));
        check(
            Escape,
            json!(["a", "bash"]),
            Err(
                "Fn::Escape: the second item must be `powershell`, the only shell that templates name, and is `bash`",
            ),
        );
    }

    /// Every function that can write more than it reads stops at the limit, and not before it.
    #[test]
    fn long_results_are_refused() {
        let limits = Limits { bytes: 8, ..Limits::default() };
        for (function, fits, result, too_long) in [
            (Join, json!(["--", ["abc", "def"]]), "abc--def", json!(["--", ["abc", "defg"]])),
            (Join, json!(["", [[1, 2, 3], 4]]), "[1,2,3]4", json!(["", [[1, 2, 3, 4]]])),
            (Replace, json!([{"a": "bb"}, "aaaa"]), "bbbbbbbb", json!([{"a": "bb"}, "aaaac"])),
            (Sub, json!(["${a}${a}", {"a": 1234}]), "12341234", json!(["${a}${a}.", {"a": 1234}])),
            (Base64Encode, json!("abcdef"), "YWJjZGVm", json!("abcdefg")),
            (Escape, json!(["````", "powershell"]), "````````", json!(["`````", "powershell"])),
        ] {
            check_within(limits, function, fits, Ok(json!(result)));
            let name = function.name();
            let error = format!("{name}: the result would be longer than the limit of 8 bytes");
            check_within(limits, function, too_long, Err(&error));
        }
        let limits = Limits { items: 2, ..Limits::default() };
        check_within(limits, Split, json!([",", "a,b"]), Ok(json!(["a", "b"])));
        check_within(
            limits,
            Split,
            json!([",", "a,b,c"]),
            Err("Fn::Split: the result would have more than the limit of 2 items"),
        );
    }
}
