//! From a command as it is written to a program and an environment: looked up here, before anything starts, so that what
//! is wrong can be said exactly.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// What a part's environment has when nothing is said.
const LANG: &str = "C.UTF-8";

/// Where to look when seatrial itself has no `PATH`.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A part's environment: nothing of seatrial's own but `PATH` and what is asked for by name.
pub(super) fn environment(
    home: &Path,
    temporary: &Path,
    inherit: &[String],
    set: &BTreeMap<String, OsString>,
) -> BTreeMap<OsString, OsString> {
    let mut environment = BTreeMap::from([
        ("PATH".into(), env::var_os("PATH").unwrap_or_else(|| PATH.into())),
        ("HOME".into(), home.into()),
        ("TMPDIR".into(), temporary.into()),
        ("LANG".into(), LANG.into()),
    ]);
    environment.extend(
        inherit
            .iter()
            .filter_map(|name| Some((name.into(), env::var_os(name)?))),
    );
    environment.extend(set.iter().map(|(name, value)| (name.into(), value.clone())));
    environment
}

/// Why a program cannot be executed.
#[derive(Debug)]
pub(super) enum LookupError {
    /// There is no such file; where it was looked for.
    NotFound(String),
    /// There is, and it is not executable.
    NotExecutable(PathBuf, io::Error),
}

/// Finds a program as `exec` would, in the part's working directory or its `PATH`.
pub(super) fn find(program: &OsStr, dir: &Path, path: Option<&OsString>) -> Result<PathBuf, LookupError> {
    if program.as_encoded_bytes().contains(&b'/') {
        let path = dir.join(program);
        return match executable(&path) {
            Ok(()) => Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let relative = Path::new(program).is_relative();
                Err(LookupError::NotFound(if relative {
                    format!("in {}", dir.display())
                } else {
                    String::new()
                }))
            }
            Err(error) => Err(LookupError::NotExecutable(path, error)),
        };
    }
    let path = path.cloned().unwrap_or_default();
    let mut refused = None;
    for directory in env::split_paths(&path) {
        let candidate = dir.join(directory).join(program);
        // A directory that may not be searched has nothing for this user.
        if fs::metadata(&candidate).is_err() {
            continue;
        }
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) => {
                refused.get_or_insert((candidate, error));
            }
        }
    }
    Err(match refused {
        Some((path, error)) => LookupError::NotExecutable(path, error),
        None => LookupError::NotFound(format!("in PATH ({})", path.display())),
    })
}

fn executable(path: &Path) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it is not a file",
        ));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it has no execute permission",
        ));
    }
    // And by this user.
    Ok(rustix::fs::access(path, rustix::fs::Access::EXEC_OK)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_clean() {
        // Cargo sets its own for tests.
        assert!(env::var_os("CARGO_MANIFEST_DIR").is_some());
        let set = BTreeMap::from([
            ("LANG".to_owned(), OsString::from("C")),
            ("A".to_owned(), OsString::from("1")),
        ]);
        let environment = environment(
            Path::new("/h"),
            Path::new("/t"),
            &["CARGO_PKG_NAME".to_owned()],
            &set,
        );
        let names: Vec<_> = environment.keys().map(|name| name.to_str().unwrap()).collect();
        assert_eq!(names, ["A", "CARGO_PKG_NAME", "HOME", "LANG", "PATH", "TMPDIR"]);
        assert_eq!(environment[OsStr::new("LANG")], "C");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("plain"), "").unwrap();
        let path = OsString::from("/bin");
        assert!(find(OsStr::new("sh"), dir.path(), Some(&path)).is_ok());
        let not_found = find(OsStr::new("no-such-program"), dir.path(), Some(&path));
        assert!(matches!(not_found, Err(LookupError::NotFound(place)) if place == "in PATH (/bin)"));
        let plain = find(OsStr::new("./plain"), dir.path(), Some(&path));
        assert!(matches!(plain, Err(LookupError::NotExecutable(..))));
        let directory = find(OsStr::new("/bin"), dir.path(), Some(&path));
        assert!(matches!(directory, Err(LookupError::NotExecutable(..))));
    }
}
