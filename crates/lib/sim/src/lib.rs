//! A small scripted world of ECS resources to rehearse templates in.

#![warn(missing_docs)]
