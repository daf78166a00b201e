//! SARIF 2.1.0 for code-scanning viewers: a rule is an item, a result is an item at risk or
//! undecided, a location is a guest path inside the image.

use std::io::Write;

use anyhow::Result;
use kiln_guest::{CHECKS, EXTRA_CHECKS, Evidence, Item, Level, Status};
use serde_json::{Value, json};

use super::Report;

pub(crate) fn write(report: &Report, out: &mut dyn Write) -> Result<()> {
    let rules: Vec<Value> = CHECKS
        .iter()
        .chain(EXTRA_CHECKS)
        .map(|check| {
            json!({
                "id": format!("GUESTOS.{}", check.name),
                "name": check.name,
                "shortDescription": { "text": check.summary },
            })
        })
        .collect();
    let failed = |image: &super::ImageReport| image.error.clone();
    let notifications: Vec<Value> = report
        .images
        .iter()
        .filter_map(failed)
        .map(|error| json!({ "level": "error", "message": { "text": error } }))
        .collect();
    let results: Vec<Value> = report
        .images
        .iter()
        .flat_map(|image| image.items.iter().map(move |item| (image, item)))
        .filter(|(_, item)| matches!(item.status, Status::Risk | Status::Unknown))
        .map(|(image, item)| result(&image.image, item))
        .collect();
    let sarif = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "kiln",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "invocations": [{
                "executionSuccessful": notifications.is_empty(),
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &sarif)?;
    writeln!(out)?;
    Ok(())
}

fn result(image: &str, item: &Item) -> Value {
    let level = match (item.status, item.risk_level) {
        (Status::Risk, Some(Level::High)) => "error",
        (Status::Risk, _) => "warning",
        _ => "note",
    };
    let mut text = item.message.clone();
    if let Some(suggestion) = &item.suggestion {
        text += &format!("\n{suggestion}");
    }
    // Viewers show a result at its first location and take several for "mend all of these"; what
    // else was seen is related.
    let mut seen: Vec<Value> =
        item.evidence.iter().filter_map(|evidence| location(image, evidence)).collect();
    if seen.is_empty() {
        seen.push(json!({ "physicalLocation": { "artifactLocation": { "uri": uri(image) } } }));
    }
    let related = seen.split_off(1);
    json!({
        "ruleId": item.name,
        "level": level,
        "message": { "text": text },
        "locations": seen,
        "relatedLocations": related,
        "properties": { "image": image, "riskCode": item.risk_code, "value": item.value },
    })
}

/// The guest's path below the image's name: viewers show it as a file in a folder.
fn location(image: &str, evidence: &Evidence) -> Option<Value> {
    let path = evidence.path.as_ref()?;
    let uri = uri(&format!("{}/{}", image.trim_end_matches('/'), path.trim_start_matches('/')));
    let mut physical = json!({ "artifactLocation": { "uri": uri } });
    if let Some(line) = evidence.line {
        physical["region"] = json!({ "startLine": line });
    }
    Some(json!({ "physicalLocation": physical, "message": { "text": evidence.text } }))
}

/// A URI reference for an image and a path in it: percent-encoded, but for a URL, which is one
/// already.
fn uri(path: &str) -> String {
    let (scheme, path) = match path.find("://") {
        Some(end) => path.split_at(end + 3),
        None => ("", path),
    };
    let mut uri = scheme.to_owned();
    for &byte in path.as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => uri.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' | b'/' | b'@' | b'+' | b'=' | b',' => {
                uri.push(char::from(byte));
            }
            // A colon in the first segment of a relative path would read as a scheme.
            b':' if !scheme.is_empty() => uri.push(':'),
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_become_uri_references() {
        assert_eq!(uri("disk one.raw/etc/fstab"), "disk%20one.raw/etc/fstab");
        assert_eq!(uri("/images/a:b?.raw"), "/images/a%3Ab%3F.raw");
        assert_eq!(uri("http://[::1]:80/d.raw/etc"), "http://%5B::1%5D:80/d.raw/etc");
        assert_eq!(uri("http://host:80/d.raw/etc"), "http://host:80/d.raw/etc");
    }
}
