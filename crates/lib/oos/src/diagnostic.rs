//! What is wrong with a template, and where: one [`Diagnostic`] a finding, all findings at once.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Bytes of a template's text.
pub type Span = Range<usize>;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The template runs, but perhaps not as its author thinks.
    Warning,
    /// The template is refused.
    Error,
}

/// The kind of a finding: what follows `InvalidTemplate.` in the error code of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Neither JSON nor YAML.
    Syntax,
    /// Larger, deeper or longer than a template may be.
    TooLarge,
    /// A key is missing, unknown, or holds a value of the wrong kind.
    Structure,
    /// A bad name, or one that is there twice.
    Name,
    /// An action that is not known.
    Action,
    /// A property of an action is missing, unknown or out of range.
    Property,
    /// A function that is not known, has the wrong arguments, or jq text that does not compile.
    Function,
    /// A reference to what is not declared, comes later, or depends on itself.
    Reference,
    /// A jump to a task that is not there, or a task that nothing reaches.
    Jump,
    /// A trigger where none may be.
    Trigger,
    /// A loop where none may be, or with a wrong rate.
    Loop,
    /// A default that its own constraints refuse, or constraints that do not fit the type.
    Parameter,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvalidTemplate.{self:?}")
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the template is refused for it.
    pub severity: Severity,
    /// Its kind.
    pub code: Code,
    /// What is wrong, in one line without a full stop.
    pub message: String,
    /// Where it stands, for people: `Tasks[3].Properties.API`.
    pub path: String,
    /// Where it stands in the text.
    pub span: Span,
    /// What to do: a suggestion.
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// How many findings of each severity are kept: a text that is wrong throughout need not fill the
/// memory. Warnings do not take the place of errors, or a text with enough of them would be accepted.
const MAX_KEPT: usize = 200;

/// The findings of one template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Add a finding, unless there are very many of its severity already.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if !self.is_full(diagnostic.severity) {
            self.list.push(diagnostic);
        }
    }

    /// Whether a finding more would not be kept, so that nobody need look for a suggestion.
    #[must_use]
    pub fn is_full(&self, severity: Severity) -> bool {
        self.list.iter().filter(|own| own.severity == severity).count() >= MAX_KEPT
    }

    /// Add an error at `span`.
    pub fn error(&mut self, code: Code, path: &str, span: &Span, message: impl Into<String>) {
        self.add(Severity::Error, code, path, span, message.into(), None);
    }

    /// Add an error with a suggestion.
    pub fn error_with_help(
        &mut self,
        code: Code,
        path: &str,
        span: &Span,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.add(Severity::Error, code, path, span, message.into(), help);
    }

    /// Add a warning at `span`.
    pub fn warning(&mut self, code: Code, path: &str, span: &Span, message: impl Into<String>) {
        self.add(Severity::Warning, code, path, span, message.into(), None);
    }

    /// Add a warning with a suggestion.
    pub fn warning_with_help(
        &mut self,
        code: Code,
        path: &str,
        span: &Span,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.add(Severity::Warning, code, path, span, message.into(), help);
    }

    fn add(
        &mut self,
        severity: Severity,
        code: Code,
        path: &str,
        span: &Span,
        message: String,
        help: Option<String>,
    ) {
        let (path, span) = (path.to_owned(), span.clone());
        self.push(Diagnostic { severity, code, message, path, span, help });
    }

    /// Whether the template is refused.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// All findings, in the order of the text.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut all: Vec<_> = self.list.iter().collect();
        all.sort_by_key(|finding| (finding.span.start, finding.code));
        all
    }

    /// All findings, as they came.
    #[must_use]
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }
}

/// The line and the column, both from 1, of a byte of `text`. The column counts characters.
#[must_use]
pub fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let end = (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    let before = text.get(..end.unwrap_or(0)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// Characters of a message, of a path and of a name that are shown: each may hold what the text does.
const MAX_SHOWN: usize = 500;

/// A finding for people: what, where, the line itself, and what to do.
#[must_use]
pub fn render(name: &str, text: &str, finding: &Diagnostic, colour: bool) -> String {
    use annotate_snippets::renderer::DecorStyle;
    use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let source = visible(text);
    let (name, message) = (line_of(name), line_of(&finding.message));
    let (path, code) = (line_of(&finding.path), finding.code.to_string());
    let place = AnnotationKind::Primary.span(within(&source, &finding.span)).label(path.as_str());
    let snippet = Snippet::source(&*source).path(&name).annotation(place);
    let mut group = level.primary_title(&message).id(&code).element(snippet);
    let help = finding.help.as_deref().map(line_of);
    if let Some(help) = &help {
        group = group.element(Level::HELP.message(help));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.decor_style(DecorStyle::Ascii).render(&[group])
}

/// The text without what a terminal may take as a command. The renderer shows other controls itself;
/// those of Latin-1 it lets through. The stand-in has the same length, so that places stay.
fn visible(text: &str) -> Cow<'_, str> {
    let is_high_control = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
    match text.contains(is_high_control) {
        true => text.replace(is_high_control, "\u{bf}").into(),
        false => text.into(),
    }
}

/// `text` as a piece of one line, cut where it is long.
fn line_of(text: &str) -> String {
    let is_direction = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let clean = |c: char| if c.is_control() || is_direction(c) { '\u{fffd}' } else { c };
    let mut line: String = text.chars().take(MAX_SHOWN).map(clean).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        line.push('…');
    }
    line
}

/// A span that lies in the text, on the borders of characters, and on one line.
fn within(text: &str, span: &Span) -> Span {
    let border = |at: usize| {
        (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
    };
    let start = border(span.start);
    let end = border(span.end).max(start);
    let line_end = text.get(start..end).and_then(|part| part.find(['\r', '\n']));
    start..line_end.map_or(end, |at| start + at)
}
