//! The check items: what each of them found, how bad it is, and what to do.
//!
//! One file an item. An item reads facts from the [`Inspection`] and judges them; "could not look"
//! is an `Err` and becomes [`Status::Unknown`], "is wrong" is a [`Finding`]. The two are never mixed:
//! an unreadable file is not a broken guest.

pub(crate) mod agent;
mod architecture;
mod boot_mode;
pub(crate) mod cloud_assistant;
pub(crate) mod cloud_init;
pub(crate) mod dhcp;
#[cfg(test)]
mod disk_tests;
pub(crate) mod driver;
#[cfg(test)]
mod driver_tests;
pub(crate) mod fstab;
pub(crate) mod grub;
mod kernel_version;
mod legacy;
pub(crate) mod nvme;
pub(crate) mod online_resize_fs;
mod os_version;
mod platform;
pub(crate) mod rtc_time_mode;
mod run;
pub(crate) mod security_center_agent;
pub(crate) mod selinux;
#[cfg(test)]
mod sound;
mod support_moc;
mod system_image;
mod virtio;

use serde::Serialize;

use crate::{Guest, Inspection, Result};

pub use nvme::nvme_drivers;
pub(crate) use run::nearest;
pub use run::{Summary, find, run, select, suggest};
pub use virtio::virtio_drivers;

/// The items of the vendor's check, in its order.
pub static CHECKS: &[&Check] = &[
    &platform::PLATFORM,
    &os_version::OS_VERSION,
    &architecture::ARCHITECTURE,
    &rtc_time_mode::RTC_TIME_MODE,
    &boot_mode::BOOT_MODE,
    &kernel_version::KERNEL_VERSION,
    &virtio::VIRTIO,
    &nvme::NVME,
    &fstab::FSTAB,
    &grub::GRUB,
    &dhcp::DHCP,
    &selinux::SELINUX,
    &online_resize_fs::ONLINE_RESIZE_FS,
    &system_image::SYSTEM_IMAGE,
    &cloud_assistant::CLOUD_ASSISTANT,
    &cloud_init::CLOUD_INIT,
    &security_center_agent::SECURITY_CENTER_AGENT,
    &support_moc::SUPPORT_MOC,
];

/// Items that run only when they are asked for by name.
pub static EXTRA_CHECKS: &[&Check] = &[&legacy::LEGACY];

/// A check item.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// The bare name of the item, for example `Fstab`.
    pub name: &'static str,
    /// One line for `--help` and SARIF: what it makes sure of.
    pub summary: &'static str,
    /// Judge. `Err` is "could not look".
    pub run: fn(&Inspection) -> Result<Outcome>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Level {
    /// Start-up speed or configuration suffers.
    Medium,
    /// The instance may not start, or may not be reachable.
    High,
}

/// What an item came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Looked, and found nothing wrong.
    Pass,
    /// Something is wrong.
    Risk,
    /// Could not be decided. Never the same as `Pass`.
    Unknown,
    /// The item says nothing about such an image.
    NotApplicable,
}

/// Where something was seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Evidence {
    /// The guest path, or the volume (`disk0p1`), it was seen in.
    pub path: Option<String>,
    /// The line, counted from 1.
    pub line: Option<u32>,
    /// What was seen.
    pub text: String,
}

impl Evidence {
    /// Seen nowhere in particular.
    pub fn note(text: impl Into<String>) -> Self {
        Self { path: None, line: None, text: text.into() }
    }

    /// Seen in a file or a volume.
    pub fn file(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: Some(path.into()), line: None, text: text.into() }
    }

    /// Seen in a line of a file, counted from 1.
    pub fn line(path: impl Into<String>, line: u32, text: impl Into<String>) -> Self {
        Self { path: Some(path.into()), line: Some(line), text: text.into() }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `<Subject>.<Condition>`.
    pub code: &'static str,
    /// How bad.
    pub level: Level,
    /// One sentence with the facts.
    pub message: String,
    /// Where it was seen.
    pub evidence: Vec<Evidence>,
    /// What to do.
    pub suggestion: Option<String>,
}

impl Finding {
    /// A finding that stops the instance.
    pub fn high(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Level::High, message)
    }

    /// A finding that costs time or comfort.
    pub fn medium(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Level::Medium, message)
    }

    /// A finding of `level`.
    pub fn new(code: &'static str, level: Level, message: impl Into<String>) -> Self {
        Self { code, level, message: message.into(), evidence: Vec::new(), suggestion: None }
    }

    /// Add where it was seen.
    #[must_use]
    pub fn seen(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }

    /// Say what to do.
    #[must_use]
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

/// What an item found: a value, what is wrong, what is worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The item's value in its vocabulary (`Supported`, `Invalid`, `UEFI`).
    pub value: String,
    /// What is wrong. Empty: nothing.
    pub findings: Vec<Finding>,
    /// What is worth knowing and not wrong.
    pub evidence: Vec<Evidence>,
    /// Why it could not be decided, with a code where there is one. Wins over "nothing found", not
    /// over a finding.
    pub unknown: Option<(Option<&'static str>, String)>,
    /// Why the item says nothing about this image.
    pub not_applicable: Option<String>,
}

impl Outcome {
    /// A value with nothing wrong, yet.
    pub fn value(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            findings: Vec::new(),
            evidence: Vec::new(),
            unknown: None,
            not_applicable: None,
        }
    }

    /// `good` where `findings` is empty, else `bad`.
    pub fn judged(findings: Vec<Finding>, good: &str, bad: &str) -> Self {
        let value = if findings.is_empty() { good } else { bad };
        Self { findings, ..Self::value(value) }
    }

    /// Could not be decided.
    pub fn unknown(code: Option<&'static str>, why: impl Into<String>) -> Self {
        Self { unknown: Some((code, why.into())), ..Self::value("Unknown") }
    }

    /// The item says nothing about such an image.
    pub fn not_applicable(why: impl Into<String>) -> Self {
        Self { not_applicable: Some(why.into()), ..Self::value("") }
    }

    /// Add what is worth knowing.
    #[must_use]
    pub fn noting(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    /// The worst finding; of equals, the first.
    pub fn worst(&self) -> Option<&Finding> {
        self.findings.iter().rev().max_by_key(|finding| finding.level)
    }

    /// What it comes to.
    pub fn status(&self) -> Status {
        if self.not_applicable.is_some() {
            Status::NotApplicable
        } else if !self.findings.is_empty() {
            Status::Risk
        } else if self.unknown.is_some() {
            Status::Unknown
        } else {
            Status::Pass
        }
    }
}

/// An item's result, as reports carry it. The field names are the contract of `docs/check-report.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// `GUESTOS.<Name>`.
    pub name: String,
    /// In the item's vocabulary; empty where not applicable.
    pub value: String,
    /// What it comes to.
    pub status: Status,
    /// Of the worst finding.
    pub risk_level: Option<Level>,
    /// Of the worst finding, or of what could not be decided.
    pub risk_code: Option<String>,
    /// One sentence for people.
    pub message: String,
    /// Everything seen: of all findings, the worst first, then what is worth knowing.
    pub evidence: Vec<Evidence>,
    /// What to do.
    pub suggestion: Option<String>,
}

/// The system that boots, or what an item about it says where there is none to look into.
pub(crate) fn system(inspection: &Inspection) -> std::result::Result<&Guest, Box<Outcome>> {
    if let Some(outcome) = windows(inspection) {
        return Err(Box::new(outcome));
    }
    inspection.guest().ok_or_else(|| Box::new(Outcome::not_applicable("no operating system found")))
}

/// What an item says of a Windows disk, which this version does not look into.
pub(crate) fn windows(inspection: &Inspection) -> Option<Outcome> {
    let evidence = inspection.windows.as_ref()?;
    let outcome = Outcome::not_applicable("Windows image: its items are not in this version");
    Some(outcome.noting([Evidence::note(evidence.clone())]))
}
