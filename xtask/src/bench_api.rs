//! `cargo xtask bench api`: DescribeImages over many images, asked by a public load generator.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::host::{run, workspace};
use crate::server::{MAIN_ACCOUNT, REGIONS, Server};
use crate::suite::{cargo, kiln};
use crate::{python, setup};

/// Images in the database.
const N_IMAGES: usize = 100_000;

/// How long each question is asked.
const SECONDS: u64 = 10;

/// Enough signed requests for this rate, per second.
const HIGHEST_RATE: u64 = 16_000;

/// Threads and connections of the generator, on the server's own machine.
const THREADS: u64 = 2;
const CONNECTIONS: u64 = 16;

/// What is asked: a name for the table, and the parameters.
const QUESTIONS: &[(&str, &str)] = &[
    ("page of 50", r#"{"PageSize": 50}"#),
    ("the last page", r#"{"PageSize": 50, "PageNumber": 2000}"#),
    ("by name", r#"{"PageSize": 50, "ImageName": "image-04711"}"#),
    ("by tag", r#"{"PageSize": 50, "Tag.1.Key": "team", "Tag.1.Value": "team-7"}"#),
    ("by family", r#"{"PageSize": 50, "ImageFamily": "family-42"}"#),
    ("by id", r#"{"PageSize": 50, "ImageId": "m-00000000000000004711"}"#),
];

/// Print a table of requests a second and latencies.
///
/// # Errors
///
/// Where an answer is an error, or something cannot be run.
pub(crate) fn bench() -> Result<()> {
    setup::ensure(&[setup::LOAD])?;
    let folder = tempfile::Builder::new().prefix("kiln-bench-").tempdir()?;
    let mut server = Server::prepare(&kiln("release")?, folder.path(), None)?;
    eprintln!("making {N_IMAGES} images");
    let mut fill = cargo();
    fill.args(["run", "--release", "--locked", "--quiet", "-p", "kiln-store", "--example", "fill"]);
    fill.args(["--", server.database(), REGIONS[0], MAIN_ACCOUNT, &N_IMAGES.to_string()]);
    run(&mut fill)?;
    server.start()?;
    eprintln!("{:16} {:>10} {:>9} {:>9}", "DescribeImages", "requests/s", "p50", "p99");
    for (name, parameters) in QUESTIONS {
        let told = ask(&server, folder.path(), parameters).with_context(|| (*name).to_owned())?;
        let number = |field: &str| told[field].as_f64().unwrap_or_default();
        ensure!(told["errors"] == 0, "{name}: {told}");
        eprintln!(
            "{name:16} {:10.0} {:6.1} ms {:6.1} ms",
            number("requests") / number("seconds"),
            number("p50_ms"),
            number("p99_ms")
        );
    }
    server.stop()
}

/// Ask one question for a while; what the generator tells.
fn ask(server: &Server, folder: &Path, parameters: &str) -> Result<Value> {
    let paths = folder.join("paths");
    let count = (SECONDS * HIGHEST_RATE).to_string();
    let tests = workspace().join("tests").join("bench");
    let mut sign = python::script(&python::environment()?, &tests.join("urls.py"));
    sign.arg(server.site()).args(["main", "DescribeImages", parameters, &count]);
    run(sign.arg(THREADS.to_string()).arg(&paths))?;
    let mut load = Command::new("wrk");
    load.arg("-t").arg(THREADS.to_string()).arg("-c").arg(CONNECTIONS.to_string());
    load.arg("-d").arg(format!("{SECONDS}s")).arg("-s").arg(tests.join("load.lua"));
    load.arg(format!("http://{}", server.endpoint())).arg("--").arg(&paths);
    let output = load.stderr(Stdio::inherit()).output().context("running wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with('{'));
    serde_json::from_str(line.with_context(|| format!("wrk says: {text}"))?).context("wrk's line")
}
