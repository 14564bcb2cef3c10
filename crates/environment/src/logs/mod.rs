//! What a part writes: kept as it is, found again by line and time, followed by many at once.
//!
//! Each stream is one file in the test's log directory, byte for byte as the part wrote it, over all its restarts.
//! A third file says when which bytes came:
//!
//! ```text
//! <part>.stdout.log   <part>.stderr.log   <part>.times
//!
//! 1795219200123456789 o 0 4096    nanoseconds since the epoch, stream (o or e), first byte, how many
//! 1795219200125001822 e 0 12
//! 1795219200130777120 o 4096 100
//! ```
//!
//! The decision behind it: whoever watches for a line searches whole chunks of a plain file at the speed of memory, and
//! a target that prints two bytes a line does not cost forty for each timestamp. The files are the buffer, so neither
//! the target nor seatrial ever waits for a reader; [`Logs::lines`] puts streams and times together again for people.
//! They are written by the process that holds the part, so they go on when the part outlives seatrial.

mod files;
mod lines;
mod reader;

pub(crate) use files::{LogState, LogWriter};
pub use files::{Logs, Stream};
pub use lines::{LogLine, LogLines};
pub use reader::LogReader;
