//! The `kiln` command. Standard output is data, standard error is talk.

mod args;
mod boot;
mod check;
mod convert;
mod images;
mod inspect;
mod open;
mod output;
mod repair;
mod report;
mod run;
mod serve;
mod template;

use std::fmt;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, Command};

/// Did what was asked, and found a risk at or above the threshold.
pub(crate) const EXIT_RISK: u8 = 1;
/// Booted an image, which did not come as far as it should.
pub(crate) const EXIT_NOT_REACHED: u8 = 1;
/// Could not do what was asked, as opposed to "did it and found a risk". Clap uses it, too.
pub(crate) const EXIT_FAILED: u8 = 2;

fn main() -> ExitCode {
    // The server runs this program again as the sandbox of foreign images: before anything else.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == kiln_sandbox::CHILD_ARGUMENT)
        && arguments.next().is_none()
    {
        return kiln_sandbox::child_main();
    }
    let outcome = match Args::parse().command {
        Command::Check(args) => check::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Repair(args) => repair::run(&args),
        Command::Boot(args) => boot::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Gc(args) => serve::collect(&args),
        Command::Images(args) => images::run(&args),
        Command::Template(args) => template::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Executions(args) => run::executions(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "kiln", &mut script);
            output::exact(&script).map(|()| ExitCode::SUCCESS)
        }
        Command::Man { out } => args::man_pages(&out).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        let hint = error.downcast_ref::<Hinted>().map(|hinted| hinted.hint.as_str());
        output::error(&format!("{error:#}"), hint);
        ExitCode::from(EXIT_FAILED)
    })
}

/// An error of the command line with what to do about it.
#[derive(Debug)]
pub(crate) struct Hinted {
    message: String,
    hint: String,
}

impl Hinted {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Hinted {}

/// The error with its causes and its hint, as the command tells errors.
pub(crate) fn hinted(error: kiln_factory::Error) -> anyhow::Error {
    let hint = error.hint().map(str::to_owned);
    let message = format!("{:#}", anyhow::Error::from(error));
    match hint {
        Some(hint) => Hinted::new(message, hint).into(),
        None => anyhow::Error::msg(message),
    }
}
