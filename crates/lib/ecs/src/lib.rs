//! The ECS image API on the wire: types, parameters, signatures, answers, a client.

#![warn(missing_docs)]
