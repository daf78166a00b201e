//! What no compiler checks: the arrows between the layers, and that the changelog keeps up.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::host::workspace;

/// Which of kiln's crates each crate may use. Tests and tools may use all; fixtures use what they
/// build for.
const ARROWS: &[(&str, &[&str])] = &[
    ("kiln-disk", &[]),
    ("kiln-volume", &["kiln-disk"]),
    ("kiln-guest", &["kiln-disk", "kiln-volume"]),
    ("kiln-rpc", &[]),
    ("kiln-ecs", &[]),
    ("kiln-oss", &[]),
    ("kiln-oos", &[]),
    ("kiln-sim", &[]),
    ("kiln-model", &[]),
    ("kiln-sandbox", &["kiln-disk", "kiln-volume", "kiln-guest", "kiln-rpc"]),
    ("kiln-compute", &["kiln-disk", "kiln-guest", "kiln-rpc"]),
    ("kiln-store", &["kiln-disk", "kiln-model"]),
    (
        "kiln-factory",
        &[
            "kiln-disk",
            "kiln-volume",
            "kiln-guest",
            "kiln-compute",
            "kiln-model",
            "kiln-store",
            "kiln-sandbox",
            "kiln-oos",
            "kiln-sim",
            "kiln-ecs",
        ],
    ),
    (
        "kiln-server",
        &["kiln-ecs", "kiln-oss", "kiln-oos", "kiln-model", "kiln-store", "kiln-factory"],
    ),
    ("kiln-agent", &["kiln-rpc"]),
    (
        "kiln-cli",
        &[
            "kiln-disk",
            "kiln-volume",
            "kiln-guest",
            "kiln-compute",
            "kiln-ecs",
            "kiln-oss",
            "kiln-oos",
            "kiln-sim",
            "kiln-sandbox",
            "kiln-store",
            "kiln-factory",
            "kiln-server",
        ],
    ),
    ("kiln-fixtures", &["kiln-disk", "kiln-volume"]),
];

/// Compare `cargo metadata` with the arrows, and look at the changelog.
///
/// # Errors
///
/// The first thing that is untidy.
pub(crate) fn run() -> Result<()> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .current_dir(workspace())
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    for package in metadata["packages"].as_array().context("no packages")? {
        let name = package["name"].as_str().unwrap_or_default();
        if name == "xtask" {
            continue;
        }
        let allowed =
            arrows.get(name).with_context(|| format!("{name} is not in the table of layers"))?;
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().unwrap_or_default();
            let is_test_only = dependency["kind"] == "dev";
            let is_ours = arrows.contains_key(used);
            ensure!(
                !is_ours || is_test_only || allowed.contains(&used),
                "{name} must not use {used}"
            );
        }
    }
    let changelog = fs::read_to_string(workspace().join("CHANGELOG.md")).context("CHANGELOG.md")?;
    ensure!(changelog.contains("## Unreleased"), "CHANGELOG.md has no `## Unreleased`");
    Ok(())
}
