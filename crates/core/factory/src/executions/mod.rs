//! Executions of OOS templates: started, driven, decided about, and listed.
//!
//! The library `kiln-oos` says what is to be done; here it is done, and stored. What holds for any
//! front end is here: the command line drives a run in its own process, the server's workers drive
//! many.

mod caller;
mod clock;
mod driver;
mod engine;
mod rows;
mod rpc;
mod service;
mod shelf;
mod sim;
mod upkeep;
mod view;
pub mod wire;

pub use self::caller::{Caller, Later, Library, has_path, interrupted, is_repeatable, only_reads};
pub use self::clock::Clock;
pub use self::driver::{Drive, Watch};
pub use self::engine::Engine;
pub(crate) use self::engine::orchestrations;
pub use self::rpc::{NoCaller, RpcCaller, RpcSettings, Web};
pub use self::service::{Created, Executions, Failure, Held, Result, StartSpec, root_of};
pub use self::shelf::{Kept, Shelf, ShelfError, ShelfLibrary, signature};
pub use self::sim::{SimCaller, WorldFileError};
pub use self::view::{Counters, ExecutionView, TaskView};
