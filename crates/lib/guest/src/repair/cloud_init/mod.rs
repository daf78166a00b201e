//! `cloudinit`: cloud-init is there, starts, and asks the platform's data source.
//!
//! What is installed is mended by plain edits; what is not there, or is too old, comes out of the
//! bundle. What the source machine left in `/var/lib/cloud` goes, so that the first start is one.

mod config;
mod switches;
#[cfg(test)]
mod tests;

use super::package::install;
use super::{Draft, Repair, Stop};
use crate::check::cloud_init::cloud_init_state;

pub(super) static CLOUD_INIT: Repair = Repair {
    name: "cloudinit",
    items: &["CloudInit"],
    summary: "let cloud-init start and ask the platform's data source; install it from the bundle",
    plan,
};

/// What cloud-init makes anew; `scripts` and `seed` are the owner's.
const STATE: [&str; 4] = ["instance", "instances", "data", "sem"];

fn plan(draft: &mut Draft) -> Result<(), Stop> {
    // One package may bring to light that another one is missing too.
    let mut asked: Vec<String> = Vec::new();
    while let Some((name, why)) = cloud_init_state(draft.guest()?)?.package_needed() {
        if asked.iter().any(|asked| asked == name) {
            break;
        }
        install(draft, &[name], &why)?;
        asked.push(name.to_owned());
    }
    switches::turn_on(draft)?;
    config::mend(draft)?;
    for name in STATE {
        let path = format!("/var/lib/cloud/{name}");
        draft.remove_state(&path, "it is the state of the source machine")?;
    }
    Ok(())
}
