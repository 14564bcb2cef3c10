//! Directories that go with a group.

use seatrial_engine::journal::{ReapError, Reaper};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Instant,
};

/// The kind of journal entry.
pub(crate) const DIRECTORY: &str = "directory";

/// Its data.
#[derive(Debug, Serialize, Deserialize)]
struct Data {
    path: PathBuf,
}

/// The journal entry of a directory.
pub(crate) fn entry(path: &Path) -> Value {
    json!({ "path": path })
}

/// Removes a directory with all that is in it; that there is none is success. A target may have taken the owner's rights
/// away from a directory of its own.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        other => return other,
    }
    regain_rights(path)?;
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn regain_rights(dir: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(dir)?;
    if !metadata.is_dir() {
        return Ok(());
    }
    if metadata.permissions().mode() & 0o700 != 0o700 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    for entry in fs::read_dir(dir)? {
        regain_rights(&entry?.path())?;
    }
    Ok(())
}

/// Removes what a dead run left.
#[derive(Debug)]
pub(super) struct DirectoryReaper;

impl Reaper for DirectoryReaper {
    fn kind(&self) -> &'static str {
        DIRECTORY
    }

    fn describe(&self, data: &Value) -> String {
        let path = data
            .get("path")
            .and_then(Value::as_str)
            .unwrap_or("of unknown path");
        format!("directory {path}")
    }

    fn is_there(&self, data: &Value) -> bool {
        Data::deserialize(data).is_ok_and(|data| fs::symlink_metadata(data.path).is_ok())
    }

    fn reap(&self, data: &Value, _deadline: Instant) -> Result<(), ReapError> {
        let Data { path } = Data::deserialize(data)?;
        remove(&path).map_err(|source| ReapError::Io {
            doing: format!("remove {}", path.display()),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_without_rights_go_too() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("c"), "").unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o000)).unwrap();
        remove(&dir.path().join("a")).unwrap();
        assert!(!dir.path().join("a").exists());
        remove(&dir.path().join("a")).unwrap();
    }
}
