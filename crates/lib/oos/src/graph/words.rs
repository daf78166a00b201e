//! Text for a picture: one line, without what cannot be drawn, and not longer than asked.

/// `text` in one line of at most `max` characters, the last an ellipsis where it was longer.
///
/// Controls, and the marks that turn the direction of writing, become spaces: XML cannot hold the
/// first, and the second would make a label read as something else than it is.
pub(super) fn line(text: &str, max: usize) -> String {
    let mut line = String::new();
    let mut n_chars = 0;
    let mut is_blank = true;
    for own in text.chars() {
        let own = if is_drawn(own) { own } else { ' ' };
        if own == ' ' && is_blank {
            continue;
        }
        if n_chars == max {
            line.pop();
            line.truncate(line.trim_end().len());
            line.push('…');
            return line;
        }
        is_blank = own == ' ';
        line.push(own);
        n_chars += 1;
    }
    line.truncate(line.trim_end().len());
    line
}

fn is_drawn(own: char) -> bool {
    let turns = matches!(own, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}');
    let is_noncharacter = matches!(own, '\u{fdd0}'..='\u{fdef}' | '\u{fffe}' | '\u{ffff}');
    !(own.is_control() || own.is_whitespace() || turns || is_noncharacter)
}

/// `text` for XML, in an element or between double quotes.
pub(super) fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for own in text.chars() {
        match own {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            own => escaped.push(own),
        }
    }
    escaped
}

/// How wide `text` is at most in the usual sans-serif fonts, in pixels.
///
/// The widest of those that a browser may take is `DejaVu Sans`, so these are its widths, rounded
/// up by groups of letters. Nobody asks the font: a picture must be the same on every machine.
pub(super) fn width(text: &str, size_px: f64) -> f64 {
    text.chars().map(em).sum::<f64>() * size_px
}

fn em(own: char) -> f64 {
    match own {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | ' ' | '·' => 0.34,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '\\' | '-' | '!' => 0.43,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' | '→' => 1.0,
        'A'..='Z' | '=' | '≠' | '+' | '<' | '>' | '~' | '#' | '&' | '{' | '}' => 0.8,
        '\0'..='\x7f' => 0.64,
        '\u{80}'..='\u{10ff}' => 0.85,
        _ => 1.05,
    }
}

#[cfg(test)]
mod tests {
    use super::{line, xml};

    #[test]
    fn lines_hold_no_controls_and_end_in_time() {
        for (text, max, expected) in [
            ("as it is", 40, "as it is"),
            ("  two\n\tlines \0 ", 40, "two lines"),
            ("exactly ten", 11, "exactly ten"),
            ("exactly ten", 10, "exactly t…"),
            ("exactly ten", 9, "exactly…"),
            ("a\u{202e}b", 40, "a b"),
            ("图片的修复", 4, "图片的…"),
            ("", 4, ""),
        ] {
            assert_eq!(line(text, max), expected, "{text:?}");
        }
    }

    #[test]
    fn xml_has_no_markup_left() {
        assert_eq!(xml("</a x=\"1\">&'"), "&lt;/a x=&quot;1&quot;&gt;&amp;&#39;");
    }
}
