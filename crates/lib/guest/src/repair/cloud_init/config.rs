//! cloud-init's configuration: the data source, and what it would trip over.

use super::super::{Draft, Stop, lines, yaml_text};
use crate::check::cloud_init::{CloudInitState, cloud_init_state};
use crate::syntax::yaml::Yaml;

const DROP_INS: &str = "/etc/cloud/cloud.cfg.d/";
const FILE: &str = "/etc/cloud/cloud.cfg.d/99-kiln-datasource.cfg";
const CONTENT: &str =
    "datasource_list: [ AliYun, None ]\ndatasource: {AliYun: {timeout: 5, max_wait: 60}}\n";
/// Where Debian's package keeps the list that `dpkg-reconfigure` asks for.
const DEBIAN: &str = "/etc/cloud/cloud.cfg.d/90_dpkg.cfg";
const LIST: &str = "datasource_list: [ AliYun, None ]";
/// As many files as may each say the same wrong thing.
const MAX_FILES: usize = 64;

pub(super) fn mend(draft: &mut Draft) -> Result<(), Stop> {
    for broken in state(draft)?.config.broken {
        let path = broken.path.unwrap_or_default();
        if path.starts_with(DROP_INS) {
            draft.disable(
                &path,
                "it is not valid YAML, so cloud-init leaves it out with a warning",
            )?;
        }
    }
    name_the_source(draft)?;
    forget_the_instance(draft)
}

fn state(draft: &Draft) -> Result<CloudInitState, Stop> {
    Ok(cloud_init_state(draft.guest()?)?)
}

fn name_the_source(draft: &mut Draft) -> Result<(), Stop> {
    if state(draft)?.datasource_missing().is_none() {
        return Ok(());
    }
    let reason = "the platform's data source is AliYun";
    draft.rewrite(DEBIAN, reason, |text| {
        match yaml_text::without_key(text, "datasource_list") {
            Some(rest) => lines::append(&rest, LIST),
            None => text.to_owned(),
        }
    })?;
    draft.write(FILE, CONTENT, reason)?;
    // Files that sort after it still win.
    for _ in 0..MAX_FILES {
        let state = state(draft)?;
        if state.datasource_missing().is_none() {
            break;
        }
        let Some(file) = state.config.set_in(&["datasource_list"]) else { break };
        if file == FILE || !yaml_text::drop_key(draft, file, "datasource_list", reason)? {
            break;
        }
    }
    Ok(())
}

/// With `manual_cache_clean` the instance would go by what the source machine was told.
fn forget_the_instance(draft: &mut Draft) -> Result<(), Stop> {
    const KEY: &str = "manual_cache_clean";
    for _ in 0..MAX_FILES {
        let config = state(draft)?.config;
        if config.merged.get(KEY).and_then(Yaml::as_bool) != Some(true) {
            break;
        }
        let Some(file) = config.set_in(&[KEY]) else { break };
        if !yaml_text::drop_key(draft, file, KEY, "it keeps what the source machine was told")? {
            break;
        }
    }
    Ok(())
}
