//! JSON lines for other programs (`-o json`), as they happen.

use std::{io::Write, sync::Arc};

use seatrial_engine::{Event, EventKind, ReportError, Reporter, RunInfo};

use crate::wire::Line;

/// Writes one JSON object per event; the form is that of `record.jsonl`.
pub struct JsonReporter<W> {
    lines: JsonLines,
    out: W,
}

impl<W: Write + Send> JsonReporter<W> {
    /// Writes to `out`, which needs no buffer of its own.
    pub fn new(out: W) -> Self {
        Self {
            lines: JsonLines::default(),
            out,
        }
    }
}

impl<W: Write + Send> Reporter for JsonReporter<W> {
    fn name(&self) -> &str {
        "json"
    }

    fn event(&mut self, event: &Event) -> Result<(), ReportError> {
        self.lines.push(event)?;
        if self.lines.is_due(event) {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ReportError> {
        self.lines.write_to(&mut self.out)
    }
}

/// Lines that wait to be written: whole lines, so that a reader never meets half of one in between.
#[derive(Default)]
pub(crate) struct JsonLines {
    run: Arc<RunInfo>,
    pending: Vec<u8>,
}

impl JsonLines {
    /// Enough to be worth a write while further events wait.
    const PENDING_MAX: usize = 64 * 1024;

    /// Adds the line of an event.
    pub(crate) fn push(&mut self, event: &Event) -> Result<(), ReportError> {
        if let EventKind::RunStarted(info) = &event.kind {
            self.run = info.clone();
        }
        serde_json::to_writer(&mut self.pending, &Line::new(event, &self.run))?;
        self.pending.push(b'\n');
        Ok(())
    }

    /// Whether to write without waiting for the flush.
    pub(crate) fn is_due(&self, event: &Event) -> bool {
        self.pending.len() >= Self::PENDING_MAX || matches!(event.kind, EventKind::RunFinished(_))
    }

    /// Writes all that waits.
    pub(crate) fn write_to(&mut self, out: &mut impl Write) -> Result<(), ReportError> {
        if !self.pending.is_empty() {
            let written = out.write_all(&self.pending);
            self.pending.clear();
            written?;
            out.flush()?;
        }
        Ok(())
    }
}
