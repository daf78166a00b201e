//! JUnit XML: an image is a suite, an item is a test. A risk is a failure; what could not be decided
//! is an error, because a CI job must not take it for a pass; what does not apply is skipped.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use kiln_guest::{Item, Level, Status};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{ImageReport, Report};

pub(crate) fn write(report: &Report, out: &mut dyn Write) -> Result<()> {
    let mut junit = quick_junit::Report::new("kiln check");
    junit.add_test_suites(report.images.iter().map(suite));
    junit.serialize(&mut *out)?;
    writeln!(out)?;
    Ok(())
}

fn suite(image: &ImageReport) -> TestSuite {
    let mut suite = TestSuite::new(&*image.image);
    suite.set_time(Duration::from_millis(image.elapsed_ms));
    if let Some(error) = &image.error {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(&**error);
        suite.add_test_case(TestCase::new("open", status));
    }
    suite.add_test_cases(image.items.iter().map(case));
    suite
}

fn case(item: &Item) -> TestCase {
    let status = match item.status {
        Status::Pass => TestCaseStatus::success(),
        Status::NotApplicable => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(&*item.message);
            status
        }
        Status::Unknown => non_success(NonSuccessKind::Error, item),
        Status::Risk => non_success(NonSuccessKind::Failure, item),
    };
    TestCase::new(&*item.name, status)
}

fn non_success(kind: NonSuccessKind, item: &Item) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(&*item.message);
    let level = match item.risk_level {
        Some(Level::High) => "high",
        Some(Level::Medium) => "medium",
        None => "unknown",
    };
    status.set_type(format!("{level} {}", item.risk_code.as_deref().unwrap_or_default()));
    let mut lines: Vec<String> = item.evidence.iter().map(super::table::evidence_line).collect();
    lines.extend(item.suggestion.clone());
    status.set_description(lines.join("\n"));
    status
}
