"""The settings are read as python-dotenv reads them, and checked all at once."""

import io
import os
import re
import subprocess
import sys

import dotenv as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import SettingsError
from lib.settings import config, dotenv, targets
from tests.stand_ins.bot import REPOSITORY, environment
from tests.stand_ins.env_file import load

GOOD = "postgresql://postgres.ref:p%40ss:w/o#rd@aws-0-eu.pooler.supabase.com:6543/postgres"
EXAMPLES = [
    "A=1", "A='1 # 2'", 'A="x\\ny" # c', "export A = b", "A=b # comment", "A=b#no comment", "# A=1\nB=2", "A=\nB=", "A='it\\'s'",
    'A="say \\"hi\\""', "A=a b c  ", "A='two\nlines'\nB=1", "\n\n  A=1\r\nB=2\r\n", "A=$HOME", "A='x' \nB=y", 'A="\\t\\\\"',
    "A=ü🎁",
]  # fmt: skip


@pytest.mark.parametrize("text", EXAMPLES)
def test_dotenv_reads_as_python_dotenv_does(text):
    assert dotenv.parse(text)[0] == dict(oracle.dotenv_values(stream=io.StringIO(text), interpolate=False))


@given(st.text(alphabet="A=b'\" #\n\\x$", max_size=12).map(lambda text: f"N={text}"))
def test_dotenv_agrees_wherever_python_dotenv_is_sure(text):
    values, malformed = dotenv.parse(text)
    theirs = {name: value for name, value in oracle.dotenv_values(stream=io.StringIO(text), interpolate=False).items() if value}
    if not malformed:
        assert {name: value for name, value in values.items() if value} == theirs


def test_a_url_is_taken_apart_with_a_password_of_any_kind(tmp_path, monkeypatch):
    target = load(tmp_path, monkeypatch, f"SUPABASE_DB_URL='{GOOD}'").targets[0]
    assert (target.host, target.port, target.name) == ("aws-0-eu.pooler.supabase.com", 6543, "postgres")
    assert (target.user, target.password) == ("postgres.ref", "p@ss:w/o#rd")
    assert "p@ss" not in repr(target)


def test_parts_do_as_well(tmp_path, monkeypatch):
    text = "SUPABASE_DB_HOST=db.x.supabase.co\nSUPABASE_DB_USER=postgres\nSUPABASE_DB_PASSWORD='a#b c'"
    target = load(tmp_path, monkeypatch, text).targets[0]
    assert (target.host, target.port, target.password, target.sslmode) == ("db.x.supabase.co", 5432, "a#b c", "require")


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    settings = load(tmp_path, monkeypatch, f"SUPABASE_DB_URL='{GOOD}'\nBACKUP_KEEP_DAYS=7", BACKUP_KEEP_DAYS="9")
    assert settings.retention.keep_days == 9


def test_further_targets_in_their_order(tmp_path, monkeypatch):
    tenth, second = GOOD.replace(".ref", ".tenth"), GOOD.replace(".ref", ".second")
    text = f"SUPABASE_DB_URL='{GOOD}'\nSUPABASE_DB_URL_10='{tenth}'\nSUPABASE_DB_URL_2='{second}'"
    assert [target.number for target in load(tmp_path, monkeypatch, text).targets] == [1, 2, 10]


SAME = {
    "the same URL": (GOOD, GOOD),
    "the other mode of the pooler": (GOOD, GOOD.replace(":6543", ":5432")),
    "as another user": (GOOD, GOOD.replace("postgres.ref", "backup_writer.ref")),
    "in another region's spelling": (GOOD, GOOD.replace("aws-0-eu", "AWS-0-EU")),
    "past the pooler": (GOOD, "postgresql://postgres:p@db.ref.supabase.co:5432/postgres"),
    "this machine": ("postgresql://a:b@localhost:5432/x", "postgresql://a:b@127.0.0.1/x"),
    "this machine's IPv6": ("postgresql://a:b@localhost:5432/x", "postgresql://a:b@[::1]:5432/x"),
    "a host with a full stop": ("postgresql://a:b@host.example/x", "postgresql://a:b@Host.example.:5432/x"),
}
OTHER = {
    "another project": (GOOD, GOOD.replace(".ref", ".other")),
    "another database": (GOOD, GOOD.replace("/postgres", "/other")),
    "another port": ("postgresql://a:b@host.example:5432/x", "postgresql://a:b@host.example:5433/x"),
    "another project past the pooler": (GOOD, "postgresql://postgres:p@db.other.supabase.co:5432/postgres"),
}


@pytest.mark.parametrize("how", SAME)
def test_two_targets_that_are_one_database_are_refused(tmp_path, monkeypatch, how):
    with pytest.raises(SettingsError, match="SUPABASE_DB_URL_3 is the database of target 1: two"):
        load(tmp_path, monkeypatch, "SUPABASE_DB_URL='{}'\nSUPABASE_DB_URL_3='{}'".format(*SAME[how]))


@pytest.mark.parametrize("how", OTHER)
def test_two_targets_that_are_two_are_not(tmp_path, monkeypatch, how):
    settings = load(tmp_path, monkeypatch, "SUPABASE_DB_URL='{}'\nSUPABASE_DB_URL_3='{}'".format(*OTHER[how]))
    assert [target.number for target in settings.targets] == [1, 3]


@pytest.mark.parametrize(("first", "second"), [("", "_1"), ("", "_01"), ("_2", "_02")])
def test_two_targets_of_one_number_are_refused(tmp_path, monkeypatch, first, second):
    other = GOOD.replace(".ref", ".other")
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, monkeypatch, f"SUPABASE_DB_URL{first}='{GOOD}'\nSUPABASE_DB_URL{second}='{other}'")
    assert f"and SUPABASE_DB_URL{first} are both target" in caught.value.what or (
        f"SUPABASE_DB_URL{first} and SUPABASE_DB_URL{second} are both target" in caught.value.what
    )


def test_parts_and_a_url_of_one_database_are_one(tmp_path, monkeypatch):
    text = "SUPABASE_DB_HOST=db.ref.supabase.co\nSUPABASE_DB_USER=postgres\nSUPABASE_DB_PASSWORD=p\n"
    with pytest.raises(SettingsError, match="SUPABASE_DB_URL_2 is the database of target 1"):
        load(tmp_path, monkeypatch, f"{text}SUPABASE_DB_URL_2='{GOOD}'")


def test_a_certificate_beside_the_file_is_found_and_verifies(tmp_path, monkeypatch):
    (tmp_path / targets.CERTIFICATE).write_text("certificate")
    target = load(tmp_path, monkeypatch, f"SUPABASE_DB_URL='{GOOD}'").targets[0]
    assert target.sslmode == "verify-full"
    assert target.sslrootcert == str(tmp_path / targets.CERTIFICATE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "SUPABASE_DB_URL is not set"),
        ("SUPABASE_DB_URL=mysql://a:b@c/d", "SUPABASE_DB_URL is not of the form"),
        ("SUPABASE_DB_URL=postgresql://postgres@host/postgres", "SUPABASE_DB_URL is not of the form"),
        (f"SUPABASE_DB_URL='{GOOD}?sslmode=disable'", "sslmode 'disable' would let others read the password"),
        (f"SUPABASE_DB_URL='{GOOD}'\nSUPABASE_DB_SSLMODE=prefer", "sslmode 'prefer' would let others read the password"),
        (f"SUPABASE_DB_URL='{GOOD}?sslmode=verify-full'", "needs the server's certificate"),
        (
            f"SUPABASE_DB_URL='{GOOD}?options=x'",
            "SUPABASE_DB_URL has the option 'options': it would change what a run relies on;",
        ),
        (f"SUPABASE_DB_URL='{GOOD}?application_name=bot@server'", "has an @ behind the ?"),
        (f"SUPABASE_DB_URL='{GOOD}'\nSUPABASE_DB_HOST=x", "both say where the target is"),
        (f"SUPABASE_DB_URL='{GOOD}'\nBACKUP_SCHEMA=public", "BACKUP_SCHEMA 'public'"),
        (f"SUPABASE_DB_URL='{GOOD}'\nBACKUP_SCHEMA='a\"b'", "BACKUP_SCHEMA"),
        (f"SUPABASE_DB_URL='{GOOD}'\nSQLITE_DATABASES=a/x.db,b/X.sqlite", "two sources called X"),
        (f"SUPABASE_DB_URL='{GOOD}'\nBACKUP_MAX_SHRINK=101", "BACKUP_MAX_SHRINK '101' is not a whole number from 0 to 100"),
        (f"SUPABASE_DB_URL='{GOOD}'\nBACKUP_CHECK=none", "BACKUP_CHECK 'none' is none of full, quick"),
        ("SUPABASE_DB_HOST=x\nSUPABASE_DB_USER=y", "SUPABASE_DB_PASSWORD is not set"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, monkeypatch, text, said):
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, monkeypatch, text)
    assert said in caught.value.what
    assert "p@ss" not in caught.value.what


@pytest.mark.parametrize("name", ["BACKUP_KEEP_DAYS", "BACKUP_LOGS"])
def test_what_is_wrong_in_the_environment_is_not_to_be_mended_in_the_file(tmp_path, monkeypatch, name):
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, monkeypatch, f"SUPABASE_DB_URL='{GOOD}'", **{name: "abc"})
    assert caught.value.remedy == f"correct in the environment, which goes before .env: {name}"
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, monkeypatch, f"SUPABASE_DB_URL='{GOOD}'\nBACKUP_CHECK=none", **{name: "abc"})
    assert caught.value.remedy.startswith(f"edit {tmp_path}/.env;")
    assert caught.value.remedy.endswith(f"\n     correct in the environment, which goes before .env: {name}")


def test_a_limit_is_mended_in_the_environment(tmp_path):
    (tmp_path / ".env").write_text(f"SUPABASE_DB_URL='{GOOD}'")
    command = [sys.executable, str(REPOSITORY / "backup.py"), "--env-file", str(tmp_path / ".env")]
    wrong = environment() | {"HYBRID_BACKUP_CONNECT_SECONDS": "abc"}
    done = subprocess.run(command, capture_output=True, text=True, env=wrong)
    assert done.stderr.endswith("Try: correct in the environment, which goes before .env: HYBRID_BACKUP_CONNECT_SECONDS\n")


@pytest.mark.parametrize("log", [".env", "a/x.db", "a/../a/x.db", "a/x.db-wal", "a/y", "link"])
def test_a_log_that_would_be_written_over_something_is_refused(tmp_path, monkeypatch, log):
    (tmp_path / "link").symlink_to(".env")
    text = f"SUPABASE_DB_URL='{GOOD}'\nSQLITE_DATABASES=a/x.db,a/y.3\nBACKUP_LOG={log}"
    with pytest.raises(SettingsError, match=f"BACKUP_LOG '{log}' would be written over "):
        load(tmp_path, monkeypatch, text)


def test_a_readable_file_is_a_warning(tmp_path, monkeypatch):
    load(tmp_path, monkeypatch, f"SUPABASE_DB_URL='{GOOD}'")
    (tmp_path / ".env").chmod(0o644)
    assert config.load(str(tmp_path / ".env")).warnings[0] == (
        f"{tmp_path}/.env can be read by other users of this machine: chmod 600 {tmp_path}/.env"
    )


NO_PATHS = {
    "a.db;b.db": "is several paths; write a comma",
    "a.db b.db": "is several paths; write a comma",
    "a.sqlite3 | b.db": "is several paths; write a comma",
    "a.db:b.db": "is several paths; write a comma",
    "a.db\nb.db": "is several paths; write a comma",
    "sqlite_data/*.db": "is a pattern; name each file",
    "data/shop?.db": "is a pattern; name each file",
    "$HOME/shop.db": "holds a variable",
    "${DATA}/shop.db": "holds a variable",
    "%USERPROFILE%/shop.db": "holds a variable",
    "C:\\bot\\x.db": "is a path of Windows'",
    "C:/bot/x.db": "is a path of Windows'",
    "bot\\x.db": "is a path of Windows'",
    "~nobody-of-that-name/x.db": "begins with the home folder of a user who is not here",
    "sqlite:///x.db": "is a URI; write the file's path.",
    "file:x.db": "is a URI",
    "file:x.db?mode=ro": "is a URI",
    'x.db"': "has a quote too many",
}


@pytest.mark.skipif(os.name != "posix", reason="a path of another system")
@pytest.mark.parametrize("written", NO_PATHS)
def test_what_is_no_path_is_told_as_that(tmp_path, monkeypatch, written):
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, monkeypatch, f"SUPABASE_DB_URL='{GOOD}'", SQLITE_DATABASES=written)
    assert f"SQLITE_DATABASES: {written!r} {NO_PATHS[written]}" in caught.value.what


@pytest.mark.skipif(os.name != "posix", reason="a path of another system")
def test_a_settings_file_that_is_no_path_is_told_as_that():
    with pytest.raises(SettingsError, match=r"^--env-file: '\$HOME/x' holds a variable, which nobody puts in\.$"):
        config.load("$HOME/x")


def test_a_windows_path_in_double_quotes_is_known_whatever_its_escapes_have_become(tmp_path, monkeypatch):
    with pytest.raises(SettingsError, match="is a path of Windows'"):
        load(tmp_path, monkeypatch, f"SUPABASE_DB_URL='{GOOD}'\nSQLITE_DATABASES=\"C:\\bot\\x.db\"")


@pytest.mark.skipif(os.name != "posix", reason="no names of that system's")
@pytest.mark.parametrize("name", ["$shop.db", "a*.db", "a.db b.db", "what?.db", "back\\slash.db"])
def test_a_file_that_is_there_may_have_any_name(tmp_path, monkeypatch, name):
    (tmp_path / name).touch()
    assert load(tmp_path, monkeypatch, f"SUPABASE_DB_URL='{GOOD}'", SQLITE_DATABASES=name).sources[name[:-3]] == tmp_path / name


@pytest.mark.parametrize("name", ["/srv/my.bot data [prod]/the shop.db", "shop.db", "../shop.v2.db"])
def test_a_file_that_is_not_there_yet_is_one_to_be_restored(tmp_path, monkeypatch, name):
    assert len(load(tmp_path, monkeypatch, f"SUPABASE_DB_URL='{GOOD}'", SQLITE_DATABASES=name).sources) == 1


def test_the_home_folder_is_understood_in_every_path(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / "ca.crt").write_text("certificate")
    monkeypatch.setenv("HOME", str(home))
    text = f"SUPABASE_DB_URL='{GOOD}'\nSQLITE_DATABASES=~/shop.db\nBACKUP_LOG=~/log\nSUPABASE_DB_SSLROOTCERT=~/ca.crt"
    settings = load(tmp_path, monkeypatch, text)
    assert (settings.sources["shop"], settings.log) == (home / "shop.db", home / "log")
    assert settings.targets[0].sslrootcert == str(home / "ca.crt")


def test_a_source_is_called_by_its_name_in_any_case_by_its_file_or_by_a_path(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    text = f"SUPABASE_DB_URL='{GOOD}'\nSQLITE_DATABASES=data/Shop.db,data/other.sqlite3"
    settings = load(tmp_path, monkeypatch, text)
    monkeypatch.chdir(tmp_path / "data")
    names = ["Shop", "shop", "SHOP.DB", "./Shop.db", "../data/Shop.db", str(tmp_path / "data" / "Shop.db")]
    for name in names:
        assert config.chosen(settings, [name]) == {"Shop": tmp_path / "data/Shop.db"}
    assert list(config.chosen(settings, ["other.sqlite3", "shop", "Shop.db"])) == ["other", "Shop"]
    assert list(config.chosen(settings, [])) == ["Shop", "other"]
    for name in ("shops", "data", "other.db", "/Shop.db"):
        with pytest.raises(SettingsError, match="there is no source") as caught:
            config.chosen(settings, [name])
        assert caught.value.remedy == "name one of Shop, other, or none for all"
    no_paths = {
        "~nobody-of-that-name/Shop.db": "begins with the home folder of a user", "../data": "is a folder, not a database",
        "C:\\bot\\x.db": "is a path of Windows'", "a.db;b.db": "is several paths", "data/*": "is a pattern",
        "$HOME/x.db": "holds a variable",
    }  # fmt: skip
    for name, why in no_paths.items():
        with pytest.raises(SettingsError, match=re.escape(f"{name!r} {why}")) as caught:
            config.chosen(settings, [name])
        assert caught.value.remedy == "name one of Shop, other, or none for all"
    (tmp_path / "data" / "new.db").touch()
    with pytest.raises(SettingsError, match=r"there is no source new\.db") as caught:
        config.chosen(settings, ["new.db"])
    assert caught.value.remedy == "add its path to SQLITE_DATABASES in .env, then run  python3 setup_supabase.py"
