//! Files that are there as a whole, or as they were before.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// Puts what `write` writes into a file at `path`, in place of what is there.
///
/// `write` gets a new file in the same directory, with the same extension, which takes the name when
/// all is on the disk. Renaming is atomic: whoever looks finds the old file or the new one, and
/// after an error or a crash the old one.
///
/// # Errors
/// If `write` fails, or the file cannot be written.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let replace = || {
        let file = beside(path)?;
        write(file.path())?;
        file.as_file().sync_all()?;
        file.persist(target(path)).map_err(|failed| failed.error)?;
        Ok(())
    };
    replace().map_err(|error| cannot_write(path, &error))
}

/// Finds out before the work whether [`replace`] could write its result.
///
/// # Errors
/// If there is no such directory, if no file can be made there, or if `path` is a directory.
pub(super) fn check(path: &Path) -> anyhow::Result<()> {
    if path.is_dir() {
        return Err(cannot_write(path, &anyhow::anyhow!("it is a directory")));
    }
    beside(path).map(drop).map_err(|error| cannot_write(path, &error.into()))
}

/// The file that is replaced. A link stays a link: what it leads to is meant.
fn target(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

/// A new file in the directory of the one to be replaced, with the extension of `path`.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let target = target(path);
    let directory = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let extension = path.extension().map(|extension| extension.to_string_lossy());
    let suffix = extension.map_or(String::new(), |extension| format!(".{extension}"));
    // Made by ourselves, so that it gets the permissions of any new file: it is to stay.
    let make = |path: &Path| File::options().write(true).create_new(true).open(path);
    Builder::new().suffix(&suffix).make_in(directory, make)
}

fn cannot_write(path: &Path, error: &anyhow::Error) -> anyhow::Error {
    anyhow::anyhow!("cannot write {}: {error}", path.display())
}
