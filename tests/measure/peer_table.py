"""The table of peers.py, as Markdown for people and as JSON for machines, with what it was measured on."""

import importlib.metadata
import json
import os
import platform
import re
import sqlite3
import statistics
import subprocess
from datetime import datetime, timezone
from pathlib import Path

# Seconds and megabytes of each round, by step; and by tool.
Rounds = dict[str, list[tuple[float, float]]]
Found = dict[str, Rounds]
ASK_VERSION = "import importlib.metadata as m, sys; print(*(f'{n} {m.version(n)}' for n in sys.argv[1:]), sep=', ')"


def machine() -> dict[str, object]:
    """Return what a machine is known by: processor, cores that this process may use, memory, load averages."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 1e9, 1),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def our_versions(postgres: str) -> dict[str, str]:
    """Return the versions of what our scripts run on."""
    return {
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": postgres,
        "psycopg2-binary": importlib.metadata.version("psycopg2-binary"),
    }


def version_of(python: Path, packages: list[str], programs: list[str]) -> str:
    """Return what a peer is: its packages, or its programs."""
    if packages:
        command = [python, "-c", ASK_VERSION, *(package.split("==")[0] for package in packages)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return ", ".join(_program(name) for name in programs)


def _program(name: str) -> str:
    said = subprocess.run([name, "--version"], capture_output=True, text=True, check=False).stdout
    number = re.search(r"\d+\.[\w.]+", said)
    return f"{name} {number[0] if number else said.strip()}"


def write(folder: Path, steps: tuple[str, ...], about: dict[str, object], names: dict[str, str], found: Found) -> Path:
    """Write both forms into a folder, named for the number of rows; return the Markdown's path.

    `names` are the tools' where they are shown with more.
    """
    rows = {tool: _medians(steps, figures) for tool, figures in found.items()}
    path = folder / f"peers_{about['rows']}.md"
    folder.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps({**about, "tools": rows, "rounds": found}, indent=1) + "\n")
    path.write_text(f"{_head(about)}\n\n{_table(steps, names, rows)}\n")
    return path


def _medians(steps: tuple[str, ...], figures: Rounds) -> dict[str, float | None]:
    seconds = {step: [taken for taken, _ in figures.get(step, [])] for step in steps}
    medians = {step: round(statistics.median(taken), 2) if taken else None for step, taken in seconds.items()}
    return {**medians, "MB": round(max((size for rounds in figures.values() for _, size in rounds), default=0))}


def _head(about: dict) -> str:
    on = about["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return (
        f"{about['rows']:,} rows, {about['bytes'] / 1e6:.0f} MB of SQLite; seconds, medians of {about['rounds_each']}, and the"
        f" peak memory of the largest process. {on['processor']}, {on['cores']} cores, {on['memory_gb']} GB; load average"
        f" {on['load_average'][0]} before and {about['load_average_after'][0]} after; {versions};"
        f" {about['measured_at'][:10]}."
    )


def _table(steps: tuple[str, ...], names: dict[str, str], rows: dict[str, dict[str, float | None]]) -> str:
    lines = [f"| | {' | '.join(steps)} | MB |", f"|{'---|' * (len(steps) + 2)}"]
    for tool, medians in rows.items():
        cells = ["" if medians[step] is None else f"{medians[step]:.2f}" for step in steps]
        lines.append(f"| {names.get(tool, tool)} | {' | '.join(cells)} | {medians['MB']} |")
    return "\n".join(lines)


def now() -> str:
    """Return the time, in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
