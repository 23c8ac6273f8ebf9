"""Everything for other tools: what is written is what was there, or it is refused; nothing is replaced."""

import contextlib
import csv
import sqlite3
import stat

import pytest

from lib.postgres.link.connection import Target
from lib.postgres.mirrors import saved_state
from lib.restoring import exports
from lib.restoring.options import RestoreOptions
from lib.restoring.report import Report
from lib.trying import trial
from tests import compare
from tests.cases import hostile
from tests.stand_ins.deployment import Deployment


def test_everything_is_written_in_each_format(saved_bot):
    out = saved_bot.folder / "out"
    for kind in ("csv", "sql", "db"):
        saved_bot.run("restore.py", "--export", str(out / kind), "--format", kind).expect(0)
    with contextlib.closing(sqlite3.connect(out / "again.db")) as again:
        again.executescript((out / "sql" / "premium_system.sql").read_text())
    assert compare.differences(saved_bot.premium, out / "again.db") == []
    assert compare.differences(saved_bot.premium, out / "db" / "premium_system.db") == []
    with open(out / "csv" / "premium_system" / "payment_history.csv", newline="") as file:
        head, *rows = csv.reader(file)
    there = saved_bot.sqlite_rows(saved_bot.premium, "SELECT * FROM payment_history")
    assert rows == [["" if cell is None else str(cell) for cell in row] for row in there]
    assert head[:2] == ["id", "owner_id"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (out / "csv").rglob("*.csv")} == {0o600}
    assert {path.name for path in out.iterdir()} == {"csv", "sql", "db", "again.db"}


def test_what_is_there_is_not_replaced_and_an_earlier_run_can_be_asked_for(saved_bot):
    out = saved_bot.folder / "out"
    (out / "sub").mkdir(parents=True)
    assert "is there already" in saved_bot.run("restore.py", "--export", str(out)).expect(2).stderr
    assert "invalid choice" in saved_bot.run("restore.py", "--export", str(out), "--format", "xls").expect(2).stderr
    kept = saved_bot.keep_copies()
    saved_bot.sqlite(saved_bot.premium, "DELETE FROM refunds")
    saved_bot.run("backup.py").expect(0)
    told = saved_bot.run("restore.py", "--export", str(out / "sub"), "--format", "db", "--at", "2", "--json").expect(0).json
    assert [one["run"] for one in told["restored"]] == [1, 2]
    assert compare.differences(kept["premium_system"], out / "sub" / "premium_system.db") == []


@pytest.mark.parametrize("family", hostile.FAMILIES)
def test_of_every_kind_of_database_it_is_right_or_refused(tmp_path, server, prepared, family):
    deployment = Deployment(tmp_path / "source", prepared)
    hostile.build(family, deployment.path)
    deployment.set_up()
    deployment.back_up()
    with Target(deployment.settings.targets[0], "backup") as target, target.transaction("REPEATABLE READ READ ONLY"):
        state = {"source": saved_state.read_state(target, "source")}
        for kind in exports.FORMATS:
            options = RestoreOptions(export=str(tmp_path / kind), format=kind)
            report = Report(trial.silent(), options)
            exports.write_all(target, deployment.settings, state, options, report)
            said = [problem.what for problem in report.failures]
            assert not said if kind != "sql" else all("cannot be said in SQL exactly" in what for what in said), said
    assert compare.differences(deployment.path, tmp_path / "db" / "source.db") == []
    if (tmp_path / "sql" / "source.sql").exists():
        with contextlib.closing(sqlite3.connect(tmp_path / "again.db")) as again:
            again.executescript((tmp_path / "sql" / "source.sql").read_text())
        assert compare.differences(deployment.path, tmp_path / "again.db") == []
