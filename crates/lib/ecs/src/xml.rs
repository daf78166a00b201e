//! Text for XML 1.0 documents.
//!
//! Escaping alone is not enough: XML 1.0 has no way to write most control characters, and an
//! answer may quote whatever a client sent. One such byte would make the whole answer unreadable.

/// `text` as element content: escaped, with characters XML cannot carry replaced by U+FFFD.
pub(crate) fn text(text: &str) -> String {
    let carried: String = text.chars().map(|c| if carries(c) { c } else { '\u{fffd}' }).collect();
    // A bare CR would be read back as LF.
    quick_xml::escape::escape(carried.as_str()).replace('\r', "&#13;")
}

/// Whether XML 1.0 allows this character in a document.
fn carries(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn markup_is_escaped_and_control_characters_are_replaced() {
        assert_eq!(text("a<b>&\"é"), "a&lt;b&gt;&amp;&quot;é");
        assert_eq!(text("a\0b\u{1b}c\u{ffff}"), "a\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(text("\r\n").replace("&#10;", "\n"), "&#13;\n");
    }
}
