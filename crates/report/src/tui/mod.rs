//! The terminal: finished tests scroll by as text, below them a few live lines say what runs.
//!
//! Inline, without the alternate screen, so that everything is still there to scroll back to. Drawn by hand and
//! not by a library of widgets: a list of lines needs none, and the one hard part, staying right when the
//! terminal is resized in the middle, is easier where every byte is ours. The trick is that the cursor always
//! rests at the start of the first live line: a terminal that reflows its lines keeps it there, so the next
//! drawing starts from the right place whatever the lines have become.
//!
//! Modules: [`draw`] is pure, state to lines; `screen` turns lines into bytes; `terminal` owns the mode of the
//! terminal and its keys; `reporter` puts them together.

mod draw;
#[cfg(test)]
mod on_a_terminal;
mod reporter;
mod screen;
mod terminal;

pub use reporter::{TuiError, TuiHandle, TuiReporter};
pub use terminal::restore_terminal;
