"""The bench beside other tools writes what it has found, and the README shows a table that it wrote."""

import json
import subprocess
import sys

import pytest

from tests.measure import peers
from tests.stand_ins.bot import REPOSITORY, environment

BENCH = [sys.executable, REPOSITORY / "tests" / "measure" / "bench.py", "peers", "50"]
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


def test_the_readme_shows_a_table_that_the_bench_wrote():
    written = [path.read_text().split("\n\n") for path in peers.RESULTS.glob("*.md")]
    readme = (REPOSITORY / "README.md").read_text()
    assert any(head in readme.replace("\n", " ") and table.strip() in readme for head, table in written)
