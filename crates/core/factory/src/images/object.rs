//! The bytes behind a location of a store: a file of this machine, or an object behind an API, whose
//! requests wait for their answers. So both are opened on threads that may block.

use kiln_disk::Source;
use kiln_sandbox::Input;

use super::fault::{Fault, Stop};

/// Open a location to be read in this process.
pub(super) fn source(location: &str) -> Result<Source, Stop> {
    kiln_disk::source(location).map_err(|error| unreadable(&error.to_string()))
}

/// Open a location for the sandbox: a file is handed to the child, which reads it at its full speed.
pub(super) fn input(location: &str) -> Result<Input, Stop> {
    if location.contains("://") {
        return source(location).map(Input::Source);
    }
    let file = std::fs::File::open(location);
    file.map(Input::File).map_err(|error| unreadable(&format!("{location}: {error}")))
}

/// What cannot be opened now may be there again in a while.
fn unreadable(told: &str) -> Stop {
    Fault::passing("InvalidOSSObject.Unreadable", told).into()
}
