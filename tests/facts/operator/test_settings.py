"""The settings are read as python-dotenv reads them, and checked all at once."""

import io

import dotenv as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import SettingsError
from lib.settings import config, dotenv, targets
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
    assert settings.keep_days == 9


def test_further_targets_in_their_order(tmp_path, monkeypatch):
    text = f"SUPABASE_DB_URL='{GOOD}'\nSUPABASE_DB_URL_10='{GOOD}'\nSUPABASE_DB_URL_2='{GOOD}'"
    assert [target.number for target in load(tmp_path, monkeypatch, text).targets] == [1, 2, 10]


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


def test_a_readable_file_is_a_warning(tmp_path, monkeypatch):
    load(tmp_path, monkeypatch, f"SUPABASE_DB_URL='{GOOD}'")
    (tmp_path / ".env").chmod(0o644)
    assert config.load(str(tmp_path / ".env")).warnings[0] == (
        f"{tmp_path}/.env can be read by other users of this machine: chmod 600 {tmp_path}/.env"
    )
