//! `@base64` and its like: how a value becomes text.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::meter::{Meter, R, Stop};
use super::value::Val;

/// Padding may be missing, as in jq.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A format of a string.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Format {
    Text,
    Json,
    Csv,
    Tsv,
    Html,
    Uri,
    Sh,
    Base64,
    Base64Decode,
}

impl Format {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "@text" => Self::Text,
            "@json" => Self::Json,
            "@csv" => Self::Csv,
            "@tsv" => Self::Tsv,
            "@html" => Self::Html,
            "@uri" => Self::Uri,
            "@sh" => Self::Sh,
            "@base64" => Self::Base64,
            "@base64d" => Self::Base64Decode,
            _ => return None,
        })
    }

    /// Append a value to `out`. The longest of the formats makes six bytes of one.
    pub(super) fn write(self, meter: &mut Meter, val: &Val, out: &mut String) -> R<()> {
        let before = out.len();
        match self {
            Self::Json => val.write(meter, out)?,
            Self::Csv => rows(meter, val, "csv", ",", out, csv)?,
            Self::Tsv => rows(meter, val, "tsv", "\t", out, tsv)?,
            Self::Sh => match val {
                Val::Arr(_) => rows(meter, val, "sh", " ", out, shell)?,
                val => shell(meter, val, out)?,
            },
            _ => {
                let text = text(meter, val)?;
                meter.tick(text.len() as u64 / 16)?;
                match self {
                    Self::Html => {
                        out.extend(text.chars().map(Escaped::html).flat_map(Escaped::chars))
                    }
                    Self::Uri => uri(&text, out),
                    Self::Base64 => BASE64.encode_string(&text, out),
                    Self::Base64Decode => decode(meter, &text, out)?,
                    _ => out.push_str(&text),
                }
            }
        }
        meter.alloc(out.len() - before)
    }
}

/// A string as it is, anything else as JSON.
pub(super) fn text(meter: &mut Meter, val: &Val) -> R<String> {
    if let Val::Str(text) = val {
        meter.alloc(text.len())?;
        return Ok(text.to_string());
    }
    let mut text = String::new();
    val.write(meter, &mut text)?;
    Ok(text)
}

/// One character, or what stands for it.
enum Escaped {
    Plain(char),
    As(&'static str),
}

impl Escaped {
    fn html(c: char) -> Self {
        match c {
            '<' => Self::As("&lt;"),
            '>' => Self::As("&gt;"),
            '&' => Self::As("&amp;"),
            '\'' => Self::As("&#39;"),
            '"' => Self::As("&quot;"),
            c => Self::Plain(c),
        }
    }

    fn chars(self) -> impl Iterator<Item = char> {
        let (plain, text) = match self {
            Self::Plain(c) => (Some(c), ""),
            Self::As(text) => (None, text),
        };
        plain.into_iter().chain(text.chars())
    }
}

fn uri(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

fn decode(meter: &mut Meter, text: &str, out: &mut String) -> R<()> {
    match BASE64.decode(text.trim_end_matches('=')) {
        Ok(bytes) => {
            out.push_str(&String::from_utf8_lossy(&bytes));
            Ok(())
        }
        Err(_) => {
            let what = Val::text(text).described(meter)?;
            Err(Stop::error(format!("{what} is not valid base64 data")))
        }
    }
}

type Cell = fn(&mut Meter, &Val, &mut String) -> R<()>;

fn rows(
    meter: &mut Meter,
    val: &Val,
    name: &str,
    gap: &str,
    out: &mut String,
    cell: Cell,
) -> R<()> {
    let Val::Arr(list) = val else {
        let what = val.described(meter)?;
        return Err(Stop::error(format!(
            "{what} cannot be {name}-formatted, only an array can be"
        )));
    };
    for (i, item) in list.items.iter().enumerate() {
        if i > 0 {
            out.push_str(gap);
        }
        cell(meter, item, out)?;
    }
    Ok(())
}

fn no_cell(meter: &mut Meter, val: &Val, place: &str) -> R<()> {
    let what = val.described(meter)?;
    Err(Stop::error(format!("{what} {place}")))
}

fn csv(meter: &mut Meter, val: &Val, out: &mut String) -> R<()> {
    match val {
        Val::Null => Ok(()),
        Val::Str(text) => {
            meter.alloc(text.len())?;
            out.push('"');
            out.push_str(&text.replace('"', "\"\""));
            out.push('"');
            Ok(())
        }
        Val::Arr(_) | Val::Obj(_) => no_cell(meter, val, "is not valid in a csv row"),
        val => val.write(meter, out),
    }
}

fn tsv(meter: &mut Meter, val: &Val, out: &mut String) -> R<()> {
    match val {
        Val::Null => Ok(()),
        Val::Str(text) => {
            meter.alloc(text.len())?;
            for c in text.chars() {
                match c {
                    '\\' => out.push_str("\\\\"),
                    '\t' => out.push_str("\\t"),
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    c => out.push(c),
                }
            }
            Ok(())
        }
        Val::Arr(_) | Val::Obj(_) => no_cell(meter, val, "is not valid in a tsv row"),
        val => val.write(meter, out),
    }
}

fn shell(meter: &mut Meter, val: &Val, out: &mut String) -> R<()> {
    match val {
        Val::Str(text) => {
            meter.alloc(text.len())?;
            out.push('\'');
            out.push_str(&text.replace('\'', "'\\''"));
            out.push('\'');
            Ok(())
        }
        Val::Arr(_) | Val::Obj(_) => no_cell(meter, val, "can not be escaped for shell"),
        val => val.write(meter, out),
    }
}
