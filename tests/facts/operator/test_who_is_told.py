"""Whatever goes wrong while nobody watches is told, each thing once, by every channel that can be read."""

import contextlib
import json
import signal
import sqlite3
import time

import psycopg2
import pytest

from lib.base import redact
from lib.reporting.told import Memory
from lib.settings import channels
from tests.stand_ins.inbox import Inbox


@pytest.fixture
def inbox():
    return Inbox()


def told(bot, inbox, **settings):
    """Let a bot have a webhook and a heartbeat."""
    bot.write_env(ALERT_WEBHOOK_URL=f"{inbox.url}/hook", HEARTBEAT_URL=f"{inbox.url}/beat", **settings)


def beats(inbox):
    return [path.removeprefix("/beat") for path in inbox.paths() if path.startswith("/beat")]


def texts(inbox):
    return [json.loads(body)["text"] for path, body in inbox.got if path == "/hook"]


def differ(bot):
    bot.sqlite(bot.premium, "UPDATE refunds SET status = 'another' WHERE id = 1")


def tamper(bot):
    bot.query("UPDATE backup.run_tables SET digest = digest + 1 WHERE table_name = 'refunds'")
    (bot.folder / "snapshots" / "premium_system.db").unlink()


def grow_old(bot):
    bot.query("UPDATE backup.runs SET finished_at = finished_at - interval '9 hours'")


def set_right(bot):
    bot.query("UPDATE backup.run_tables SET digest = digest - 1 WHERE table_name = 'refunds'")


def back_up(bot):
    bot.backup()


OLD = "the schedule of premium_system", "is 9 hours old"


@pytest.mark.parametrize(
    ("spoil", "mend", "command", "label", "said"),
    [
        (differ, back_up, ("backup.py", "--verify"), "the comparison of premium_system", "❌ differs  premium_system.refunds"),
        (tamper, set_right, ("restore.py", "--drill"), "the drill of premium_system", "premium_system.refunds: "),
        (grow_old, back_up, ("backup.py", "--status", "--max-age", "7h"), *OLD),
        (
            grow_old,
            back_up,
            ("backup.py", "--report", "x.html", "--max-age", "7h"),
            "the schedule of premium_system",
            "is 9 hours old",
        ),
    ],
)
def test_what_only_looks_tells_what_it_finds_once_and_when_it_is_over(saved_bot, inbox, spoil, mend, command, label, said):
    told(saved_bot, inbox)
    saved_bot.run(*command).expect(0)
    assert inbox.got == []  # not even a heartbeat, which would hide that no backup runs
    spoil(saved_bot)
    for _ in range(2):
        saved_bot.run(*command, "--quiet").expect(1)
    (text,) = texts(inbox)
    assert f"{label} → 127.0.0.1:\nError: " in text
    assert said in text
    assert "\nTry: " in text
    assert beats(inbox) == ["/fail", "/fail"]
    mend(saved_bot)
    saved_bot.run(*command).expect(0)
    assert f"{label} → 127.0.0.1" in texts(inbox)[1].partition("Works again: ")[2]


def stop_in_the_middle(bot, command, number):
    with contextlib.closing(sqlite3.connect(bot.premium, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")  # it waits for this lock, so the signal finds it at work
        running = bot.start(*command)
        while not bot.query("SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'hybrid-backup%'"):
            assert running.poll() is None
        running.send_signal(number)
        _, stderr = running.communicate(timeout=20)
    assert running.returncode == 128 + number
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("command", "label"),
    [(("backup.py",), "the whole backup"), (("backup.py", "--verify"), "the comparison")],
)
def test_a_run_that_was_stopped_is_told(saved_bot, inbox, command, label):
    told(saved_bot, inbox)
    stop_in_the_middle(saved_bot, command, signal.SIGTERM)
    (text,) = texts(inbox)
    assert f"{label}:\nError: {label} was stopped by SIGTERM." in text
    assert beats(inbox)[-1] == "/fail"
    if command == ("backup.py",):
        asked = saved_bot.run("backup.py", "--status").expect(1)
        assert "premium_system, user_requests: the last run failed: it was stopped by SIGTERM.\nTry: " in asked.stderr
    saved_bot.run(*command).expect(0)
    assert f"Works again: {label}." in texts(inbox)[1]
    assert "was stopped" not in saved_bot.run("backup.py", "--status").expect(0).stdout.split("\n\n")[0]


def test_a_person_at_the_terminal_knows_that_he_has_stopped_it(saved_bot, inbox):
    told(saved_bot, inbox)
    stop_in_the_middle(saved_bot, ("backup.py",), signal.SIGINT)
    assert texts(inbox) == []


def test_waiting_for_the_next_run_is_no_run(saved_bot, inbox):
    told(saved_bot, inbox)
    running = saved_bot.start("backup.py", "--every", "6h")
    while len(beats(inbox)) < 2:
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=20)
    assert (beats(inbox), texts(inbox)) == (["/start", ""], [])


@pytest.mark.parametrize("script", [("backup.py",), ("restore.py", "--drill")])
def test_a_wrong_setting_is_told_through_the_channels_that_can_be_read(saved_bot, inbox, script):
    told(saved_bot, inbox, BACKUP_KEEP_DAYS="many", ALERT_EMAIL_TO=",", SMTP_HOST="localhost", SMTP_FROM="bot@example.org")
    saved_bot.run(*script).expect(2)
    (text,) = texts(inbox)
    assert "❌" in text
    assert "the settings:\nError: 2 settings need attention" in text
    assert "BACKUP_KEEP_DAYS 'many' is not a whole number" in text
    assert "ALERT_EMAIL_TO ',' is no e-mail address" in text
    assert beats(inbox) == ["/fail"]
    assert "BACKUP_KEEP_DAYS" in inbox.got[0][1]
    told(saved_bot, inbox)
    saved_bot.run(*script).expect(0)
    assert "Works again: the settings" in texts(inbox)[1]


def test_a_byte_that_is_no_text_hides_no_channel(saved_bot, inbox):
    told(saved_bot, inbox)
    with open(saved_bot.folder / ".env", "ab") as file:
        file.write("# für den Bot\n".encode("latin-1"))
    saved_bot.run("backup.py").expect(2)
    assert ".env cannot be read: 'utf-8' codec can't decode byte" in texts(inbox)[0]


def test_a_log_that_cannot_be_written_stops_nothing(saved_bot, inbox):
    told(saved_bot, inbox, BACKUP_LOG="sqlite_data")
    done = saved_bot.run("backup.py").expect(0)
    assert "sqlite_data cannot be written (Is a directory): correct BACKUP_LOG in .env" in done.stderr
    assert beats(inbox) == ["/start", ""]
    assert "cannot be written (Is a directory)" in inbox.got[1][1]


def test_a_channel_that_is_set_wrongly_stops_no_backup_and_the_others_tell_of_it(saved_bot, inbox):
    told(saved_bot, inbox, ALERT_EMAIL_TO=",", SMTP_HOST="mail.invalid", SMTP_FROM="Bot <bot@example.org>")
    done = saved_bot.run("backup.py").expect(0)
    assert "Warning: ALERT_EMAIL_TO ',' is no e-mail address" in done.stderr
    assert beats(inbox) == ["/start", ""]
    (text,) = texts(inbox)
    assert "⚠️" in text
    assert "the settings of the alerts:\nError: ALERT_EMAIL_TO ',' is no e-mail address" in text
    tried = saved_bot.run("test_backup.py", "--send-alert").expect(1).stdout
    assert "❌ 1. Settings of the alerts: ALERT_EMAIL_TO ','" in tried


def test_people_write_addresses_with_names():
    about = {"SMTP_HOST": "localhost", "SMTP_FROM": "Bot <bot@example.org>"}
    found = channels.read({"ALERT_EMAIL_TO": '"Owner, the" <owner@example.org>; admin@example.org,', **about})
    assert found.wrong == ()
    assert found.mail.sender == "Bot <bot@example.org>"
    assert found.mail.recipients == ('"Owner, the" <owner@example.org>', "admin@example.org")


def hold(connection, bot):
    """Take a source as a run does, which another one has opened."""
    connection.cursor().execute("SELECT pg_advisory_xact_lock(hashtextextended('backup.premium_system', 0))")
    insert = "INSERT INTO backup.runs (source, machine, version) VALUES ('premium_system', 'server', '1') RETURNING run"
    return bot.query(insert)[0][0]


def test_two_runs_that_meet_are_a_note(saved_bot, inbox):
    told(saved_bot, inbox)
    synced = saved_bot.log.count("Last Sync")
    with contextlib.closing(psycopg2.connect(saved_bot.url)) as other:
        run = hold(other, saved_bot)
        done = saved_bot.run("backup.py", "--json").expect(0)
        assert f"premium_system is being backed up already (run {run} on server, since " in done.json["busy"][0]
        assert [found["source"] for found in done.json["runs"]] == ["user_requests"]
        assert saved_bot.run("backup.py", "premium_system").expect(0).stderr == done.stderr == ""
    assert texts(inbox) == []
    assert beats(inbox) == ["/start", "/log"] * 2  # neither a success nor a failure: the other one will tell
    assert saved_bot.log.count("Last Sync") == synced
    said = saved_bot.run("backup.py", "--status").expect(0).stdout
    assert "last failure" not in said
    assert "❌" not in said


def test_what_is_busy_for_an_hour_is_told(saved_bot, inbox):
    told(saved_bot, inbox)
    record = saved_bot.folder / "snapshots" / "runs.jsonl"
    with contextlib.closing(psycopg2.connect(saved_bot.url)) as other:
        hold(other, saved_bot)
        saved_bot.run("backup.py").expect(0)
        lines = [json.loads(line) for line in record.read_text().splitlines()]
        record.write_text("".join(json.dumps(line | {"at": line["at"] - 3700}) + "\n" for line in lines))
        done = saved_bot.run("backup.py").expect(3)
    assert "Error: premium_system is being backed up already (run " in done.stderr
    assert "Try: nothing has got through for long" in done.stderr
    assert "premium_system is being backed up already" in texts(inbox)[0]
    assert beats(inbox)[-1] == "/fail"
    saved_bot.run("backup.py").expect(0)
    assert "Works again: premium_system → 127.0.0.1." in texts(inbox)[1]


def test_the_heartbeat_hears_of_no_success_while_another_source_fails(saved_bot, inbox):
    told(saved_bot, inbox)
    content = saved_bot.premium.read_bytes()
    saved_bot.premium.unlink()
    saved_bot.run("backup.py").expect(3)
    saved_bot.run("backup.py", "user_requests").expect(0)
    assert beats(inbox) == ["/start", "/fail", "/start", "/fail"]  # after a start, the monitor waits for one or the other
    assert "failing: premium_system → 127.0.0.1" in inbox.got[-1][1]
    saved_bot.premium.write_bytes(content)
    saved_bot.run("backup.py", "premium_system").expect(0)
    assert beats(inbox)[-1] == ""


LOST = "Error: shop has lost the table x."
GOOD = "\nNothing was changed in Supabase; the last good backup is run 12, 2026-11-27 18:00:04 UTC."


def alike(one, other):
    return f"Error: {one}\nTry: x", f"Error: {other}\nTry: x"


@pytest.mark.parametrize(
    ("first", "then", "is_news"),
    [
        (*alike("shop has lost the table y2023 (4 rows).", "shop has lost the table y2024 (4 rows)."), True),
        (*alike("shop2.db is empty (0 bytes).", "shop3.db is empty (0 bytes)."), True),
        (*alike("cannot connect to 10.0.0.1:5432 as a.", "cannot connect to 10.0.0.2:5432 as a."), True),
        (*alike("shop has lost the table 2023.", "shop has lost the table 2024."), True),
        (*alike("shop has lost the table y2023 (4 rows).", "shop has lost the table y2023 (1,205 rows)."), False),
        (*alike("shop has lost 95 % of its rows (4 before, 5 now).", "shop has lost 9 % of its rows (12 before, 1 now)."), False),
        (*alike("a needs 5.3 MB in /x, where 1 kB are free.", "a needs 15 MB in /x, where 2.2 kB are free."), False),
        (
            *alike("x is busy (run 12, since 2026-11-27 18:00:04 UTC).", "x is busy (run 7, since 2026-11-28 00:00:04 UTC)."),
            False,
        ),
        (LOST, LOST + GOOD, False),
    ],
)
def test_what_is_the_same_failure(tmp_path, first, then, is_news):
    memory = Memory(tmp_path / "alerts.json")
    memory.remember(["webhook"], [], {"shop": first})
    assert not memory.is_news("webhook", {"shop": first})
    assert memory.is_news("webhook", {"shop": then}) == is_news


def test_a_recovery_that_nobody_heard_of_makes_the_same_failure_news(tmp_path):
    failing, well = {"shop": "Error: it is gone."}, {"shop": ""}
    memory = Memory(tmp_path / "alerts.json")
    memory.remember(["webhook"], [], failing)
    memory.remember([], ["webhook"], well)
    memory = Memory(tmp_path / "alerts.json")
    assert memory.recovered("webhook", well) == ["shop"]
    assert memory.is_news("webhook", failing)
    memory.remember(["webhook"], [], failing)
    assert not memory.is_news("webhook", failing)
    memory.remember(["webhook"], [], well)
    assert memory.recovered("webhook", well) == []


def test_a_failure_that_comes_back_after_an_undelivered_recovery_is_told(saved_bot, inbox):
    saved_bot.write_env(ALERT_WEBHOOK_URL=f"{inbox.url}/hook")
    content = saved_bot.premium.read_bytes()
    for answer, is_there in (("ok", False), ("refusing", True), ("ok", False)):
        inbox.answer = answer
        saved_bot.premium.write_bytes(content) if is_there else saved_bot.premium.unlink()
        saved_bot.run("backup.py").expect(0 if is_there else 3)
    assert ["does not exist" in text for text in texts(inbox)] == [True, False, True]


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("https://hooks.example.org/services/T0123456/abcDEF4711", ["abcDEF4711", "T0123456"]),
        ("https://hooks.example.org/x?key=s3cr3t&sig=a%2Fb%3Dc", ["s3cr3t", "a/b=c", "a%2Fb%3Dc"]),
        ("https://hooks.example.org?key=s3cr3t", ["s3cr3t"]),
        ("https://owner:pass4711@hooks.example.org/x", ["pass4711"]),
        ("hc-ping.com/01234567-89ab-cdef", ["01234567-89ab-cdef"]),
        ("https://hooks.example.org/x?key=abc&n=7", ["key=abc", "n=7"]),
        ("https://owner:pw@hooks.example.org/x", ["owner:pw@"]),
    ],
)
def test_no_part_of_an_address_that_may_be_its_key_leaves(url, secrets, monkeypatch):
    monkeypatch.setattr(redact, "_secrets", set())
    channels.read({"ALERT_WEBHOOK_URL": url})
    for secret in secrets:
        assert secret not in redact.clean(f"no such token: {secret}!")


def test_a_short_secret_is_hidden_where_addresses_have_theirs_and_in_no_word(monkeypatch):
    monkeypatch.setattr(redact, "_secrets", set())
    for secret in ("", "ab", "12"):
        redact.remember(secret)
    said = "12 tables at 10:12 about cabs; a=abc, b=123"
    assert redact.clean(said) == said
    assert redact.clean("postgresql://bot:ab@x/y?a=12&b=ab") == "postgresql://bot:••••@x/y?a=••••&b=••••"


def test_a_misspelt_alert_is_told_and_a_setting_of_the_bots_is_not():
    said = channels.read({"ALERT_WEBHOOKURL": "x", "ALERT_EMAIL_TOO": "x", "TELEGRAM_CHAT": "x"}).wrong
    assert [text.split(" is not a setting of Hybrid backup; is ")[1] for text in said] == [
        "ALERT_EMAIL_TO meant?", "ALERT_WEBHOOK_URL meant?", "TELEGRAM_CHAT_ID meant?",
    ]  # fmt: skip
    bots = ("SMTP_PASS", "SMTP_PASSWD", "TELEGRAM_TOKEN", "TELEGRAM_BOT_TOKEN", "TELEGRAM_CHANNEL_ID", "TELEGRAM_API_ID", "ALL")
    assert channels.read(dict.fromkeys((*bots, "HEALTH", "HEARTBEAT", "ALERT_CHANNEL"), "x")).wrong == ()
    on = {"TELEGRAM_CHAT_ID": "1", "TELEGRAM_BOT_TOKEN": "1:a", "TELEGRAM_CHAT_IDS": "1 2"}
    assert channels.read(on).wrong == ()
    assert channels.read(on | {"TELEGRAM_APIURL": "x"}).wrong == (
        "TELEGRAM_APIURL is not a setting of Hybrid backup; is TELEGRAM_API_URL meant?",
    )


def test_what_our_own_paths_are_called_is_no_secret(monkeypatch):
    monkeypatch.setattr(redact, "_secrets", set())
    channels.read({"HEARTBEAT_URL": "https://hc-ping.com/abcdef123456/premium_system", "SQLITE_DATABASES": "premium_system.db"})
    assert redact.clean("premium_system.db") == "premium_system.db"


@pytest.mark.parametrize("before", [0, 150, 190, 480])
def test_a_server_that_repeats_the_address_gives_nothing_away(saved_bot, inbox, before):
    secret = "Zx8-secret-4711"
    inbox.answer, inbox.said = "echoing", f"{'x' * before} no such token {secret} or key {secret[::-1]}"
    address = f"{inbox.url}/hooks/{secret}?key={secret[::-1]}"
    saved_bot.write_env(ALERT_WEBHOOK_URL=address, HEARTBEAT_URL=address)
    saved_bot.premium.unlink()
    done = saved_bot.run("backup.py", "--json").expect(3)
    tried = saved_bot.run("test_backup.py", "--send-alert").expect(1)
    assert "HTTP 403" in done.stdout
    for written in (done.stdout, done.stderr, tried.stdout, tried.stderr, saved_bot.log):
        assert not any(part in written for part in ("secret", "terces", "Zx8", "1174"))
