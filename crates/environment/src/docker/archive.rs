//! Files into and out of a container, by the engine's archive of it. That needs nothing in the image, and works on a
//! container that has not started or has ended.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bollard::{errors::Error, query_parameters::DownloadFromContainerOptionsBuilder};
use futures_util::StreamExt;

use super::{engine::Engine, part::words};
use crate::part::{FileContent, FileSpec};

/// Written content without a mode of its own.
const MODE: u32 = 0o644;

/// An archive of the files, with paths from the root; a relative path is in `base`.
pub(super) fn of_files(files: &[FileSpec], base: &Path) -> Result<Vec<u8>, (PathBuf, io::Error)> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let path = base.join(&file.path);
        let path = path.strip_prefix("/").unwrap_or(&path);
        append(&mut archive, path, file).map_err(|error| (file.path.clone(), error))?;
    }
    archive.into_inner().map_err(|error| (base.to_owned(), error))
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &Path, file: &FileSpec) -> io::Result<()> {
    match &file.content {
        FileContent::Bytes(bytes) => append_bytes(archive, path, bytes, file.mode.unwrap_or(MODE)),
        FileContent::CopyOf(source) if source.is_dir() => archive.append_dir_all(path, source),
        FileContent::CopyOf(source) => match file.mode {
            Some(mode) => append_bytes(archive, path, &fs::read(source)?, mode),
            None => archive.append_path_with_name(source, path),
        },
    }
}

fn append_bytes(archive: &mut tar::Builder<Vec<u8>>, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    header.set_mtime(0);
    archive.append_data(&mut header, path, bytes)
}

/// A file's content, at most so many bytes of it.
pub(super) async fn read(
    engine: &Engine,
    container: &str,
    path: &Path,
    bytes_max: usize,
) -> io::Result<Vec<u8>> {
    let options = DownloadFromContainerOptionsBuilder::default()
        .path(&path.display().to_string())
        .build();
    let mut pieces = engine.client.download_from_container(container, Some(options));
    let mut archive = Vec::new();
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => archive.extend_from_slice(&piece),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => {
                return Err(io::ErrorKind::NotFound.into());
            }
            Err(error) => return Err(io::Error::other(words(error))),
        }
        // A header's block and padding, and not a gigabyte to see whether a word is in it.
        if archive.len() > bytes_max.saturating_add(64 * 1024) {
            break;
        }
    }
    let mut archive = tar::Archive::new(archive.as_slice());
    let Some(entry) = archive.entries()?.next() else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let entry = entry?;
    if !entry.header().entry_type().is_file() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is no file"));
    }
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(entry, bytes_max as u64), &mut bytes)?;
    Ok(bytes)
}
