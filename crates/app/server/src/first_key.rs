//! The first account: made where none is configured, its key shown once.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Deserialize;
use uuid::Uuid;

use crate::config::{Account, CREDENTIALS_FILE, Config, ConfigError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    account: Vec<Account>,
}

/// Give a configuration without accounts the one that is in the state folder, and make that on the
/// first run: the text to show then, and never again.
///
/// # Errors
///
/// Where the file cannot be read or written.
pub(crate) fn ensure(config: &mut Config) -> Result<Option<String>, ConfigError> {
    if !config.account.is_empty() {
        return Ok(None);
    }
    let path = config.state.join(CREDENTIALS_FILE);
    let failed = |source| ConfigError::Read { path: path.clone(), source };
    let mut shown = None;
    if !path.try_exists().map_err(failed)? {
        let key = NewKey::random();
        write(&path, &key.file()).map_err(failed)?;
        shown = Some(key.shown(&path));
    }
    let text = fs::read_to_string(&path).map_err(failed)?;
    let read: Credentials =
        toml::from_str(&text).map_err(|error| ConfigError::syntax(&error, &text, &path))?;
    config.account = read.account;
    Ok(shown)
}

/// Written beside and renamed, so that a file that is there is whole.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

struct NewKey {
    account: String,
    id: String,
    secret: String,
}

impl NewKey {
    fn random() -> Self {
        // 16 digits, as accounts of the cloud have; the first is never 0.
        let number = Uuid::new_v4().as_u128() % 9_000_000_000_000_000 + 1_000_000_000_000_000;
        let id = format!("KILN{}", &Uuid::new_v4().simple().to_string()[..20]);
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self { account: number.to_string(), id, secret }
    }

    fn file(&self) -> String {
        format!(
            "# Made by the first `kiln serve`, for a configuration without accounts.\n\
             [[account]]\nid = \"{}\"\n\n[[account.key]]\nid = \"{}\"\nsecret = \"{}\"\n",
            self.account, self.id, self.secret
        )
    }

    fn shown(&self, path: &Path) -> String {
        format!(
            "account            {}\naccess key id      {}\naccess key secret  {}\n\n\
             This is shown once. It is kept in {}.\n",
            self.account,
            self.id,
            self.secret,
            path.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_first_key_is_shown_once_and_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let fresh = || Config { state: folder.path().to_owned(), ..Config::default() };
        let mut config = fresh();
        let shown = ensure(&mut config).unwrap().unwrap();
        let path = folder.path().join(CREDENTIALS_FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let state = config.accounts().unwrap();
        let (id, key) = state.keys.iter().next().unwrap();
        assert!(shown.contains(id) && shown.contains(&key.secret));
        assert_eq!(key.caller.account.len(), 16);
        let mut again = fresh();
        assert_eq!(ensure(&mut again).unwrap(), None);
        assert_eq!(again.accounts().unwrap().keys[id].secret, key.secret);
    }
}
