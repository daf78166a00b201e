//! Templates by name: those that kiln ships, and a user's folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_oos::library::{self, Category};
use kiln_oos::parameters::localized;
use kiln_oos::run::{Found, Loaded};
use kiln_oos::template::{Catalogue, Signature};

use super::caller::{Later, Library};

/// Folders inside of folders that are looked into.
const MAX_DEPTH: u32 = 8;

/// Templates that a folder may hold.
const MAX_FILES: usize = 10_000;

/// The largest file that is a template.
const MAX_BYTES: u64 = 64 << 10;

/// Why a folder of templates cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShelfError {
    /// The folder, or a file in it, cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// There are more files than kiln reads.
    #[error("{} holds more than {MAX_FILES} templates", .0.display())]
    TooMany(PathBuf),
}

/// A template of the shelf.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its name: `ACS::ECS::RunCommand`, `ACS-ECS-RepairImage`.
    pub name: String,
    /// What it says.
    pub loaded: Arc<Loaded>,
    /// Whether it is a cloud product action.
    pub is_action: bool,
}

/// Templates by name, in any letter case. What comes from a folder hides what kiln ships.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    kept: BTreeMap<String, Kept>,
    unread: Vec<(PathBuf, String)>,
}

impl Shelf {
    /// What kiln ships.
    #[must_use]
    pub fn shipped() -> Self {
        let mut shelf = Self::default();
        for own in library::SHIPPED {
            // What is shipped is read by the tests of the library.
            if let Ok(loaded) = Loaded::new(own.text) {
                shelf.put(own.name, own.category == Category::Action, loaded);
            }
        }
        shelf
    }

    /// Add all templates below `folder`: `.yml`, `.yaml` and `.json`, named by their files. Files
    /// that are no templates are left out, and listed by [`Shelf::unread`].
    ///
    /// # Errors
    ///
    /// Where the folder cannot be read, or holds too many files.
    pub fn add(&mut self, folder: &Path) -> Result<usize, ShelfError> {
        let mut files = Vec::new();
        gather(folder, MAX_DEPTH, &mut files)?;
        // Of twins in several formats the last one counts: YAML.
        files
            .sort_by_key(|path| (path.with_extension(""), path.extension().map(ToOwned::to_owned)));
        let mut n_added = 0;
        for path in files {
            let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            let text = fs::read_to_string(&path)
                .map_err(|source| ShelfError::Read { path: path.clone(), source })?;
            match Loaded::new(&text) {
                Ok(loaded) => {
                    let (name, is_action) = name_of(stem, &loaded);
                    self.put(&name, is_action, loaded);
                    n_added += 1;
                }
                Err(error) => self.unread.push((path, error)),
            }
        }
        Ok(n_added)
    }

    /// Files that are no templates, and why.
    #[must_use]
    pub fn unread(&self) -> &[(PathBuf, String)] {
        &self.unread
    }

    fn put(&mut self, name: &str, is_action: bool, loaded: Loaded) {
        let kept = Kept { name: name.to_owned(), loaded: Arc::new(loaded), is_action };
        self.kept.insert(name.to_ascii_lowercase(), kept);
    }

    /// The template of a name in any letter case.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Kept> {
        self.kept.get(&name.to_ascii_lowercase())
    }

    /// All templates, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.kept.values()
    }

    /// The template as a run takes it.
    ///
    /// # Errors
    ///
    /// Where it is not there: with the nearest name.
    pub fn found(&self, name: &str) -> Result<Found, String> {
        match self.find(name) {
            Some(kept) => Ok(Found {
                name: kept.name.clone(),
                version: "v1".to_owned(),
                template: Arc::clone(&kept.loaded),
            }),
            None => Err(format!("there is no template `{name}`; give its folder by --actions")),
        }
    }
}

impl Catalogue for Shelf {
    fn signature(&self, name: &str) -> Option<Signature> {
        self.find(name).map(|kept| signature(&kept.loaded))
    }

    fn names(&self) -> Vec<String> {
        self.kept.values().map(|kept| kept.name.clone()).collect()
    }
}

/// What may be told of a template without running it.
#[must_use]
pub fn signature(loaded: &Loaded) -> Signature {
    let template = &loaded.template;
    let parameter = |own: &kiln_oos::template::Parameter| (own.name.clone(), own.default.is_none());
    Signature {
        parameters: template.parameters.iter().map(parameter).collect(),
        outputs: template.outputs.iter().map(|output| output.name.clone()).collect(),
    }
}

/// The name of a template in a file: an action says that it is one by its declared name.
fn name_of(stem: &str, loaded: &Loaded) -> (String, bool) {
    let declared = loaded.template.description.as_ref().and_then(|description| {
        let name = description.get("name-en").or_else(|| description.get("name"));
        name.and_then(localized)
    });
    match declared {
        Some(name) if name.to_ascii_uppercase().starts_with("ACS::") => (name, true),
        _ => (stem.to_owned(), false),
    }
}

fn gather(folder: &Path, depth: u32, files: &mut Vec<PathBuf>) -> Result<(), ShelfError> {
    let wrong = |source| ShelfError::Read { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let path = entry.path();
        let kind = entry.file_type().map_err(wrong)?;
        if kind.is_dir() && depth > 0 {
            gather(&path, depth - 1, files)?;
        } else if kind.is_file()
            && path.extension().is_some_and(|ext| ext == "yml" || ext == "yaml" || ext == "json")
            && entry.metadata().is_ok_and(|facts| facts.len() <= MAX_BYTES)
        {
            if files.len() >= MAX_FILES {
                return Err(ShelfError::TooMany(folder.to_owned()));
            }
            files.push(path);
        }
    }
    Ok(())
}

/// A shelf as the library of runs, with a parameter store that holds nothing.
#[derive(Clone, Debug, Default)]
pub struct ShelfLibrary {
    shelf: Arc<Shelf>,
}

impl ShelfLibrary {
    /// The library of a shelf.
    #[must_use]
    pub fn new(shelf: Shelf) -> Self {
        Self { shelf: Arc::new(shelf) }
    }
}

impl Library for ShelfLibrary {
    fn template<'a>(
        &'a self,
        _account: &'a str,
        name: &'a str,
        _version: Option<&'a str>,
    ) -> Later<'a, Result<Found, String>> {
        Box::pin(async move { self.shelf.found(name) })
    }

    fn parameter<'a>(
        &'a self,
        _account: &'a str,
        name: &'a str,
        _secret: bool,
    ) -> Later<'a, Result<serde_json::Value, String>> {
        Box::pin(async move { Err(format!("there is no parameter store here for {name}")) })
    }
}
