//! The `kiln` command. Standard output is data, standard error is talk.

mod args;
mod check;
mod inspect;
mod open;
mod report;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, Command};

/// Could not do what was asked, as opposed to "did it and found a risk".
pub(crate) const EXIT_FAILED: u8 = 2;

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Check(args) => check::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "kiln", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { out } => args::man_pages(&out).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        anstream::eprintln!("{}: {error:#}", args::style_error("error"));
        ExitCode::from(EXIT_FAILED)
    })
}
