//! The report for programs: `docs/check-report.md`.

use std::io::Write;

use anyhow::Result;

use super::Report;

pub(crate) fn write(report: &Report, out: &mut dyn Write) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)?;
    Ok(())
}
