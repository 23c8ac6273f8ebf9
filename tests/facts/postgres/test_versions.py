"""Old mirrors meet new scripts, and the other way round."""

from pathlib import Path

import pytest

from lib.postgres.books import setup_version
from lib.trying import sample_bot
from tests import compare

FIRST = Path(__file__).parent / "first_release.sql"


def as_first_release(bot):
    """Turn the target into what the first release made: its functions and tables, and no version in the comment."""
    for statement in FIRST.read_text().split("\n\n"):
        bot.query(statement)


@pytest.mark.campaign
def test_setup_upgrades_what_an_older_release_made(saved_bot):
    as_first_release(saved_bot)
    said = saved_bot.run("backup.py").expect(1).stderr
    assert f"was set up by an older Hybrid backup (version 1 of sql/setup; these scripts need {setup_version.VERSION})." in said
    assert "Try: python3 setup_supabase.py" in said
    assert saved_bot.query("SELECT count(*) FROM backup.runs WHERE outcome = 'running'") == [(0,)]
    saved_bot.assert_restorable()
    sample_bot.live(saved_bot.data, seed=1)
    saved_bot.run("setup_supabase.py").expect(0)
    saved_bot.run("setup_supabase.py", "--check").expect(0)
    sample_bot.live(saved_bot.data, seed=2)
    assert saved_bot.changes()
    saved_bot.assert_restorable()
    assert saved_bot.query("SELECT bool_and(database_bytes > 0) FROM backup.runs WHERE run > 2") == [(True,)]


def test_what_an_older_release_made_is_restored_as_of_a_run_that_is_another_databases(saved_bot):
    kept = saved_bot.keep_copies()
    sample_bot.live(saved_bot.data, seed=1)
    saved_bot.backup()
    saved_bot.query(
        "ALTER TABLE backup.runs DROP waited, DROP kept_at, DROP kept_by, DROP kept_for, DROP packing, DROP ticket, DROP is_live"
    )
    assert saved_bot.run("backup.py", "--status").expect(0).stdout.count("restore points: 2, back to run") == 2
    as_first_release(saved_bot)
    saved_bot.run("restore.py", "--yes", "--at", "2", "--to", "out").expect(0)
    for name, path in kept.items():
        assert compare.differences(path, saved_bot.folder / "out" / path.name) == [], name
    assert len(saved_bot.run("restore.py", "--list", "--json").expect(0).json["runs"]) == 4


@pytest.mark.parametrize("script", ["backup.py", "restore.py", "setup_supabase.py"])
def test_older_scripts_refuse_a_newer_target(saved_bot, script):
    newer = setup_version.comment("backup").replace(f"version {setup_version.VERSION}", f"version {setup_version.VERSION + 1}")
    saved_bot.query(f"COMMENT ON SCHEMA backup IS '{newer}'")
    done = saved_bot.run(script).expect(1)
    assert f"was set up by a newer Hybrid backup (version {setup_version.VERSION + 1} of sql/setup" in done.stderr + done.stdout
    assert "Try: use the newer scripts here, too:  git pull" in done.stderr + done.stdout
    assert saved_bot.query("SELECT count(*) FROM backup.runs WHERE outcome = 'running'") == [(0,)]
