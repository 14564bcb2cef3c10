//! What tests are about to create, on disk before it exists.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};

/// One run's journal.
pub struct Journal {
    path: PathBuf,
    file: Mutex<(Option<File>, u64)>,
}

/// An entry of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryId(u64);

impl Journal {
    /// The journal of a run; its file appears with the first entry.
    pub fn create(state_dir: &Path, run: &str) -> Self {
        Self {
            path: state_dir.join("journal").join(format!("{run}.jsonl")),
            file: Mutex::new((None, 0)),
        }
    }

    /// Notes what is about to be created.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn will_create(&self, group: &str, kind: &'static str, data: Value) -> std::io::Result<EntryId> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.1 += 1;
        let id = file.1;
        self.write(
            &mut file.0,
            &json!({"id": id, "group": group, "kind": kind, "data": data}),
        )?;
        Ok(EntryId(id))
    }

    /// It is marked as kept.
    pub fn keep(&self, group: &str) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.write(&mut file.0, &json!({"keep": group}));
    }

    fn write(&self, file: &mut Option<File>, line: &Value) -> std::io::Result<()> {
        if file.is_none() {
            if let Some(dir) = self.path.parent() {
                std::fs::create_dir_all(dir)?;
            }
            *file = Some(File::options().create(true).append(true).open(&self.path)?);
        }
        file.as_mut().map_or(Ok(()), |file| writeln!(file, "{line}"))
    }
}
