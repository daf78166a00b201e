//! The index files of a module directory, as `depmod` makes them, over a choice of its modules.
//!
//! Nothing is read out of the modules: what they need, which devices they drive and which symbols
//! they have is in the text files that depmod left in the guest, in the order that gives a module
//! its priority. A choice of their lines is what depmod would write over the chosen modules.
//!
//! Source: tools/depmod.c of kmod 30, the functions named `output_*`.

use std::collections::{HashMap, HashSet};

use crate::kernel::index::{IndexError, IndexWriter, MAX_KEY_BYTES};
use crate::kernel::{index_entries, module_name};

const ALIAS_HEADER: &str = "# Aliases extracted from modules themselves.\n";
const SYMBOL_HEADER: &str = "# Aliases for symbols, used by symbol_request().\n";
const SOFTDEP_HEADER: &str = "# Soft dependencies extracted from modules themselves.\n";
const WEAKDEP_HEADER: &str = "# Weak dependencies extracted from modules themselves.\n";
const DEVNAME_HEADER: &str = "# Device nodes to trigger on-demand module loading.\n";
/// A generic kernel has about 40 000 aliases and as many symbols.
const MAX_LINES: usize = 1_000_000;

/// What the index files of a module directory say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModuleIndex {
    /// The modules in the order of `modules.dep`, which is that of their priorities.
    pub(crate) modules: Vec<IndexedModule>,
    /// Alias and the module it leads to.
    pub(crate) aliases: Vec<(String, String)>,
    /// Symbol and the module that has it.
    pub(crate) symbols: Vec<(String, String)>,
    /// Module and the rest of its line of `modules.softdep`.
    pub(crate) softdeps: Vec<(String, String)>,
    /// Module and the rest of its line of `modules.weakdep`, which kmod has since version 33.
    pub(crate) weakdeps: Option<Vec<(String, String)>>,
    /// Module and the rest of its line of `modules.devname`.
    pub(crate) devnames: Option<Vec<(String, String)>>,
}

/// A line of `modules.dep`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexedModule {
    /// With `_` for `-`.
    pub(crate) name: String,
    /// Its file, below the module directory.
    pub(crate) path: String,
    /// The names of all that it needs, in depmod's order.
    pub(crate) needs: Vec<String>,
}

impl ModuleIndex {
    /// Read the index files. `file` gives the content of one by its name (`modules.dep`), and of
    /// those that it has not, the binary form is asked for (`modules.dep.bin`).
    pub(crate) fn read(file: &dyn Fn(&str) -> Option<Vec<u8>>) -> Self {
        let mut index = Self::default();
        let dependencies = lines(file, "modules.dep", &mut |_, value| value.to_owned());
        index.modules = dependencies.iter().filter_map(|line| IndexedModule::parse(line)).collect();
        for line in lines(file, "modules.alias", &mut |key, value| format!("alias {key} {value}")) {
            index.aliases.extend(alias(&line).map(|(a, m)| (a.to_owned(), m.to_owned())));
        }
        for line in lines(file, "modules.symbols", &mut |key, value| format!("alias {key} {value}"))
        {
            let symbol = alias(&line).and_then(|(a, m)| Some((a.strip_prefix("symbol:")?, m)));
            index.symbols.extend(symbol.map(|(s, m)| (s.to_owned(), m.to_owned())));
        }
        let text = |name: &str| Some(String::from_utf8_lossy(&file(name)?).into_owned());
        let pairs = |text: &str, start: &str| {
            let lines = text.lines().take(MAX_LINES).filter_map(|line| line.strip_prefix(start));
            let pairs = lines.filter_map(|line| line.trim().split_once(' '));
            let owned = pairs.map(|(module, rest)| (module.replace('-', "_"), rest.to_owned()));
            owned.filter(|(module, _)| !module.starts_with('#')).collect()
        };
        index.softdeps =
            text("modules.softdep").map(|text| pairs(&text, "softdep ")).unwrap_or_default();
        index.weakdeps = text("modules.weakdep").map(|text| pairs(&text, "weakdep "));
        index.devnames = text("modules.devname").map(|text| pairs(&text, ""));
        index
    }

    /// The index over the modules in `files` alone, which are at these paths below the module
    /// directory; what `self` does not know is taken from `other`.
    pub(crate) fn choose(&self, other: &Self, files: &HashMap<String, String>) -> Self {
        let known: HashSet<&str> = self.modules.iter().map(|module| module.name.as_str()).collect();
        let mut chosen = Self {
            weakdeps: self.weakdeps.is_some().then(Vec::new),
            devnames: (self.devnames.is_some() || other.devnames.is_some()).then(Vec::new),
            ..Self::default()
        };
        for (source, is_first) in [(self, true), (other, false)] {
            let is_chosen =
                |name: &str| files.contains_key(name) && (is_first || !known.contains(name));
            let mut own = HashSet::new();
            for module in source.modules.iter().filter(|module| is_chosen(&module.name)) {
                // A name twice would be two files of which one is there.
                if own.insert(module.name.as_str()) {
                    let needs = module.needs.iter().filter(|need| files.contains_key(*need));
                    chosen.modules.push(IndexedModule {
                        name: module.name.clone(),
                        path: files[&module.name].clone(),
                        needs: needs.cloned().collect(),
                    });
                }
            }
            let pick = |all: &[(String, String)], module_at: fn(&(String, String)) -> &str| {
                all.iter().filter(|pair| own.contains(module_at(pair))).cloned().collect::<Vec<_>>()
            };
            chosen.aliases.extend(pick(&source.aliases, |pair| &pair.1));
            chosen.symbols.extend(pick(&source.symbols, |pair| &pair.1));
            chosen.softdeps.extend(pick(&source.softdeps, |pair| &pair.0));
            for (to, from) in
                [(&mut chosen.weakdeps, &source.weakdeps), (&mut chosen.devnames, &source.devnames)]
            {
                if let (Some(to), Some(from)) = (to, from) {
                    to.extend(pick(from, |pair| &pair.0));
                }
            }
        }
        chosen
    }

    /// The files, by name. `modules.builtin` and its like are about the kernel and not the modules:
    /// see [`builtin_index`].
    ///
    /// # Errors
    ///
    /// Where a name in them cannot be in an index.
    pub(crate) fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, IndexError> {
        let numbers: HashMap<&str, u32> =
            (0..).zip(&self.modules).map(|(n, module)| (module.name.as_str(), n)).collect();
        let paths: HashMap<&str, &str> = self.paths();
        let (mut dep, mut dep_bin) = (String::new(), IndexWriter::new());
        for module in &self.modules {
            let needs = module.needs.iter().filter_map(|need| paths.get(need.as_str()));
            let line = needs.fold(format!("{}:", module.path), |line, path| line + " " + path);
            dep_bin.insert(&module.name, &line, numbers[module.name.as_str()])?;
            dep += &line;
            dep.push('\n');
        }
        let (alias, alias_bin) = alias_files(ALIAS_HEADER, &self.aliases, "", &numbers)?;
        let (symbols, symbols_bin) =
            alias_files(SYMBOL_HEADER, &self.symbols, "symbol:", &numbers)?;
        let mut files = vec![
            ("modules.dep", dep.into_bytes()),
            ("modules.dep.bin", dep_bin.finish()?),
            ("modules.alias", alias),
            ("modules.alias.bin", alias_bin),
            ("modules.softdep", text_file(SOFTDEP_HEADER, "softdep ", &self.softdeps)),
            ("modules.symbols", symbols),
            ("modules.symbols.bin", symbols_bin),
        ];
        if let Some(lines) = &self.weakdeps {
            files.push(("modules.weakdep", text_file(WEAKDEP_HEADER, "weakdep ", lines)));
        }
        if let Some(lines) = &self.devnames {
            // depmod writes no header over nothing since kmod 27, and both are read.
            let header = if lines.is_empty() { "" } else { DEVNAME_HEADER };
            files.push(("modules.devname", text_file(header, "", lines)));
        }
        Ok(files)
    }

    fn paths(&self) -> HashMap<&str, &str> {
        self.modules.iter().map(|module| (module.name.as_str(), module.path.as_str())).collect()
    }
}

impl IndexedModule {
    fn parse(line: &str) -> Option<Self> {
        let (path, needs) = line.split_once(':')?;
        let name_of = |path: &str| module_name(path.rsplit('/').next().unwrap_or(path));
        Some(Self {
            name: name_of(path)?,
            path: path.to_owned(),
            needs: needs.split_ascii_whitespace().filter_map(name_of).collect(),
        })
    }
}

/// `modules.builtin.bin` of the text `modules.builtin`.
///
/// # Errors
///
/// Where a name in it cannot be in an index.
pub(crate) fn builtin_index(text: &str) -> Result<Vec<u8>, IndexError> {
    let mut index = IndexWriter::new();
    for line in text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_alphabetic())) {
        if let Some(name) = module_name(line.rsplit('/').next().unwrap_or(line)) {
            index.insert(&name, "", 0)?;
        }
    }
    index.finish()
}

/// The lines of the file `name`, or those that `line` makes of the entries of its binary form.
fn lines(
    file: &dyn Fn(&str) -> Option<Vec<u8>>,
    name: &str,
    line: &mut dyn FnMut(&str, &str) -> String,
) -> Vec<String> {
    if let Some(text) = file(name) {
        let text = String::from_utf8_lossy(&text);
        return text.lines().take(MAX_LINES).map(str::to_owned).collect();
    }
    let mut lines = Vec::new();
    if let Some(index) = file(&format!("{name}.bin")) {
        // Of a broken index, what comes before the fault.
        let _ = index_entries(&index, &mut |key, value| {
            let text = |bytes| String::from_utf8_lossy(bytes);
            lines.push(line(&text(key), &text(value)));
        });
    }
    lines
}

/// Alias and module of a line of `modules.alias`.
fn alias(line: &str) -> Option<(&str, &str)> {
    let (alias, module) = line.strip_prefix("alias ")?.trim().rsplit_once(' ')?;
    Some((alias.trim(), module))
}

/// A text of aliases and its binary form.
fn alias_files(
    header: &str,
    pairs: &[(String, String)],
    prefix: &str,
    numbers: &HashMap<&str, u32>,
) -> Result<(Vec<u8>, Vec<u8>), IndexError> {
    let (mut text, mut index) = (header.to_owned(), IndexWriter::new());
    for (alias, module) in pairs {
        text += &format!("alias {prefix}{alias} {module}\n");
        let Some(&number) = numbers.get(module.as_str()) else { continue };
        // The names of symbols are not folded.
        let key = match prefix {
            "" => underscored(alias),
            _ => Some(format!("{prefix}{alias}")),
        };
        if let Some(key) = key.filter(|key| key.len() <= MAX_KEY_BYTES) {
            index.insert(&key, module, number)?;
        }
    }
    Ok((text.into_bytes(), index.finish()?))
}

/// `alias` with `_` for `-`, outside brackets. `None`: a bracket has no other end, and depmod leaves
/// the alias out of the index.
fn underscored(alias: &str) -> Option<String> {
    let mut folded = String::with_capacity(alias.len());
    let mut rest = alias;
    while let Some(at) = rest.find(['[', ']', '-']) {
        folded += &rest[..at];
        match rest.as_bytes()[at] {
            b'-' => {
                folded.push('_');
                rest = &rest[at + 1..];
            }
            b'[' => {
                let end = at + rest[at..].find(']')? + 1;
                folded += &rest[at..end];
                rest = &rest[end..];
            }
            _ => return None,
        }
    }
    Some(folded + rest)
}

fn text_file(header: &str, start: &str, pairs: &[(String, String)]) -> Vec<u8> {
    let add =
        |text: String, (module, rest): &(String, String)| text + start + module + " " + rest + "\n";
    pairs.iter().fold(header.to_owned(), add).into_bytes()
}
