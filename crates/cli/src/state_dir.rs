//! Where seatrial keeps what must outlive a run: journals, records.

use std::{
    env,
    ffi::OsString,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use rustix::fs::{Access, access};

/// The state directory, made if it is not there: `$XDG_STATE_HOME/seatrial`, else `~/.local/state/seatrial`; for
/// a user whose home cannot be written, a directory of theirs among the temporary ones.
pub(crate) fn find_or_create() -> anyhow::Result<PathBuf> {
    for dir in candidates(|name| env::var_os(name)) {
        if fs::create_dir_all(&dir).is_ok() && access(&dir, Access::WRITE_OK).is_ok() {
            return Ok(dir);
        }
    }
    let uid = rustix::process::getuid().as_raw();
    let dir = env::temp_dir().join(format!("seatrial-{uid}"));
    create_private(&dir, uid)?;
    Ok(dir)
}

/// The places to try, best first.
fn candidates(env: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    // The specification wants relative paths to be ignored: https://specifications.freedesktop.org/basedir-spec
    let absolute = |name| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    [
        absolute("XDG_STATE_HOME"),
        absolute("HOME").map(|home| home.join(".local/state")),
    ]
    .into_iter()
    .flatten()
    .map(|dir| dir.join("seatrial"))
    .collect()
}

/// In a directory where everybody may write, somebody else could have made it first.
fn create_private(dir: &Path, uid: u32) -> anyhow::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            return Err(error).with_context(|| format!("make the state directory {}", dir.display()));
        }
    }
    let meta = fs::symlink_metadata(dir).with_context(|| format!("look at {}", dir.display()))?;
    if !meta.is_dir() || meta.uid() != uid || meta.mode() & 0o022 != 0 {
        bail!(
            "{} is not a directory of this user alone; set XDG_STATE_HOME to one",
            dir.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn xdg_comes_first_and_relative_paths_do_not_count() {
        let of = |xdg: &'static str, home: &'static str| {
            candidates(move |name| {
                let value = if name == "HOME" { home } else { xdg };
                (!value.is_empty()).then(|| value.into())
            })
        };
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(
            of("/x", "/h"),
            paths(&["/x/seatrial", "/h/.local/state/seatrial"])
        );
        assert_eq!(of("x", "/h"), paths(&["/h/.local/state/seatrial"]));
        assert_eq!(of("", ""), paths(&[]));
    }

    #[test]
    fn what_others_can_write_is_not_used() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("state");
        let uid = rustix::process::getuid().as_raw();
        create_private(&dir, uid).unwrap();
        create_private(&dir, uid).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(create_private(&dir, uid).is_err());
        let link = temp.path().join("link");
        std::os::unix::fs::symlink(temp.path(), &link).unwrap();
        assert!(create_private(&link, uid).is_err());
    }
}
