//! Stand-in.
pub(crate) fn check(
    _template: &crate::template::Template,
    _node: &crate::document::Node,
    _catalogue: &dyn crate::template::Catalogue,
    _diagnostics: &mut crate::diagnostic::Diagnostics,
) {
}
