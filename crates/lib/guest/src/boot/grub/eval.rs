//! Runs a GRUB configuration as far as the menu depends on it: variables, conditions, searches,
//! environment blocks, other files. It never runs loops or functions, which only draw the menu.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use super::lexer::{Part, Script, Statement, StatementKind, Word, parse};
use super::search::{Search, SearchBy};
use crate::boot::places::Places;
use crate::boot::{BootFact, grubenv};
use crate::check::Evidence;
use crate::inspect::devices;

/// Statements run for all files and entries together.
const MAX_STEPS: u32 = 100_000;
/// Files that include each other.
const MAX_DEPTH: u32 = 8;
const MAX_FILES: u32 = 32;
/// A value may be made of itself again and again.
const MAX_VALUE_BYTES: usize = 16 << 10;
/// Names and values ever set: every entry starts from a copy of the variables.
const MAX_SET_BYTES: usize = 512 << 10;
/// Entries of one menu and all its submenus.
pub(super) const MAX_ITEMS: usize = 4096;
const MAX_FACTS: usize = 64;

/// A line of a menu, before its block is run.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) title: String,
    pub(super) id: String,
    pub(super) is_submenu: bool,
    /// No user is asked for: `--unrestricted`.
    pub(super) unrestricted: bool,
    pub(super) source: Source,
    pub(super) line: u32,
    pub(super) body: Range<usize>,
}

/// A file being run.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) path: Rc<str>,
    pub(super) script: Rc<Script>,
    /// The volume it is on.
    pub(super) volume: Option<usize>,
}

/// What an entry loads.
#[derive(Clone, Debug, Default)]
pub(super) struct Loads {
    pub(super) kernel: Option<Kernel>,
    pub(super) initrds: Vec<(Option<usize>, String)>,
    /// The last search that was run, and whether it found something.
    pub(super) search: Option<(String, bool)>,
}

/// The command that names the kernel.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    pub(super) command: String,
    pub(super) volume: Option<usize>,
    pub(super) path: String,
    pub(super) cmdline: String,
    pub(super) line: u32,
    pub(super) source: Rc<str>,
}

/// The state of the shell.
#[derive(Debug)]
pub(super) struct Shell<'a> {
    pub(super) places: &'a Places<'a>,
    pub(super) variables: HashMap<String, String>,
    pub(super) items: Vec<Item>,
    pub(super) loads: Loads,
    /// Where `blscfg` was run: the volume whose entries it shows, and the file and line.
    pub(super) blscfg: Option<(Option<usize>, String, u32)>,
    /// The configurations that were read, in order.
    pub(super) files: Vec<String>,
    pub(super) config_volume: Option<usize>,
    pub(super) facts: Vec<BootFact>,
    steps: u32,
    n_files: u32,
    set_bytes: usize,
    status: bool,
}

impl<'a> Shell<'a> {
    pub(super) fn new(places: &'a Places<'a>, platform: &str) -> Self {
        let mut variables = HashMap::new();
        for feature in [
            "feature_chainloader_bpb",
            "feature_ntldr",
            "feature_platform_search_hint",
            "feature_default_font_path",
            "feature_all_video_module",
            "feature_menuentry_id",
            "feature_menuentry_options",
            "feature_200_final",
            "feature_nativedisk_cmd",
            "feature_timeout_style",
        ] {
            variables.insert(feature.to_owned(), "y".to_owned());
        }
        variables.insert("grub_platform".into(), platform.into());
        Self {
            places,
            variables,
            items: Vec::new(),
            loads: Loads::default(),
            blscfg: None,
            files: Vec::new(),
            config_volume: None,
            facts: Vec::new(),
            steps: 0,
            n_files: 0,
            set_bytes: 0,
            status: true,
        }
    }

    pub(super) fn fact(&mut self, code: &'static str, message: String, evidence: Evidence) {
        if self.facts.len() < MAX_FACTS {
            self.facts.push(BootFact { code, message, evidence });
        }
    }

    pub(super) fn get(&self, name: &str) -> &str {
        if name == "?" {
            return if self.status { "0" } else { "1" };
        }
        self.variables.get(name).map_or("", String::as_str)
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.set_bytes = self.set_bytes.saturating_add(name.len() + value.len() + 64);
        if self.set_bytes <= MAX_SET_BYTES && value.len() <= MAX_VALUE_BYTES {
            self.variables.insert(name.to_owned(), value.to_owned());
        }
    }

    /// Read and run the configuration at the guest path `path`. `false`: nothing to read.
    pub(super) fn run_file(&mut self, path: &str, depth: u32) -> bool {
        self.n_files += 1;
        if depth > MAX_DEPTH || self.n_files > MAX_FILES {
            return false;
        }
        let bytes = match self.places.tree.read(path, 4 << 20) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return false,
            Err(error) => {
                let message = format!("{path} cannot be read: {error}");
                self.fact("Grub.ConfigCorrupt", message, Evidence::file(path, "unreadable"));
                return false;
            }
        };
        self.files.push(path.to_owned());
        if bytes.contains(&0) {
            let message = format!("{path} holds zero bytes, as after a crash that lost its data");
            self.fact("Grub.ConfigCorrupt", message, Evidence::file(path, "zero bytes"));
            return true;
        }
        let script = parse(&String::from_utf8_lossy(&bytes));
        if let Some((line, problem)) = &script.problem {
            let message = format!("{path} line {line} does not parse: {problem}");
            let evidence = Evidence::line(path, *line, problem.clone());
            self.fact("Grub.ConfigCorrupt", message, evidence);
        }
        let source = Source {
            path: path.into(),
            script: Rc::new(script),
            volume: self.places.volume_of(path),
        };
        self.config_volume = source.volume;
        let all = 0..source.script.statements.len();
        self.run(&source, all, depth);
        true
    }

    /// Run the statements in `range`.
    pub(super) fn run(&mut self, source: &Source, range: Range<usize>, depth: u32) {
        let mut at = range.start;
        while at < range.end {
            let Some(statement) = source.script.statements.get(at) else { return };
            self.steps = self.steps.saturating_add(1);
            if self.steps > MAX_STEPS {
                return;
            }
            at = match &statement.kind {
                StatementKind::Then { otherwise } if !self.status => *otherwise,
                StatementKind::Otherwise { end } | StatementKind::Loop { end } => *end,
                StatementKind::Block { words, end } => {
                    let body = at + 1..*end;
                    self.block(source, statement, words, body);
                    end.saturating_add(1)
                }
                StatementKind::Command(words) => {
                    let words = self.expand(words);
                    self.status = self.command(source, statement.line, &words, depth);
                    at + 1
                }
                StatementKind::Then { .. } | StatementKind::End => at + 1,
            };
        }
    }

    fn block(
        &mut self,
        source: &Source,
        statement: &Statement,
        words: &[Word],
        body: Range<usize>,
    ) {
        let words = self.expand(words);
        let Some(command) = words.first() else { return };
        let is_submenu = command == "submenu";
        if !(is_submenu || command == "menuentry") || self.items.len() >= MAX_ITEMS {
            return;
        }
        let mut item = Item {
            title: String::new(),
            id: String::new(),
            is_submenu,
            unrestricted: false,
            source: source.clone(),
            line: statement.line,
            body,
        };
        let mut positional = Vec::new();
        let mut words = words.iter().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--unrestricted" => item.unrestricted = true,
                "--id" => item.id = words.next().cloned().unwrap_or_default(),
                "--class" | "--users" | "--hotkey" | "--source" => {
                    words.next();
                }
                other => match other.strip_prefix("--id=") {
                    Some(id) => item.id = id.to_owned(),
                    None if other.starts_with("--") => {}
                    None => positional.push(other),
                },
            }
        }
        item.title = positional.first().copied().unwrap_or_default().to_owned();
        if item.id.is_empty() {
            item.id = item.title.clone();
        }
        self.items.push(item);
    }

    /// The words of a command, variables replaced.
    fn expand(&self, words: &[Word]) -> Vec<String> {
        let mut out = Vec::new();
        let mut total = 0usize;
        for word in words {
            let mut text = String::new();
            let mut is_there = false;
            for part in word {
                match part {
                    Part::Text(found) => {
                        is_there = true;
                        text.push_str(found);
                    }
                    Part::Variable { name, quoted: true } => {
                        is_there = true;
                        text.push_str(self.get(name));
                    }
                    Part::Variable { name, quoted: false } => {
                        let value = self.get(name);
                        let mut pieces = value.split_ascii_whitespace().peekable();
                        while let Some(piece) = pieces.next() {
                            is_there = true;
                            text.push_str(piece);
                            if pieces.peek().is_some() {
                                out.push(std::mem::take(&mut text));
                            }
                        }
                    }
                }
                if text.len() > MAX_VALUE_BYTES {
                    return out;
                }
            }
            total += text.len();
            if total > 4 * MAX_VALUE_BYTES {
                return out;
            }
            if is_there {
                out.push(text);
            }
        }
        out
    }

    fn command(&mut self, source: &Source, line: u32, words: &[String], depth: u32) -> bool {
        let Some((command, arguments)) = words.split_first() else { return true };
        if let Some((name, value)) = command.split_once('=')
            && is_name(name)
        {
            self.set(name, value);
            return true;
        }
        match command.as_str() {
            "!" => !self.command(source, line, arguments, depth),
            "set" => {
                if let Some((name, value)) = arguments.first().and_then(|word| word.split_once('='))
                {
                    self.set(name, value);
                }
                true
            }
            "unset" => {
                for name in arguments {
                    self.variables.remove(name);
                }
                true
            }
            "[" | "test" => self.test(arguments),
            "false" | "keystatus" | "loadfont" | "background_image" | "cutmem" => false,
            "search" => self.search(&Search::parse(arguments)),
            "search.fs_uuid" => self.search(&Search::of_alias(SearchBy::Uuid, arguments)),
            "search.fs_label" => self.search(&Search::of_alias(SearchBy::Label, arguments)),
            "search.file" => self.search(&Search::of_alias(SearchBy::File, arguments)),
            "load_env" => self.load_env(arguments),
            "source" | "." | "configfile" | "normal" | "extract_entries_source" => {
                let Some(path) = arguments.first() else { return false };
                if command == "configfile" || command == "normal" {
                    self.items.clear();
                }
                match self.path(path) {
                    Some(path) => self.run_file(&path, depth + 1),
                    None => false,
                }
            }
            "blscfg" => {
                let volume = self.device_of("boot").or_else(|| self.device_of("root"));
                self.blscfg = Some((volume.or(source.volume), source.path.to_string(), line));
                true
            }
            "linux" | "linux16" | "linuxefi" | "kernel" | "chainloader" => {
                self.kernel(source, line, command, arguments);
                true
            }
            "initrd" | "initrd16" | "initrdefi" => {
                let found = arguments.iter().take(64).map(|path| self.split_device(path)).collect();
                self.loads.initrds = found;
                true
            }
            _ => true,
        }
    }

    fn kernel(&mut self, source: &Source, line: u32, command: &str, arguments: &[String]) {
        // `linux` of old versions knows options of its own in front of the path.
        let is_option = |word: &&String| word.starts_with("--");
        let Some(path) = arguments.iter().find(|word| !is_option(word)) else { return };
        let rest = arguments.iter().skip_while(|word| is_option(word)).skip(1);
        let (volume, path) = self.split_device(path);
        self.loads.kernel = Some(Kernel {
            command: command.into(),
            volume,
            path,
            cmdline: rest.map(String::as_str).collect::<Vec<_>>().join(" "),
            line,
            source: Rc::clone(&source.path),
        });
        self.loads.initrds.clear();
    }

    fn search(&mut self, search: &Search) -> bool {
        let found = match search.by {
            SearchBy::Uuid => devices::by_uuid(self.places.layout, &search.wanted),
            SearchBy::Label => devices::by_label(self.places.layout, &search.wanted),
            SearchBy::File => self.places.volume_with(&search.wanted),
        };
        if search.by == SearchBy::Uuid {
            self.loads.search = Some((search.wanted.clone(), found.is_some()));
        }
        if let Some(volume) = found {
            self.set(&search.variable, &Places::name_of(volume));
        }
        found.is_some()
    }

    fn load_env(&mut self, arguments: &[String]) -> bool {
        let mut words = arguments.iter();
        let mut file = None;
        while let Some(word) = words.next() {
            match word.as_str() {
                "-f" | "--file" => file = words.next().cloned(),
                other => file = other.strip_prefix("--file=").map(String::from).or(file),
            }
        }
        let file = file.unwrap_or_else(|| format!("{}/grubenv", self.get("prefix")));
        let Some(path) = self.path(&file) else { return false };
        let bytes = match self.places.tree.read(&path, 1 << 20) {
            Ok(Some(bytes)) => bytes,
            Ok(None) | Err(_) => return false,
        };
        let env = grubenv::parse(&bytes);
        if let Some(problem) = &env.problem {
            let message = format!("{path} is no sound environment block: {problem}");
            let evidence = Evidence::file(path, problem.clone());
            if !self.facts.iter().any(|fact| fact.message == message) {
                self.fact("Grub.ConfigCorrupt", message, evidence);
            }
        }
        for (name, value) in &env.values {
            self.set(name, value);
        }
        env.problem.is_none()
    }

    /// The volume a variable names.
    pub(super) fn device_of(&self, variable: &str) -> Option<usize> {
        self.places.grub_device(self.get(variable))
    }

    /// `(device)/path`, or a path on `$root`.
    pub(super) fn split_device(&self, path: &str) -> (Option<usize>, String) {
        match path.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            Some((device, path)) => (self.places.grub_device(device), path.to_owned()),
            None => (self.device_of("root"), path.to_owned()),
        }
    }

    /// The guest path of a file that is there.
    fn path(&self, path: &str) -> Option<String> {
        let (volume, path) = self.split_device(path);
        self.places.find(volume, &path)
    }

    /// `[ a = b -a -f c ]`: `-o` binds weaker than `-a`.
    fn test(&self, words: &[String]) -> bool {
        let words = match words.split_last() {
            Some((last, rest)) if last == "]" => rest,
            _ => words,
        };
        words
            .split(|word| word == "-o")
            .any(|all| all.split(|word| word == "-a").all(|one| self.primary(one)))
    }

    fn primary(&self, words: &[String]) -> bool {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["!", ref rest @ ..] => {
                let rest: Vec<String> = rest.iter().map(|word| (*word).to_owned()).collect();
                // One negation a level: a chain of them is walked here, not recursed into.
                let flips = rest.iter().take_while(|word| *word == "!").count();
                let bare = rest.get(flips..).unwrap_or_default();
                self.primary(bare) != (flips % 2 == 0)
            }
            [] | ["-z", ..] => words.get(1).is_some_and(|word| word.is_empty()),
            ["-n", word] => !word.is_empty(),
            ["-e" | "-f", path] => self.path(path).is_some(),
            ["-d", path] => {
                self.path(path).is_some_and(|path| self.places.tree.is_dir(path).unwrap_or(false))
            }
            ["-s", path] => self.path(path).is_some_and(|path| {
                let stat = self.places.tree.stat(path).ok().flatten();
                stat.is_some_and(|stat| stat.size_bytes > 0)
            }),
            [word] => !word.is_empty(),
            [a, "=" | "==", b] => a == b,
            [a, "!=", b] => a != b,
            [a, "<", b] => a < b,
            [a, ">", b] => a > b,
            [a, operator, b] => compare_numbers(a, operator, b),
            _ => false,
        }
    }
}

fn compare_numbers(a: &str, operator: &str, b: &str) -> bool {
    let number = |text: &str| text.parse::<i64>().unwrap_or(0);
    let (a, b) = (number(a), number(b));
    match operator {
        "-eq" => a == b,
        "-ne" => a != b,
        "-lt" => a < b,
        "-le" => a <= b,
        "-gt" => a > b,
        "-ge" => a >= b,
        _ => false,
    }
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
