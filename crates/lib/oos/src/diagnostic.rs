//! What is wrong with a template, and where: one [`Diagnostic`] a finding, all findings at once.

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

/// How many findings are kept: a text that is wrong throughout need not fill the memory.
const MAX_KEPT: usize = 200;

/// The findings of one template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Add a finding, unless there are very many already.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < MAX_KEPT {
            self.list.push(diagnostic);
        }
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

/// A finding for people: what, where, the line itself, and what to do.
#[must_use]
pub fn render(name: &str, text: &str, finding: &Diagnostic, colour: bool) -> String {
    use annotate_snippets::renderer::DecorStyle;
    use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    // A file may hold what a terminal takes as a command.
    let clean = |text: &str| -> String {
        text.chars()
            .map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c })
            .collect()
    };
    let source = clean(text);
    let same = source.len() == text.len();
    let span = if same { within(&source, &finding.span) } else { 0..0 };
    let (name, message) = (clean(name), clean(&finding.message));
    let (path, code) = (clean(&finding.path), finding.code.to_string());
    let snippet = Snippet::source(&source)
        .path(&name)
        .annotation(AnnotationKind::Primary.span(span).label(path.as_str()));
    let mut group = level.primary_title(&message).id(&code).element(snippet);
    let help = finding.help.as_deref().map(clean);
    if let Some(help) = &help {
        group = group.element(Level::HELP.message(help));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.decor_style(DecorStyle::Ascii).render(&[group])
}

/// A span that lies in the text, on the borders of characters, and on one line.
fn within(text: &str, span: &Span) -> Span {
    let border = |at: usize| {
        (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
    };
    let start = border(span.start);
    let end = border(span.end).max(start);
    let line_end = text.get(start..end).and_then(|part| part.find('\n'));
    start..line_end.map_or(end, |at| start + at)
}
