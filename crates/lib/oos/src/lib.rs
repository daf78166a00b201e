//! OOS templates (FormatVersion OOS-2019-06-01): the language, its checks, and a run as a state
//! machine without I/O, clock or runtime.
//!
//! ```text
//! text ─ document ─► nodes with places ─ template ─► Template ─ check ─► diagnostics
//!                                                       │
//!                     parameters, expr, functions, jq ◄─┤
//!                                                       ▼
//!                                   run: advance(Event) -> Vec<Command>
//! ```
//!
//! Nothing here reads a file, asks the time or calls anybody: who drives a run does that, and tells
//! it what came of it.

#![warn(missing_docs)]

mod check;
pub mod diagnostic;
pub mod document;
pub mod expr;
pub mod functions;
pub mod graph;
pub mod jq;
pub mod library;
pub mod parameters;
pub mod run;
pub mod template;
pub mod value;

pub use template::{Checked, parse_template};
