"""Read and write a small file that belongs to its owner alone: all of it, or what was there stays."""

import os
import stat
from pathlib import Path

from lib.base import causes, leftovers, owners
from lib.base.errors import Problem

SUFFIX = "new"


def read(path: Path) -> bytes:
    """Return what the file holds, nothing where there is none.

    Raise ValueError where it is no file: like a damaged one it may be written anew, and a pipe is not waited for. Raise OSError
    where it cannot be read: that may pass, and the file be whole.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError(f"{path} is not a file")
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def unread(path: Path, error: OSError, so: str) -> str:
    """Return as a warning why a record cannot be read, and what is `so` then: it is not written anew either, it may be whole."""
    if isinstance(error, PermissionError):
        closed = owners.closed([path.parent, path]) or path
        return f"this user cannot read {closed}: {so} {owners.to_read(closed)}"
    return f"{path} cannot be read ({error.strerror}), and stays as it is: {so} {causes.remedy(error, path.parent)}"


def write(path: Path, text: str, suffix: str = SUFFIX) -> None:
    """Replace the file in one step, with mode 0600; `suffix` marks what a killed script leaves behind."""
    folder = leftovers.make(path.parent, path.name, suffix)
    new = folder / path.name
    try:
        with open(new, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)
        owners.give(new, path.parent)
        os.replace(new, path)
    finally:
        leftovers.clear(folder)


def write_note(path: Path, text: str, so: str) -> list[str]:
    """Write what is noted for the next run, in a folder of ours, whatever is in its place.

    Return as a warning why that is not possible, and what is `so` then.
    """
    if not path.parent.parent.is_dir():
        return [f"{path} cannot be written (there is no such folder): {so}"]
    try:
        leftovers.make_private(path.parent)
        set_folder_aside(path)
        write(path, text)
    except Problem as problem:
        return [f"{path} cannot be written ({problem.what}): {so} {problem.remedy}"]
    except OSError as error:
        return [f"{path} cannot be written ({error.strerror or error}): {so}"]
    return []


def set_folder_aside(path: Path) -> list[str]:
    """Give a folder that is in a file's place another name, as what is in it may be somebody's; return a warning of it."""
    if not path.is_dir() or path.is_symlink():
        return []
    count = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.folder-{count}")):
        count += 1
    path.rename(aside)
    return [f"{path} was a folder, which is {aside.name} now."]
