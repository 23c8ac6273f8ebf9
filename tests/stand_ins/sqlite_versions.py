"""SQLite libraries for the tests, an old and a new one: npm fetches their sources, gcc builds them.

usage: python tests/stand_ins/sqlite_versions.py [FOLDER]    prints `version folder` lines; a folder goes first in LD_LIBRARY_PATH

They are built once, into FOLDER or ~/.cache. Where npm, gcc or the registry is missing, stderr says so.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

# The npm package better-sqlite3 carries the whole source: the version of SQLite, and that of the package.
PACKAGES = {"3.35.2": "7.1.4", "3.54.1": "13.2.0"}
LIBRARY = "libsqlite3.so.0"
# As Debian builds it; the last one is what Python needs before 3.36.
OPTIONS = """SECURE_DELETE ENABLE_COLUMN_METADATA ENABLE_FTS3 ENABLE_FTS3_PARENTHESIS ENABLE_FTS3_TOKENIZER ENABLE_FTS4
    ENABLE_FTS5 ENABLE_RTREE ENABLE_JSON1 ENABLE_DBSTAT_VTAB ENABLE_STMTVTAB ENABLE_MATH_FUNCTIONS ENABLE_PREUPDATE_HOOK
    ENABLE_SESSION ENABLE_UNLOCK_NOTIFY ENABLE_LOAD_EXTENSION SOUNDEX LIKE_DOESNT_MATCH_BLOBS THREADSAFE=1 USE_URI
    MAX_VARIABLE_NUMBER=250000 ENABLE_DESERIALIZE""".split()
LINKED = "import sqlite3; print(sqlite3.sqlite_version)"


def folders(cache: Path) -> dict[str, Path]:
    """Return the folder of each version that can be had and that this Python takes; print why another cannot."""
    found = {}
    for version, package in PACKAGES.items():
        try:
            found[version] = _built(cache / version, package)
            _refuse_unused(found[version], version)
        except (OSError, subprocess.CalledProcessError, tarfile.TarError, LookupError) as error:
            found.pop(version, None)
            print(f"SQLite {version} cannot be had, its tests are skipped: {_reason(error)}", file=sys.stderr)
    return found


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hybrid-backup-sqlite"


def environment(folder: Path) -> dict[str, str]:
    """Return what lets a program use the library in a folder."""
    return {"LD_LIBRARY_PATH": str(folder)}


def _built(folder: Path, package: str) -> Path:
    if not (folder / LIBRARY).exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            source = _fetched(Path(work), package)
            command = ["gcc", "-O1", "-fPIC", "-shared", f"-Wl,-soname,{LIBRARY}", "-o", f"{work}/{LIBRARY}", str(source)]
            _run([*command, *(f"-DSQLITE_{option}" for option in OPTIONS), "-lm", "-ldl", "-lpthread"], work)
            os.replace(f"{work}/{LIBRARY}", folder / LIBRARY)  # others may be building it, too
    return folder


def _fetched(work: Path, package: str) -> Path:
    """Return the path of sqlite3.c; old packages have it in an archive of their own."""
    _run(["npm", "pack", "--silent", f"better-sqlite3@{package}"], work)
    for archive in (work.glob("*.tgz"), work.glob("package/deps/sqlite3.tar.gz")):
        for path in archive:
            shutil.unpack_archive(path, work, "gztar")
    found = next(work.rglob("sqlite3.c"), None)
    if found is None:
        raise LookupError(f"better-sqlite3 {package} has no sqlite3.c")
    return found


def _refuse_unused(folder: Path, version: str) -> None:
    done = _run([sys.executable, "-c", LINKED], folder, os.environ | environment(folder))
    if done.strip() != version:
        raise LookupError(f"this Python takes its own SQLite, {done.strip()}, not {LIBRARY}")


def _run(command: list[str], folder: str | Path, variables: dict[str, str] | None = None) -> str:
    return subprocess.run(command, cwd=folder, env=variables, check=True, capture_output=True, text=True).stdout


def _reason(error: Exception) -> str:
    said = getattr(error, "stderr", None) or str(error)
    return said.strip().splitlines()[-1] if said.strip() else type(error).__name__


if __name__ == "__main__":
    chosen = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else cache()
    for number, where in folders(chosen).items():
        print(number, where)
