"""Files that are mounts of their own, as containers mount single files; in a mount namespace of its own, a test harms nobody."""

import shutil
import subprocess
from pathlib import Path


def may_mount() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


def mounted_at(source: Path, place: Path) -> list[str]:
    """Return how a command begins that finds `source` at `place`, where there must be a file."""
    return ["unshare", "-m", "sh", "-c", f"mount --bind '{source}' '{place}' && exec \"$@\"", "sh"]
