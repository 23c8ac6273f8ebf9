"""A table of what was measured, as Markdown for people and as JSON for machines, with what it was measured on."""

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

# Seconds and megabytes of each round, by step; and by the tool or the size, which is a row of the table.
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


def about(postgres: str) -> dict[str, object]:
    """Return when this is, on what machine, and the versions of what our scripts run on; `postgres` is the server's."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"measured_at": now, "machine": machine(), "versions": _our_versions(postgres)}


def _our_versions(postgres: str) -> dict[str, str]:
    return {
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": postgres,
        "psycopg2-binary": importlib.metadata.version("psycopg2-binary"),
    }


def packages(python: Path, names: list[str]) -> str:
    """Return which versions of some packages a Python has."""
    command = [python, "-c", ASK_VERSION, *(name.split("==")[0] for name in names)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def programs(names: list[str]) -> str:
    """Return which versions of some programs this machine has."""
    return ", ".join(map(_program, names))


def _program(name: str) -> str:
    said = subprocess.run([name, "--version"], capture_output=True, text=True, check=False).stdout
    number = re.search(r"\d+\.[\w.]+", said)
    return f"{name} {number[0] if number else said.strip()}"


def medians(figures: Rounds) -> dict[str, float]:
    """Return the seconds of each step, and the megabytes of the largest."""
    seconds = {step: round(statistics.median(taken for taken, _ in rounds), 2) for step, rounds in figures.items()}
    return {**seconds, "MB": round(max((size for rounds in figures.values() for _, size in rounds), default=0))}


def write(path: Path, what: str, about: dict[str, object], rows: dict[str, dict], found: Found) -> str:
    """Write Markdown to `path` and JSON beside it, and return the Markdown.

    `what` says what is measured; `rows` are the table's, by what is shown of them; JSON has every round of `found`, too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps({**about, "medians": rows, "rounds": found}, indent=1) + "\n")
    path.write_text(f"{what} {_measured_on(about)}\n\n{_table(rows)}\n")
    return path.read_text()


def _measured_on(about: dict) -> str:
    on = about["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return (
        f"{on['processor']}, {on['cores']} core{'s' * (on['cores'] > 1)}, {on['memory_gb']} GB; load average"
        f" {on['load_average'][0]} before and {machine()['load_average'][0]} after; {versions}; {about['measured_at'][:10]}."
    )


def _table(rows: dict[str, dict]) -> str:
    columns = list(dict.fromkeys(column for row in rows.values() for column in row if column != "MB"))
    lines = [f"| | {' | '.join(columns)} | MB |", f"|{'---|' * (len(columns) + 2)}"]
    for name, row in rows.items():
        cells = [f"{row[column]:.2f}" if column in row else "" for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} | {row['MB']} |")
    return "\n".join(lines)
