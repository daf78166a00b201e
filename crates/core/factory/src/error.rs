//! Why a use case did not do what it was asked for.

use std::io;

use kiln_guest::repair::{Plan, Refusal};

/// What a use case gives, or why it could not.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a use case did not do what it was asked for. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The image, or what it is made of, cannot be read.
    #[error(transparent)]
    Image(#[from] kiln_disk::Error),
    /// A machine could not be used.
    #[error(transparent)]
    Machine(#[from] kiln_compute::Error),
    /// The helper machine could not do its work.
    #[error(transparent)]
    Helper(#[from] kiln_compute::helper::HelperError),
    /// The bundle directory holds what is no bundle's.
    #[error("the bundle cannot be used")]
    Bundle(#[from] kiln_guest::repair::BundleError),
    /// A file of the host.
    #[error("{what}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The request makes no sense, or is one that kiln does not serve.
    #[error("{what}")]
    Request {
        /// What is wrong with it.
        what: String,
        /// What to ask for instead.
        hint: String,
    },
    /// Nothing on this image can be repaired.
    #[error("{}: {}", .0.code, .0.reason)]
    Refused(Refusal),
    /// Some of the repairs are refused, and the caller wants all or nothing.
    #[error("{} of {} repairs are refused: {}", .0.refusals().count(), .0.steps.len(), told(.0))]
    RefusedInPart(Box<Plan>),
    /// The edits were made, and the disk is not what the plan promised.
    #[error("the repaired disk is not what was planned: {0}")]
    NotAsPlanned(String),
    /// The repaired disk was started, and did not reach what it should.
    #[error("the repaired image does not start: {0}")]
    DoesNotBoot(String),
}

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Image(error) => error.hint_text(),
            Self::Machine(error) => error.hint(),
            Self::Helper(error) => error.hint(),
            Self::Request { hint, .. } => Some(hint),
            Self::Refused(refusal) => refusal.hint.as_deref(),
            Self::RefusedInPart(_) => {
                Some("--best-effort makes the other repairs; --items names the wanted ones")
            }
            Self::NotAsPlanned(_) => {
                Some("this is a defect of kiln: please report it with the output of `--plan`")
            }
            Self::DoesNotBoot(_) => Some("the console log says how far it came"),
            Self::Io { .. } | Self::Bundle(_) => None,
        }
    }

    /// An operation on a file of the host that failed.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

fn told(plan: &Plan) -> String {
    let tell = |(repair, refusal): (&str, &Refusal)| {
        format!("{repair} by {} ({})", refusal.code, refusal.reason)
    };
    plan.refusals().map(tell).collect::<Vec<_>>().join("; ")
}
