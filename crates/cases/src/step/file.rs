//! Steps about a part's files: `file_contains`, `write_file`.

use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use seatrial_engine::{Every, Look, Mismatch};
use serde_json::Value as Json;

use super::context::{Fault, Output, StepContext};
use crate::{
    http::{plainly, shortened},
    log_lines::LinePattern,
    vocabulary::{FileContains, WriteFile},
};

/// A file is looked at again so often. inotify would tell of changes, but not in a container's file system or on every
/// kind of mount, and a step must mean the same everywhere.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// More of a file is not searched.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Waits until a file is there and contains something.
///
/// # Errors
///
/// When it does not in time.
pub(crate) async fn contains(step: &FileContains, context: &StepContext<'_>) -> Result<Output, Fault> {
    let shown = step.path.render(context.scope)?;
    let path = context.part_path(&shown)?;
    let wanted = step
        .pattern
        .as_ref()
        .map(|pattern| pattern.render(context.scope))
        .transpose()?;
    let pattern = match &wanted {
        Some(text) if step.regex => Some(
            LinePattern::regex(text)
                .map_err(|error| Fault::errored(format!("`{text}` is no regular expression: {error}")))?,
        ),
        Some(text) => Some(LinePattern::literal(text)),
        None => None,
    };
    let expected = match &wanted {
        Some(text) => format!("{} `{text}`", if step.regex { "matches" } else { "contains" }),
        None => "is there".to_owned(),
    };
    let what = match &wanted {
        Some(text) => format!(
            "`{shown}` to {} `{text}`",
            if step.regex { "match" } else { "contain" }
        ),
        None => format!("`{shown}` to be there"),
    };
    let wait = context.wait(what);
    let (text, groups) = wait
        .until(Every(LOOK_EVERY), || async {
            let differs = |seen: String| {
                Look::Differs(vec![Mismatch {
                    field: shown.clone(),
                    expected: expected.clone(),
                    seen,
                }])
            };
            let content = match read(path.clone()).await {
                Ok(content) => content,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return differs("no such file".to_owned());
                }
                Err(error) => return differs(plainly(&error)),
            };
            let text = String::from_utf8_lossy(&content);
            match &pattern {
                Some(pattern) if !pattern.is_match(&content) => differs(match text.trim_end() {
                    "" => "empty".to_owned(),
                    text => format!("`{}`", shortened(text)),
                }),
                Some(pattern) => Look::Matches((text.into_owned(), pattern.groups(&content))),
                None => Look::Matches((text.into_owned(), Vec::new())),
            }
        })
        .await?;
    Ok(Output::main("content", text).with_groups(groups))
}

async fn read(path: PathBuf) -> io::Result<Vec<u8>> {
    let read = move || {
        let mut content = Vec::new();
        io::Read::read_to_end(
            &mut io::Read::take(std::fs::File::open(&path)?, FILE_BYTES_MAX),
            &mut content,
        )?;
        Ok(content)
    };
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

/// Writes a file of the part's.
///
/// # Errors
///
/// *Errored* when the file system refuses.
pub(crate) async fn write(step: &WriteFile, context: &StepContext<'_>) -> Result<Output, Fault> {
    let shown = step.path.render(context.scope)?;
    let path = context.part_path(&shown)?;
    let mode = step
        .mode
        .as_ref()
        .map(|mode| mode.render(context.scope))
        .transpose()?
        .map(|mode| mode.0);
    let source = step
        .source
        .as_ref()
        .map(|source| source.render(context.scope))
        .transpose()?;
    let content = match (
        step.content
            .as_ref()
            .map(|content| content.render(context.scope))
            .transpose()?,
        &source,
    ) {
        (Some(Json::String(text)), _) => text.into_bytes(),
        (Some(data), _) => {
            serde_json::to_vec_pretty(&data).map_err(|error| Fault::errored(error.to_string()))?
        }
        (None, Some(source)) => {
            let source = context.dir.join(source);
            let unreadable =
                |error| Fault::errored(format!("`{}` cannot be read: {error}", source.display()));
            read(source.clone()).await.map_err(unreadable)?
        }
        (None, None) => Vec::new(),
    };
    let append = step.append;
    let work = move || {
        if append {
            add(&path, &content, mode)
        } else {
            replace(&path, &content, mode)
        }
    };
    let written = tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|panic| Err(io::Error::other(panic)));
    written
        .map(|()| Output::none())
        .map_err(|error| Fault::errored(format!("`{shown}` cannot be written: {}", plainly(&error))))
}

/// Puts a file in place by its name: whoever reads it reads the old or the new one, never a half.
fn replace(path: &Path, content: &[u8], mode: Option<u32>) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let name = path
        .file_name()
        .ok_or(io::ErrorKind::IsADirectory)?
        .to_string_lossy();
    let beside = directory.join(format!(".{name}.new"));
    let kept = std::fs::metadata(path)
        .ok()
        .map(|old| old.permissions().mode() & 0o7777);
    let mut file = std::fs::File::create(&beside)?;
    file.set_permissions(PermissionsExt::from_mode(mode.or(kept).unwrap_or(0o644)))?;
    file.write_all(content)?;
    std::fs::rename(&beside, path)
}

fn add(path: &Path, content: &[u8], mode: Option<u32>) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(mode.unwrap_or(0o644))
        .open(path)?;
    if let Some(mode) = mode {
        file.set_permissions(PermissionsExt::from_mode(mode))?;
    }
    file.write_all(content)
}
