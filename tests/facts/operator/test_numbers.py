"""The numbers agree: rows and changes are those of the bot's tables wherever they are told, not of SQLite's own counters."""

import re

from lib.trying import sample_bot
from tests.stand_ins.unreachable import down


def rows_of(bot, path):
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    return sum(bot.sqlite_rows(path, f'SELECT count(*) FROM "{name}"')[0][0] for (name,) in bot.sqlite_rows(path, tables))


def by_source(found, name="rows"):
    return {entry["source"]: entry[name] for entry in found}


def of_tables(found, name="rows"):
    sums = {}
    for table in found:
        sums[table["source"]] = sums.get(table["source"], 0) + table[name]
    return sums


def test_rows_and_changes_are_the_same_wherever_they_are_told(saved_bot):
    sample_bot.live(saved_bot.data, seed=4)
    assert saved_bot.sqlite_rows(saved_bot.premium, "SELECT count(*) > 0 FROM sqlite_sequence") == [(1,)]
    here = {path.stem: rows_of(saved_bot, path) for path in saved_bot.databases}
    would = saved_bot.run("backup.py", "--dry-run", "--json").expect(0).json["tables"]
    runs = saved_bot.backup()["runs"]
    did = {run["source"]: sum(t["inserted"] + t["updated"] + t["deleted"] for t in run["tables"]) for run in runs}
    assert {run["source"]: sum(table["rows"] for table in run["tables"]) for run in runs} == here == of_tables(would)
    assert did == {name: sum(of_tables(would, what)[name] for what in ("inserted", "updated", "deleted")) for name in here}
    known = saved_bot.run("backup.py", "--status", "--json").expect(0).json["sources"]
    assert {entry["source"]: entry["last_success"]["rows"] for entry in known} == here
    assert {entry["source"]: entry["last_success"]["changes"] for entry in known} == did
    assert of_tables(saved_bot.run("backup.py", "--verify", "--json").expect(0).json["tables"]) == here
    points = [point for point in saved_bot.run("restore.py", "--list", "--json").expect(0).json["runs"] if point["run"] > 2]
    assert (by_source(points), by_source(points, "changes")) == (here, did)
    assert by_source(saved_bot.run("restore.py", "--drill", "--json").expect(0).json["drills"]) == here
    report = saved_bot.folder / "status.html"
    saved_bot.run("backup.py", "--report", str(report))
    assert f"{sum(here.values()):,} rows are safe" in report.read_text()
    said, told = saved_bot.run("restore.py", "--yes").expect(0).stdout, sorted(f"{rows:,}" for rows in here.values())
    assert sorted(re.findall(r"([\d,]+) rows of run \d+, every row compared", said)) == told
    assert sorted(re.findall(r"UTC, ([\d,]+) rows →", said)) == told
    assert f"Backed up 2 databases, {sum(here.values()):,} rows" in saved_bot.run("backup.py", "--verbose").expect(0).stdout


def test_what_this_machine_remembers_counts_the_same(saved_bot):
    here = {path.stem: rows_of(saved_bot, path) for path in saved_bot.databases}
    local = saved_bot.run("restore.py", "--local", "--yes", "--json").expect(0).json
    assert sorted(entry["rows"] for entry in local["restored"]) == sorted(here.values())
    saved_bot.write_env(SUPABASE_DB_URL=down(saved_bot.url))
    known = saved_bot.run("backup.py", "--status", "--json").json["sources"]
    assert {entry["source"]: entry["last_success"]["rows"] for entry in known} == here


def test_what_the_trial_says_is_what_it_compared(saved_bot):
    said = saved_bot.run("test_backup.py").expect(0).stdout
    deleted = int(re.search(r"([\d,]+) rows deleted", said)[1])
    first = int(re.search(r"Back up: ([\d,]+) rows, compared", said)[1].replace(",", ""))
    assert first == sum(rows_of(saved_bot, path) for path in saved_bot.databases)
    assert f"Restore: {first - deleted:,} rows, identical" in said
