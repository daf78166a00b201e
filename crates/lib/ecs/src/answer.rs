//! Answers in the format that the client asked for.
//!
//! One type serves both formats because lists are wrapped in the types already: a field `Images`
//! holds an object with one list `Image`, which is `{"Images":{"Image":[…]}}` in JSON and
//! `<Images><Image>…</Image></Images>` in XML.

use crate::{
    error::ApiError,
    sign::{AuthError, Scheme},
    xml,
};
use serde::Serialize;
use serde_json::{Map, Value};

/// Deepest nesting of an answer; those of the API have less than ten.
const MAX_DEPTH: usize = 32;

/// JSON or XML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A flat object.
    Json,
    /// A document whose root is `<{Action}Response>`.
    Xml,
}

impl Format {
    /// The format of an answer, by the parameter `Format`, else by the header `Accept`, else by
    /// what clients of the scheme expect.
    ///
    /// # Errors
    ///
    /// `Format` where the parameter is neither JSON nor XML. That error is answered in the format
    /// chosen without the parameter.
    pub fn choose(
        parameter: Option<&str>,
        accept: Option<&str>,
        scheme: Scheme,
    ) -> Result<Self, AuthError> {
        match parameter {
            Some(text) if text.eq_ignore_ascii_case("json") => return Ok(Self::Json),
            Some(text) if text.eq_ignore_ascii_case("xml") => return Ok(Self::Xml),
            Some(_) => return Err(AuthError::Format),
            None => {}
        }
        let json = accept.is_some_and(|accept| accept.to_ascii_lowercase().contains("json"));
        Ok(if json || scheme == Scheme::V3 { Self::Json } else { Self::Xml })
    }

    /// The `Content-Type` of an answer. One SDK reads an XML error only under exactly this text.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json;charset=utf-8",
            Self::Xml => "text/xml;charset=utf-8",
        }
    }

    /// The body of an error. `host` is the `Host` header of the request.
    pub fn error(self, error: &ApiError, request_id: &str, host: &str) -> String {
        match self {
            Self::Json => error.to_json(request_id, host),
            Self::Xml => error.to_xml(request_id, host),
        }
    }

    /// The body of an answer: `RequestId` first, then the fields of `answer`. Absent ones (`None`)
    /// are left out.
    ///
    /// # Errors
    ///
    /// Where `answer` is a type that no answer can have: see [`AnswerError`].
    pub fn answer<T: Serialize>(
        self,
        action: &str,
        request_id: &str,
        answer: &T,
    ) -> Result<String, AnswerError> {
        self.answer_fields(action, request_id, serde_json::to_value(answer)?)
    }

    /// As [`Self::answer`], of fields that are a JSON object already, or null.
    ///
    /// # Errors
    ///
    /// As [`Self::answer`].
    pub fn answer_fields(
        self,
        action: &str,
        request_id: &str,
        fields: Value,
    ) -> Result<String, AnswerError> {
        let fields = match fields {
            Value::Object(mut fields) => {
                fields.remove("RequestId");
                fields
            }
            Value::Null => Map::new(),
            _ => return Err(AnswerError::NotAStruct),
        };
        match self {
            Self::Json => json(request_id, fields),
            Self::Xml => xml(action, request_id, &fields),
        }
    }

    /// As [`Self::answer`], of a struct that leaves out by itself what is absent and has no
    /// `RequestId`: in JSON it is written as it is, which takes a third of the time.
    ///
    /// # Errors
    ///
    /// As [`Self::answer`].
    pub fn answer_lean<T: Serialize>(
        self,
        action: &str,
        request_id: &str,
        answer: &T,
    ) -> Result<String, AnswerError> {
        match self {
            Self::Json => with_id(request_id, &serde_json::to_string(answer)?),
            Self::Xml => self.answer(action, request_id, answer),
        }
    }
}

/// Why a value cannot be an answer. A fault of kiln, never of the client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// It does not serialise at all.
    #[error("the answer cannot be serialised: {0}")]
    Serialize(#[from] serde_json::Error),
    /// It is a list or a scalar.
    #[error("the answer is not a struct")]
    NotAStruct,
    /// It is nested beyond reason.
    #[error("the answer is nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// A list directly in a list has no name for its items.
    #[error("{name} holds a list in a list")]
    ListInList {
        /// The outer list.
        name: String,
    },
    /// The action or a field is not a name in XML.
    #[error("{name:?} is not a name that XML can carry")]
    Name {
        /// What was given.
        name: String,
    },
}

impl From<AnswerError> for ApiError {
    fn from(_: AnswerError) -> Self {
        Self::internal()
    }
}

fn json(request_id: &str, mut fields: Map<String, Value>) -> Result<String, AnswerError> {
    drop_nulls(&mut fields, 0)?;
    with_id(request_id, &serde_json::to_string(&fields)?)
}

/// The text of a JSON object, with a first field `RequestId`.
fn with_id(request_id: &str, object: &str) -> Result<String, AnswerError> {
    let id = serde_json::to_string(request_id)?;
    let rest = object.strip_prefix('{').ok_or(AnswerError::NotAStruct)?;
    let comma = if rest == "}" { "" } else { "," };
    Ok(format!("{{\"RequestId\":{id}{comma}{rest}"))
}

/// Leave out what is null, in lists as well: strictly typed clients have no null.
fn drop_nulls(fields: &mut Map<String, Value>, depth: usize) -> Result<(), AnswerError> {
    fn below(value: &mut Value, depth: usize) -> Result<(), AnswerError> {
        if depth > MAX_DEPTH {
            return Err(AnswerError::TooDeep);
        }
        match value {
            Value::Object(fields) => drop_nulls(fields, depth),
            Value::Array(items) => {
                items.retain(|item| !item.is_null());
                items.iter_mut().try_for_each(|item| below(item, depth + 1))
            }
            _ => Ok(()),
        }
    }
    fields.retain(|_, value| !value.is_null());
    fields.values_mut().try_for_each(|value| below(value, depth + 1))
}

fn xml(action: &str, request_id: &str, fields: &Map<String, Value>) -> Result<String, AnswerError> {
    check_name(action)?;
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><{action}Response><RequestId>{}</RequestId>",
        xml::text(request_id)
    );
    for (name, value) in fields {
        element(name, value, 1, &mut out)?;
    }
    out.push_str(&format!("</{action}Response>"));
    Ok(out)
}

/// One field: nothing where null, one element where it is an object or a scalar, one per item
/// where it is a list.
fn element(name: &str, value: &Value, depth: usize, out: &mut String) -> Result<(), AnswerError> {
    if depth > MAX_DEPTH {
        return Err(AnswerError::TooDeep);
    }
    check_name(name)?;
    let text = match value {
        Value::Null => return Ok(()),
        Value::Array(items) => {
            if items.iter().any(Value::is_array) {
                return Err(AnswerError::ListInList { name: name.to_owned() });
            }
            return items.iter().try_for_each(|item| element(name, item, depth + 1, out));
        }
        Value::Object(fields) => {
            out.push_str(&format!("<{name}>"));
            for (name, value) in fields {
                element(name, value, depth + 1, out)?;
            }
            out.push_str(&format!("</{name}>"));
            return Ok(());
        }
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(value) => xml::text(value),
    };
    out.push_str(&format!("<{name}>{text}</{name}>"));
    Ok(())
}

/// Names come from kiln's types, unless one of them holds a map: then a client chose it.
fn check_name(name: &str) -> Result<(), AnswerError> {
    let sound = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if sound { Ok(()) } else { Err(AnswerError::Name { name: name.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PROLOG: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

    fn sound() -> Value {
        json!({
            "Images": {"Image": [{"ImageId": "m-1", "Size": 40, "Gone": null}, {"Name": "<é>"}]},
            "InstanceIdSets": {"InstanceIdSet": ["i-1", null, "i-2"]},
            "IsPublic": false,
            "RequestId": "of the type, not of the call",
            "Tags": {"Tag": []},
            "Unset": null,
        })
    }

    #[test]
    fn json_has_the_id_first_and_no_nulls() {
        assert_eq!(
            Format::Json.answer("DescribeImages", "R-1", &sound()).unwrap(),
            "{\"RequestId\":\"R-1\",\"Images\":{\"Image\":[{\"ImageId\":\"m-1\",\"Size\":40},\
             {\"Name\":\"<é>\"}]},\"InstanceIdSets\":{\"InstanceIdSet\":[\"i-1\",\"i-2\"]},\
             \"IsPublic\":false,\"Tags\":{\"Tag\":[]}}"
        );
    }

    #[test]
    fn xml_repeats_the_elements_of_a_list() {
        assert_eq!(
            Format::Xml.answer("DescribeImages", "R-1", &sound()).unwrap(),
            format!(
                "{PROLOG}<DescribeImagesResponse><RequestId>R-1</RequestId><Images><Image>\
                 <ImageId>m-1</ImageId><Size>40</Size></Image><Image><Name>&lt;é&gt;</Name></Image>\
                 </Images><InstanceIdSets><InstanceIdSet>i-1</InstanceIdSet><InstanceIdSet>i-2\
                 </InstanceIdSet></InstanceIdSets><IsPublic>false</IsPublic><Tags></Tags>\
                 </DescribeImagesResponse>"
            )
        );
    }

    #[test]
    fn an_answer_without_fields_is_its_id() {
        for empty in [json!({}), json!(null), json!({"RequestId": "x"}), json!({"A": null})] {
            assert_eq!(Format::Json.answer("A", "R", &empty).unwrap(), "{\"RequestId\":\"R\"}");
            let xml = format!("{PROLOG}<AResponse><RequestId>R</RequestId></AResponse>");
            assert_eq!(Format::Xml.answer("A", "R", &empty).unwrap(), xml);
        }
    }

    #[test]
    fn what_no_answer_can_be_is_refused() {
        let mut deep = json!({});
        for _ in 0..=MAX_DEPTH {
            deep = json!({ "A": deep });
        }
        let error =
            |format: Format, value: &Value| format.answer("A", "R", value).unwrap_err().to_string();
        for format in [Format::Json, Format::Xml] {
            assert_eq!(error(format, &json!([1])), "the answer is not a struct");
            assert_eq!(error(format, &deep), "the answer is nested more than 32 deep");
            assert!(format.answer("A", "R", &deep["A"]).is_ok());
        }
        assert_eq!(error(Format::Xml, &json!({"A": [[1]]})), "A holds a list in a list");
        let odd = json!({"a><b": 1});
        assert_eq!(error(Format::Xml, &odd), "\"a><b\" is not a name that XML can carry");
        assert!(matches!(Format::Xml.answer("A b", "R", &()), Err(AnswerError::Name { .. })));
    }

    #[test]
    fn the_format_is_told_by_parameter_then_accept_then_scheme() {
        let json = Some("application/JSON, */*");
        for (parameter, accept, scheme, expected) in [
            (Some("xml"), json, Scheme::V3, Ok(Format::Xml)),
            (Some("JSON"), None, Scheme::V1, Ok(Format::Json)),
            (Some("yaml"), json, Scheme::V3, Err(AuthError::Format)),
            (Some(""), json, Scheme::V3, Err(AuthError::Format)),
            (None, json, Scheme::V1, Ok(Format::Json)),
            (None, Some("*/*"), Scheme::V1, Ok(Format::Xml)),
            (None, Some("*/*"), Scheme::V3, Ok(Format::Json)),
        ] {
            assert_eq!(Format::choose(parameter, accept, scheme), expected, "{parameter:?}");
        }
    }

    #[test]
    fn errors_are_answered_in_the_format_asked_for() {
        let error = ApiError::internal();
        assert_eq!(Format::Json.error(&error, "R", "h"), error.to_json("R", "h"));
        assert_eq!(Format::Xml.error(&error, "R", "h"), error.to_xml("R", "h"));
        assert_eq!(Format::Xml.content_type(), "text/xml;charset=utf-8");
    }
}
