//! The project: under which name runs are kept, so that `--failed` and durations are those of these tests.

use std::path::Path;

/// The name of the project that a directory belongs to: the repository's directory, or its own where it is in none,
/// and a hash of the path, since there may be two of the same name.
pub(crate) fn name(dir: &Path) -> String {
    let root = dir
        .ancestors()
        .find(|ancestor| ancestor.join(".git").exists())
        .unwrap_or(dir);
    let base: String = root
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c))
        .take(40)
        .collect();
    let base = base.trim_start_matches('.');
    let base = if base.is_empty() { "project" } else { base };
    format!("{base}-{:08x}", hash(&root.to_string_lossy()))
}

/// FNV-1a, because the standard library's hash may change with its version.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_one_project_and_names_are_file_names() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("my repo");
        let inner = root.join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        assert!(name(&inner).starts_with("b-"), "{}", name(&inner));
        std::fs::create_dir(root.join(".git")).unwrap();
        assert!(name(&inner).starts_with("myrepo-"));
        assert_eq!(name(&inner), name(&root));
        assert_ne!(name(&root), name(temp.path()));
        assert_eq!(name(Path::new("/")), format!("project-{:08x}", hash("/")));
    }
}
