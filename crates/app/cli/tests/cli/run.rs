//! Running the binary and telling what it did as text.

use std::path::Path;
use std::process::{Command, Output};

/// `kiln` in `folder`, with no setting of the caller's that changes what it prints.
pub(crate) fn kiln(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command.current_dir(folder);
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "COLUMNS"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm");
    command
}

/// Run `kiln` with the words of `line` as arguments.
pub(crate) fn run(folder: &Path, line: &str) -> Output {
    kiln(folder).args(line.split_whitespace()).output().unwrap()
}

/// Standard output; the streams are UTF-8 whatever an image holds.
pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

/// Standard error.
pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// Status and both streams, for a snapshot.
pub(crate) fn transcript(output: &Output) -> String {
    let status = output.status.code().unwrap();
    format!(
        "status: {status}\n----- stdout -----\n{}----- stderr -----\n{}",
        stdout(output),
        stderr(output)
    )
}

/// What varies between runs and machines, by name.
pub(crate) fn filters() -> Vec<(&'static str, &'static str)> {
    let elapsed = (r"\d+ ms", "[ELAPSED]");
    let bytes_read = (r"\d+(\.\d+)? ([KMG]i)?B read", "[BYTES] read");
    let bytes_used = (r"\d+(\.\d+)? ([KMG]i)?B used", "[BYTES] used");
    let port = (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]");
    let os_error = (r" \(os error \d+\)", "");
    // How many items there are, and which, is not what most snapshots are about.
    let n_items = (r"\d+ items in", "[N] items in");
    let n_more = (r"\d+ more items", "[N] more items");
    vec![elapsed, bytes_read, bytes_used, port, os_error, n_items, n_more]
}

/// Compare the transcript of a run with an inline snapshot, through the filters.
macro_rules! kiln_snapshot {
    ($folder:expr, $line:expr, @$snapshot:literal) => {{
        let output = crate::run::run($folder, $line);
        insta::with_settings!({filters => crate::run::filters()}, {
            insta::assert_snapshot!(crate::run::transcript(&output), @$snapshot);
        });
    }};
}
pub(crate) use kiln_snapshot;
