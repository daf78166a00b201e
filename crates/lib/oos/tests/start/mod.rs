//! What tests begin with: an execution of a template under somebody's name, with nothing given.

use std::sync::Arc;

use kiln_oos::run::{Context, Loaded, Mode, SafetyCheck, Start};
use serde_json::Map;

/// The execution `id` of a template without a name.
pub(crate) fn start(id: &str, template: Arc<Loaded>) -> Start {
    let context = Context {
        region: "r".to_owned(),
        account: "1".to_owned(),
        user: "u".to_owned(),
        mode: Mode::Automatic,
        loop_mode: None,
        safety_check: SafetyCheck::Skip,
    };
    Start {
        id: id.to_owned(),
        template,
        template_name: String::new(),
        template_version: String::new(),
        parameters: Map::new(),
        context,
    }
}
