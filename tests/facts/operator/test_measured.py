"""What measures writes what it has found, and the README shows tables that were written so."""

import json
import subprocess
import sys

import pytest

from tests.measure import peers
from tests.stand_ins.bot import REPOSITORY, environment

MEASURE = REPOSITORY / "tests" / "measure"
BENCH = [sys.executable, MEASURE / "bench.py", "peers", "50"]
SIZES = [sys.executable, MEASURE / "sizes.py", "--users", "2,5", "--into"]
STEPS = {"load", "again", "restore", "elsewhere", "identical", "one row", "MB"}
KNOWN = {"processor", "cores", "memory_gb", "load_average"}


@pytest.mark.campaign
def test_the_bench_writes_its_table_as_markdown_and_json(tmp_path):
    """Without the peers that come from a network: what cannot be had is said, and left out."""
    alone = {"PIP_NO_INDEX": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run([*BENCH, tmp_path, "1"], env=environment() | alone, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert {line.split(":")[0] for line in done.stdout.splitlines() if "❌" in line} == {f"❌ {tool}" for tool in peers.PACKAGES}
    (written,) = tmp_path.glob("peers_*.json")
    found, table = json.loads(written.read_text()), written.with_suffix(".md").read_text()
    assert table in done.stdout
    assert found["machine"].keys() == KNOWN
    assert all(any(letter.isdigit() for letter in number) for number in found["versions"].values())
    for tool, steps in found["rounds"].items():
        assert f"\n| {tool} " in table
        assert {len(rounds) for rounds in steps.values()} == {1}, tool
    assert found["medians"]["ours"].keys() == STEPS
    assert found["medians"]["ours"]["restore"] > 0


@pytest.mark.campaign
def test_the_steps_at_several_sizes_are_written_the_same_way(tmp_path):
    subprocess.run([*SIZES, tmp_path], env=environment(), capture_output=True, timeout=300, check=True)
    found = json.loads((tmp_path / "sizes.json").read_text())
    assert [len(steps) for steps in found["rounds"].values()] == [10, 10]
    assert found["machine"].keys() == KNOWN
    for size, row in found["medians"].items():
        assert f"\n| {size} | {row['one SELECT']:.2f} | " in (tmp_path / "sizes.md").read_text()
        assert row["WAL MB"] > row["stored MB"] / 2 > 0
        assert min(row.values()) > 0


def test_the_readme_shows_tables_that_were_written():
    readme = (REPOSITORY / "README.md").read_text()
    for kind in ("peers_*", "sizes"):
        written = [path.read_text().split("\n\n") for path in peers.RESULTS.glob(f"{kind}.md")]
        assert any(head in readme.replace("\n", " ") and table.strip() in readme for head, table in written), kind
