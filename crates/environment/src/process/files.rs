//! Putting a part's files in place.

use crate::part::{FileContent, FileSpec};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
};

/// Writes one file below the part's working directory, or wherever else in the group's.
pub(super) fn place(file: &FileSpec, working_dir: &Path, group_dir: &Path) -> io::Result<()> {
    let path = destination(&file.path, working_dir, group_dir)?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match &file.content {
        FileContent::Bytes(bytes) => fs::write(&path, bytes)?,
        FileContent::CopyOf(source) => copy(source, &path)?,
    }
    match file.mode {
        Some(mode) => fs::set_permissions(&path, fs::Permissions::from_mode(mode)),
        None => Ok(()),
    }
}

/// Files are the test's own, so none may be put where it would outlive the group.
fn destination(path: &Path, working_dir: &Path, group_dir: &Path) -> io::Result<PathBuf> {
    let climbs = path
        .components()
        .any(|component| component == Component::ParentDir);
    let destination = working_dir.join(path);
    let inside =
        destination.starts_with(group_dir) || (path.is_relative() && !working_dir.starts_with(group_dir));
    if climbs || !inside {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a host process's files can only lie below its working directory or its group's directory",
        ));
    }
    Ok(destination)
}

fn copy(source: &Path, destination: &Path) -> io::Result<()> {
    if !fs::metadata(source)?.is_dir() {
        return fs::copy(source, destination).map(drop);
    }
    fs::create_dir_all(destination)?;
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        let destination = destination.join(entry.file_name());
        if entry.file_type()?.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, destination)?;
        } else {
            copy(&entry.path(), &destination)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> FileSpec {
        FileSpec {
            path: path.into(),
            content: FileContent::Bytes(b"x".to_vec()),
            mode: Some(0o600),
        }
    }

    #[test]
    fn files_stay_inside() {
        let group = tempfile::tempdir().unwrap();
        let working = group.path().join("w");
        place(&file("etc/a.conf"), &working, group.path()).unwrap();
        let placed = fs::metadata(working.join("etc/a.conf")).unwrap();
        assert_eq!(placed.permissions().mode() & 0o777, 0o600);
        let elsewhere = group.path().join("shared/b");
        place(&file(elsewhere.to_str().unwrap()), &working, group.path()).unwrap();
        for outside in ["/etc/seatrial-test", "../../x"] {
            assert!(
                place(&file(outside), &working, group.path()).is_err(),
                "{outside}"
            );
        }
    }

    #[test]
    fn directories_are_copied_whole() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        fs::create_dir_all(source.join("a")).unwrap();
        fs::write(source.join("a/b"), "b").unwrap();
        let copy = FileSpec {
            path: "copy".into(),
            content: FileContent::CopyOf(source),
            mode: None,
        };
        place(&copy, &dir.path().join("w"), dir.path()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("w/copy/a/b")).unwrap(), "b");
    }
}
