//! A check report, and the four ways it is printed. The JSON form is the contract: see
//! `docs/check-report.md` and its schema.

pub(crate) mod json;
pub(crate) mod junit;
pub(crate) mod sarif;
pub(crate) mod table;

use std::path::Path;
use std::time::Duration;

use kiln_guest::{Item, Level, Status};
use serde::Serialize;

use crate::open::Opened;

/// Names the contract; a change that a reader could trip over gets a new one.
pub(crate) const SCHEMA: &str = "https://kiln.images/schema/check-report/v1";

/// All images of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) schema: &'static str,
    pub(crate) images: Vec<ImageReport>,
}

/// One image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageReport {
    pub(crate) image: String,
    pub(crate) status: ImageStatus,
    pub(crate) error: Option<String>,
    #[serde(skip)]
    pub(crate) hint: Option<String>,
    pub(crate) format: Option<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) os: Option<Os>,
    pub(crate) items: Vec<Item>,
    pub(crate) elapsed_ms: u64,
    pub(crate) bytes_read: u64,
}

/// Whether the image could be checked at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum ImageStatus {
    Finished,
    Failed,
}

/// The operating system that boots.
#[derive(Debug, Serialize)]
pub(crate) struct Os {
    #[serde(rename = "type")]
    pub(crate) family: &'static str,
    pub(crate) platform: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) architecture: Option<String>,
    pub(crate) kernel: Option<String>,
}

impl Report {
    pub(crate) fn new(images: Vec<ImageReport>) -> Self {
        Self { schema: SCHEMA, images }
    }

    /// The worst risk of all items of all images.
    pub(crate) fn worst(&self) -> Option<Level> {
        let items = self.images.iter().flat_map(|image| &image.items);
        items.filter(|item| item.status == Status::Risk).filter_map(|item| item.risk_level).max()
    }
}

impl ImageReport {
    pub(crate) fn finished(
        location: &str,
        opened: &Opened,
        items: Vec<Item>,
        elapsed: Duration,
    ) -> Self {
        let image = opened.images.first();
        let value = |name: &str| {
            let item = items.iter().find(|item| item.name.ends_with(name))?;
            let is_known = item.status != Status::NotApplicable && item.value != "Unknown";
            is_known.then(|| item.value.clone())
        };
        let kernel = value(".KernelVersion").or_else(|| {
            let guest = opened.inspection.guest()?;
            Some(guest.kernels.first()?.version.clone())
        });
        Self {
            image: location.to_owned(),
            status: ImageStatus::Finished,
            error: None,
            hint: None,
            format: image.map(|image| image.format.to_string()),
            notes: opened.images.iter().flat_map(|image| image.notes.clone()).collect(),
            os: Os::of(&opened.inspection, kernel),
            bytes_read: opened.bytes_read(),
            items,
            elapsed_ms: milliseconds(elapsed),
        }
    }

    pub(crate) fn failed(location: &str, error: &kiln_disk::Error, elapsed: Duration) -> Self {
        Self {
            image: location.to_owned(),
            status: ImageStatus::Failed,
            error: Some(chain(location, error)),
            hint: hint(location, error),
            format: None,
            notes: Vec::new(),
            os: None,
            items: Vec::new(),
            elapsed_ms: milliseconds(elapsed),
            bytes_read: 0,
        }
    }
}

impl Os {
    fn of(inspection: &kiln_guest::Inspection, kernel: Option<String>) -> Option<Self> {
        let os = &inspection.guest()?.os;
        let family = match os.family {
            family if family.is_linux() => "linux",
            kiln_guest::Family::Windows => "windows",
            _ => "unknown",
        };
        Some(Self {
            family,
            platform: os.platform.clone(),
            version: os.version.clone(),
            architecture: os.architecture.clone(),
            kernel,
        })
    }
}

/// The error with its causes, and with the image's name where it does not say one itself.
pub(crate) fn chain(location: &str, error: &kiln_disk::Error) -> String {
    let mut text = match error.location() {
        Some(_) => error.to_string(),
        None => format!("{location}: {error}"),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        // An error that only passes its cause on has said it already.
        let what = error.to_string();
        if !text.contains(&what) {
            text += &format!(": {what}");
        }
        cause = error.source();
    }
    text
}

/// What the user can do about an error: what the reader of the image says, else what is plain from
/// the location.
pub(crate) fn hint(location: &str, error: &kiln_disk::Error) -> Option<String> {
    if let Some(hint) = error.hint_text() {
        return Some(hint.to_owned());
    }
    if Path::new(location).is_dir() {
        return Some(format!("name the images in it: {}/*", location.trim_end_matches('/')));
    }
    let is_local = !location.contains("://");
    (is_local && error.kind() == kiln_disk::Kind::NotFound)
        .then(|| "IMAGE is a path, or an http://, https://, s3:// or oss:// URL".to_owned())
}

/// Text out of a hostile image must not move the cursor, change the colour or turn the direction of
/// writing.
pub(crate) fn printable(text: &str) -> String {
    let is_hostile = |c: char| {
        c.is_control()
            || matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_hostile(c) { '\u{FFFD}' } else { c }).collect()
}

/// `1 item`, `2 items`.
pub(crate) fn counted(n: usize, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

fn milliseconds(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use kiln_disk::{Error, Kind};

    use super::chain;

    /// The readers of image formats pass their own error on as both message and cause.
    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let cause = || Error::new(Kind::Corrupt, "l1_size 7 is too much");
        let same = Error::new(Kind::Corrupt, cause().to_string()).caused_by(cause());
        assert_eq!(chain("a.qcow2", &same), "a.qcow2: l1_size 7 is too much");
        let other = Error::new(Kind::Corrupt, "no header").caused_by(cause());
        assert_eq!(chain("a.qcow2", &other), "a.qcow2: no header: l1_size 7 is too much");
    }
}
