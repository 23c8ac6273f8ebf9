"""The README's runbooks and its container, done as they are written."""

import re
import secrets
import shutil
import subprocess

import pytest

from lib.trying import sample_bot
from tests import compare
from tests.stand_ins.bot import REPOSITORY, Bot, environment
from tests.stand_ins.machine import with_cron
from tests.stand_ins.supabase import make_database

README = (REPOSITORY / "README.md").read_text()
pytestmark = pytest.mark.campaign


def runbook(title):
    """Return what the README says under a title in bold."""
    (text,) = re.findall(rf"^(\*\*{title}\.\*\*.*?)(?=^\*\*|^## )", README, re.MULTILINE | re.DOTALL)
    return text


def fenced(text, kind):
    (block,) = re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return block


def typed(bot, title, command, status=0):
    """Type a command that the runbook has, with this bot's settings."""
    assert f"python3 {command}" in runbook(title), command
    return bot.run(*command.split()).expect(status)


def test_another_server(saved_bot, tmp_path):
    saved_bot.environment = with_cron(tmp_path)
    kept = saved_bot.keep_copies()
    new = Bot(tmp_path / "new", saved_bot.url)
    new.data.mkdir(parents=True)
    new.write_env()
    (tmp_path / "there").mkdir()
    new.environment = with_cron(tmp_path / "there")
    typed(saved_bot, "Another server", "backup.py")
    typed(saved_bot, "Another server", "setup_supabase.py --schedule cron --remove")
    typed(new, "Another server", "restore.py --yes")
    typed(new, "Another server", "setup_supabase.py --schedule cron --install")
    for name, path in kept.items():
        assert compare.differences(path, new.data / f"{name}.db") == []
    sample_bot.live(new.data, 1)
    new.run("backup.py").expect(0)
    new.assert_restorable()
    assert "is that of another bot: " in saved_bot.run("backup.py").expect(1).stderr


def test_another_project(saved_bot, server):
    with make_database(server, f"second_{secrets.token_hex(6)}") as second:
        saved_bot.write_env(SUPABASE_DB_URL=second, SUPABASE_DB_URL_2=saved_bot.url)
        typed(saved_bot, "Another Supabase project", "setup_supabase.py")
        saved_bot.assert_restorable("--target", "1")
        sample_bot.live(saved_bot.data, 1)
        saved_bot.run("backup.py").expect(0)
        assert saved_bot.run("restore.py", "--at", "2", "--target", "2", "--dry-run").expect(0).stdout
        saved_bot.write_env(SUPABASE_DB_URL=second)
        saved_bot.run("backup.py").expect(0)
        saved_bot.assert_restorable()


def test_another_password(writer, saved_bot):
    """The writer's own: with the owner's connection string in the environment, which has precedence over .env."""
    writer.environment = {"SUPABASE_DB_URL": saved_bot.url.replace(f":{writer.password}@", f":{saved_bot.password}@")}
    said = typed(writer, "Another password", "setup_supabase.py --writer-role").stdout
    _, password = said.split("they are not shown again:\n")[1].split("\n")[0].strip().split(":")
    writer.environment = {}
    assert "the password was refused." in writer.run("backup.py").expect(1).stderr
    writer.write_env(SUPABASE_DB_URL=writer.url.replace(writer.password, password))
    typed(writer, "Another password", "backup.py")


def test_another_schema_name(saved_bot):
    before = saved_bot.keep_copies()
    sample_bot.live(saved_bot.data, 1)
    saved_bot.write_env(BACKUP_SCHEMA="renamed")
    typed(saved_bot, "Another schema name", "setup_supabase.py")
    saved_bot.assert_restorable()
    saved_bot.environment = {"BACKUP_SCHEMA": "backup"}
    assert len(typed(saved_bot, "Another schema name", "restore.py --list").stdout) > 100
    saved_bot.run("restore.py", "--yes", "--to", str(saved_bot.folder / "old")).expect(0)
    for name, path in before.items():
        assert compare.differences(path, saved_bot.folder / "old" / f"{name}.db") == []


def test_one_more_bot(saved_bot, tmp_path):
    shop = saved_bot.clone(tmp_path / "shop")
    shop.write_env(BACKUP_SCHEMA="shop")
    (tmp_path / "machine").mkdir()
    shop.environment = with_cron(tmp_path / "machine")
    for line in fenced(runbook("One more bot"), "").splitlines():
        script, *flags = line.replace(" --env-file /home/shop/.env", "").split()[1:]
        shop.run(script, *flags).expect(0)
    shop.assert_restorable()
    saved_bot.run("backup.py").expect(0)
    saved_bot.assert_restorable()


def test_one_database_less(saved_bot):
    saved_bot.sqlite(saved_bot.requests, "CREATE TABLE odd (v INTEGER); INSERT INTO odd VALUES ('a')")
    saved_bot.backup()
    saved_bot.write_env(SQLITE_DATABASES="sqlite_data/premium_system.db")
    saved_bot.backup()
    saved_bot.write_env()
    saved_bot.run("restore.py", "--database", "user_requests", "--dry-run").expect(0)
    saved_bot.write_env(SQLITE_DATABASES="sqlite_data/premium_system.db")
    saved_bot.query(fenced(runbook("One database less"), "sql"))
    of_source = "SELECT table_name FROM information_schema.columns WHERE table_schema = 'backup' AND column_name = 'source'"
    for (table,) in saved_bot.query(of_source):
        assert saved_bot.query(f"SELECT count(*) FROM backup.{table} WHERE source = 'user_requests'") == [(0,)], table
    kept = saved_bot.requests.rename(saved_bot.folder / "kept.db")
    saved_bot.run("setup_supabase.py").expect(0)
    saved_bot.run("backup.py", "--verify").expect(0)
    saved_bot.run("restore.py", "--at", "1", "--dry-run").expect(0)
    saved_bot.assert_restorable()
    kept.rename(saved_bot.requests)
    saved_bot.write_env()
    saved_bot.run("setup_supabase.py").expect(0)  # it may come back, and begins anew
    saved_bot.assert_restorable()


def test_keep_one_run_for_ever(saved_bot):
    kept = saved_bot.keep_copies()
    sample_bot.live(saved_bot.data, 1)
    saved_bot.backup()
    (command,) = fenced(runbook("Keep one run for ever"), "sh").splitlines()
    out = saved_bot.folder / "kept" / "run-2"
    saved_bot.run(*command.replace("kept/run-2", str(out)).split()[1:]).expect(0)
    for name, path in kept.items():
        assert compare.differences(path, out / f"{name}.db") == []


def test_away_with_all_of_it(writer, saved_bot, tmp_path):
    saved_bot.environment = with_cron(tmp_path)
    saved_bot.run("setup_supabase.py", "--schedule", "cron", "--install").expect(0)
    typed(saved_bot, "Away with all of it", "setup_supabase.py --schedule cron --remove")
    assert (tmp_path / "crontab").read_text() == ""
    saved_bot.query(fenced(runbook("Away with all of it"), "sql"))
    assert saved_bot.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'backup%'") == []
    assert saved_bot.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'backup%'") == []


def in_the_image(folder):
    """Return what `COPY . .` takes from a folder: .dockerignore is written so that it means the same to Git."""
    (folder / "rules").write_text((REPOSITORY / ".dockerignore").read_text())
    subprocess.run(["git", "init", "-q", folder], check=True)
    listed = ["git", "ls-files", "--others", f"--exclude-from={folder / 'rules'}"]
    return subprocess.run(listed, cwd=folder, capture_output=True, text=True, check=True).stdout.splitlines()


def test_an_image_has_the_scripts_and_nothing_of_the_bot_s(saved_bot, tmp_path):
    checkout = tmp_path / "checkout"
    shutil.copytree(REPOSITORY, checkout, ignore=shutil.ignore_patterns(".git", ".venv", ".*_cache"))
    shutil.copytree(saved_bot.folder, checkout, dirs_exist_ok=True)
    for name in ("prod-ca-2021.crt", "shop.env", "supabase_backup.log.1", "kept/run-2/premium_system.db"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()
    copied = in_the_image(checkout)
    assert {name.split("/")[0] for name in copied} == {
        "backup.py", "restore.py", "setup_supabase.py", "test_backup.py", "lib", "sql", "requirements.txt",
    }  # fmt: skip
    assert {name.rpartition(".")[2] for name in copied} == {"py", "sql", "css", "md", "txt"}
    image = tmp_path / "image"
    for name in copied:
        (image / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(checkout / name, image / name)
    (image / ".venv").symlink_to(REPOSITORY / ".venv")
    dockerfile, dashed = fenced(README.split("## Without cron")[1], "dockerfile"), str(saved_bot.folder / ".env")
    for typed_there in re.findall(r"CMD (\[.*\])", dockerfile):
        command = [dashed if word == "/bot/.env" else word for word in re.findall(r'"([^"]+)"', typed_there)]
        if "--every" not in command:
            done = subprocess.run(command, cwd=image, capture_output=True, text=True, env=environment(), timeout=60)
            assert (done.returncode, done.stderr) == (0, "")
    restore = re.search(r"run --rm backup python3 (restore.py) --env-file /bot/.env (--yes)", README)
    assert restore
    done = subprocess.run(
        ["python3", restore[1], "--env-file", dashed, restore[2]], cwd=image, capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 0, done.stderr
