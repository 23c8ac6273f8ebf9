"""People are told: by a heartbeat always, by every other channel when a backup fails and when all is well again."""

import json
import os
import socket
import ssl
import time
from contextlib import contextmanager
from email import message_from_bytes, policy

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from lib.settings import channels
from tests.stand_ins.bot import environment
from tests.stand_ins.inbox import Inbox
from tests.stand_ins.unreachable import free_port

pytestmark = pytest.mark.campaign

PASSWORD = "smtp-secret-4711"
TOKEN = "123456:AbC-secret_4711"


class Mailbox:
    """What aiosmtpd calls for each message."""

    def __init__(self):
        self.messages = []

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if address.startswith("nobody"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, session, envelope):
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        self.was_encrypted = session.ssl is not None
        return "250 OK"


def sign_in(_server, _session, _envelope, _mechanism, found):
    is_right = (found.login, found.password) == (b"bot@example.org", PASSWORD.encode())
    return AuthResult(success=is_right, handled=False)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A certificate authority; OpenSSL trusts it by SSL_CERT_FILE."""
    found = trustme.CA()
    found.cert_pem.write_to_path(str(tmp_path_factory.mktemp("ca") / "ca.pem"))
    found.path = next(tmp_path_factory.getbasetemp().glob("ca*/ca.pem"))
    return found


@contextmanager
def mail_server(authority, from_the_first_byte=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    port = 2465 if from_the_first_byte else free_port()
    tls = {"ssl_context": context} if from_the_first_byte else {"tls_context": context, "require_starttls": True}
    server = Controller(Mailbox(), hostname="127.0.0.1", port=port, authenticator=sign_in, auth_required=True,
                        auth_require_tls=not from_the_first_byte, **tls)  # fmt: skip
    server.start()
    yield server
    server.stop()


def mail_settings(server, **changed):
    settings = {"ALERT_EMAIL_TO": "owner@example.org, admin@example.org", "SMTP_HOST": "localhost", "SMTP_PORT": server.port}
    return settings | {"SMTP_USER": "bot@example.org", "SMTP_PASSWORD": PASSWORD} | changed


def broken(bot):
    """Take one database away; what returns puts it back."""
    content = bot.premium.read_bytes()
    bot.premium.unlink()
    return lambda: bot.premium.write_bytes(content)


def test_a_heartbeat_tells_start_success_and_failure_with_the_log(saved_bot):
    inbox = Inbox()
    saved_bot.write_env(HEARTBEAT_URL=f"{inbox.url}/ping/4711?create=1")
    saved_bot.run("backup.py").expect(0)
    assert inbox.paths() == ["/ping/4711/start?create=1", "/ping/4711?create=1"]
    assert inbox.got[1][1].startswith("exit status 0\n")
    assert "INFO run 3: premium_system.refunds: 4 rows" in inbox.got[1][1]
    broken(saved_bot)
    saved_bot.run("backup.py").expect(3)
    assert inbox.paths()[2:] == ["/ping/4711/start?create=1", "/ping/4711/fail?create=1"]
    assert inbox.got[3][1].startswith("exit status 3\n")
    assert "premium_system.db does not exist." in inbox.got[3][1]


def test_a_failure_is_told_once_and_so_is_the_recovery(saved_bot):
    inbox = Inbox()
    saved_bot.write_env(ALERT_WEBHOOK_URL=f"{inbox.url}/hook")
    saved_bot.run("backup.py").expect(0)
    assert inbox.got == []
    mend = broken(saved_bot)
    for _ in range(3):
        saved_bot.run("backup.py").expect(3)
    (text,) = inbox.texts()
    assert "⚠️ Hybrid backup on " in text.splitlines()[0]
    assert "premium_system → 127.0.0.1:\nError: " in text
    assert "premium_system.db does not exist.\nNothing was changed in Supabase; the last good backup is run 3, " in text
    restore = f"python3 restore.py --env-file {saved_bot.folder / '.env'} --database premium_system"
    assert f"\nTry: restore it with  {restore}  or correct SQLITE_DATABASES" in text
    found = json.loads(inbox.got[0][1])
    assert found["content"] == found["text"]
    assert found["allowed_mentions"] == {"parse": []}
    mend()
    for _ in range(2):
        saved_bot.run("backup.py").expect(0)
    assert len(inbox.got) == 2
    assert "✅" in inbox.texts()[1]
    assert "Works again: premium_system → 127.0.0.1." in inbox.texts()[1]


def test_another_failure_is_news_and_the_same_one_is_told_again_after_a_day(saved_bot):
    inbox = Inbox()
    saved_bot.write_env(ALERT_WEBHOOK_URL=f"{inbox.url}/hook")
    broken(saved_bot)
    saved_bot.run("backup.py").expect(3)
    saved_bot.premium.write_bytes(b"")
    saved_bot.run("backup.py").expect(3)
    assert "is empty (0 bytes)" in inbox.texts()[1]
    memory = saved_bot.folder / "snapshots" / "alerts.json"
    assert memory.stat().st_mode & 0o077 == 0
    for hours, expected in ((12, 2), (25, 3), (-25, 4)):
        told = json.loads(memory.read_text())
        for said in told["webhook"].values():
            said[1] = time.time() - hours * 3600
        memory.write_text(json.dumps(told))
        saved_bot.run("backup.py").expect(3)
        assert len(inbox.got) == expected


def test_a_run_for_one_source_does_not_announce_the_recovery_of_another(saved_bot):
    inbox = Inbox()
    saved_bot.write_env(ALERT_WEBHOOK_URL=f"{inbox.url}/hook")
    broken(saved_bot)
    saved_bot.run("backup.py").expect(3)
    saved_bot.run("backup.py", "user_requests").expect(0)
    saved_bot.run("backup.py").expect(3)
    assert len(inbox.got) == 1


def test_an_unexpected_error_is_told_too(saved_bot):
    inbox = Inbox()
    saved_bot.write_env(ALERT_WEBHOOK_URL=f"{inbox.url}/hook")
    saved_bot.query("ALTER TABLE backup.run_tables ALTER rows DROP NOT NULL; UPDATE backup.run_tables SET rows = NULL")
    saved_bot.run("backup.py").expect(1)
    assert "the whole backup:\nError: an unexpected TypeError: " in inbox.texts()[0]
    saved_bot.query("UPDATE backup.run_tables SET rows = 0")
    saved_bot.run("backup.py").expect(0)
    assert "Works again: the whole backup." in inbox.texts()[1]


def test_telegram_and_mail_say_the_same(saved_bot, authority):
    inbox = Inbox()
    with mail_server(authority) as server:
        telegram = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_CHAT_ID": "-100123", "TELEGRAM_API_URL": inbox.url}
        saved_bot.write_env(**telegram, **mail_settings(server))
        broken(saved_bot)
        run_trusting(saved_bot, authority, "backup.py").expect(3)
    (mail,) = server.handler.messages
    assert server.handler.was_encrypted
    assert mail["Subject"].startswith("⚠️ Hybrid backup on ")
    assert (mail["From"], mail["To"]) == ("bot@example.org", "owner@example.org, admin@example.org")
    assert "premium_system.db does not exist." in mail.get_content()
    ((path, body),) = inbox.got
    assert path == f"/bot{TOKEN}/sendMessage"
    assert json.loads(body)["chat_id"] == "-100123"
    assert "premium_system.db does not exist." in json.loads(body)["text"]


def run_trusting(bot, authority, *command):
    os.environ["SSL_CERT_FILE"] = str(authority.path)
    try:
        return bot.run(*command)
    finally:
        del os.environ["SSL_CERT_FILE"]


def test_mail_with_names_in_its_addresses(saved_bot, authority):
    with mail_server(authority) as server:
        names = {"ALERT_EMAIL_TO": '"Owner, the" <owner@example.org>, admin@example.org', "SMTP_FROM": "Bot <bot@example.org>"}
        saved_bot.write_env(**mail_settings(server, **names))
        run_trusting(saved_bot, authority, "test_backup.py", "--send-alert").expect(0)
    (mail,) = server.handler.messages
    assert (mail["From"], mail["To"]) == ("Bot <bot@example.org>", names["ALERT_EMAIL_TO"])


def test_mail_with_tls_from_the_first_byte(saved_bot, authority):
    with mail_server(authority, from_the_first_byte=True) as server:
        saved_bot.write_env(**mail_settings(server))
        run_trusting(saved_bot, authority, "test_backup.py", "--send-alert").expect(0)
    assert len(server.handler.messages) == 1


def test_a_mail_server_that_cannot_be_verified_gets_no_password(saved_bot, authority):
    with mail_server(authority) as server:
        saved_bot.write_env(**mail_settings(server))
        said = saved_bot.run("test_backup.py", "--send-alert").expect(1).stdout
    assert "certificate verify failed" in said
    assert server.handler.messages == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"SMTP_PASSWORD": "wrong-secret-4711"}, "the server says 535"),
        ({"ALERT_EMAIL_TO": "owner@example.org,nobody@example.org"}, "the server refuses nobody@example.org (550 no such user)"),
    ],
)
def test_what_the_mail_server_refuses_is_said(saved_bot, authority, changed, said):
    with mail_server(authority) as server:
        saved_bot.write_env(**mail_settings(server, **changed))
        broken(saved_bot)
        done = run_trusting(saved_bot, authority, "backup.py").expect(3)
    assert f"Warning: the alert by e-mail was not delivered: {said}" in done.stderr
    assert "secret-4711" not in done.stderr + (saved_bot.folder / "supabase_backup.log").read_text()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("refusing", "HTTP 403 Forbidden: "),
        ("redirecting", "the address has moved (HTTP 301): put the new one into the settings"),
        ("babbling", "the answer is no HTTP (BadStatusLine)"),
    ],
)
def test_an_alert_that_fails_is_reported_and_fails_nothing(saved_bot, answer, said):
    inbox = Inbox(answer)
    saved_bot.write_env(HEARTBEAT_URL=f"{inbox.url}/secret-ping-4711")
    done = saved_bot.run("backup.py", "--json").expect(0)
    assert [warning for warning in done.json["warnings"] if said in warning], done.json["warnings"]
    assert "GET /elsewhere" not in inbox.paths()
    assert f"the alert by heartbeat was not delivered: {said}" in (saved_bot.folder / "supabase_backup.log").read_text()
    assert "secret-ping-4711" not in done.stdout


def test_nobody_listens(saved_bot):
    saved_bot.write_env(HEARTBEAT_URL=f"http://127.0.0.1:{free_port()}/x", ALERT_WEBHOOK_URL="http://localhost:1/x")
    done = saved_bot.run("backup.py").expect(0)
    assert "Warning: the alert by heartbeat was not delivered: [Errno 111] Connection refused." in done.stderr


def test_a_slow_server_is_waited_for(saved_bot):
    inbox = Inbox("slow")
    saved_bot.write_env(HEARTBEAT_URL=f"{inbox.url}/x")
    assert saved_bot.run("backup.py").expect(0).stderr == ""
    assert inbox.paths() == ["/x/start", "/x"]


def test_servers_that_never_answer_hold_up_a_backup_for_a_bounded_time(saved_bot):
    inbox = Inbox("dripping")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = {
            "SMTP_HOST": "localhost",
            "SMTP_PORT": silent.getsockname()[1],
            "ALERT_EMAIL_TO": "a@b.c",
            "SMTP_FROM": "a@b.c",
        }
        saved_bot.write_env(
            HEARTBEAT_URL=f"http://127.0.0.1:{silent.getsockname()[1]}/x", ALERT_WEBHOOK_URL=f"{inbox.url}/x", **hanging
        )
        broken(saved_bot)
        started = time.monotonic()
        done = saved_bot.run("backup.py").expect(3)
    assert time.monotonic() - started < 60
    for channel in ("heartbeat", "webhook", "e-mail"):
        assert f"the alert by {channel} was not delivered: " in done.stderr
    assert saved_bot.query("SELECT count(*) FROM backup.runs WHERE outcome = 'saved' AND source = 'user_requests'") == [(2,)]


def test_an_alert_that_was_not_delivered_is_told_by_the_next_run(saved_bot):
    inbox = Inbox("refusing")
    saved_bot.write_env(ALERT_WEBHOOK_URL=f"{inbox.url}/x")
    broken(saved_bot)
    saved_bot.run("backup.py").expect(3)
    inbox.answer = "ok"
    for _ in range(2):
        saved_bot.run("backup.py").expect(3)
    assert len(inbox.got) == 2


def test_a_trial_leaves_the_heartbeat_as_it_is(saved_bot):
    inbox = Inbox()
    saved_bot.write_env(HEARTBEAT_URL=f"{inbox.url}/ping", ALERT_WEBHOOK_URL=f"{inbox.url}/hook")
    said = saved_bot.run("test_backup.py", "--send-alert").expect(0).stdout
    assert "✅ 1. Alert by webhook: sent" in said
    assert sorted(inbox.paths()) == ["/hook", "/ping/log"]


def test_a_trial_without_channels_says_what_to_set(saved_bot):
    assert "no channel is set.\n     Try: set HEARTBEAT_URL" in saved_bot.run("test_backup.py", "--send-alert").expect(1).stdout


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"HEARTBEAT_URL": "hc-ping.com/x"}, "HEARTBEAT_URL is not of the form https://HOST/PATH."),
        ({"HEARTBEAT_URL": "http://hc-ping.com/x"}, "HEARTBEAT_URL: others could read along; use https."),
        ({"ALERT_WEBHOOK_URL": "file:///etc/passwd"}, "ALERT_WEBHOOK_URL is not of the form"),
        ({"ALERT_WEBHOOK_URL": "https://host:port/x"}, "ALERT_WEBHOOK_URL is not of the form"),
        ({"ALERT_EMAIL_TO": "a@b.c", "SMTP_FROM": "a@b.c"}, "ALERT_EMAIL_TO needs SMTP_HOST"),
        ({"ALERT_EMAIL_TO": "a", "SMTP_HOST": "x", "SMTP_FROM": "a@b.c"}, "ALERT_EMAIL_TO 'a' is no e-mail address"),
        ({"ALERT_EMAIL_TO": "a@b c@d", "SMTP_HOST": "x", "SMTP_FROM": "a@b.c"}, "ALERT_EMAIL_TO 'a@b c@d' is no e-mail address"),
        ({"ALERT_EMAIL_TO": ";,", "SMTP_HOST": "x", "SMTP_FROM": "a@b.c"}, "ALERT_EMAIL_TO ';,' is no e-mail address"),
        ({"ALERT_EMAIL_TO": "a@b", "SMTP_HOST": "x", "SMTP_FROM": "a@b, c@d"}, "SMTP_FROM is not set to an e-mail address."),
        ({"ALERT_EMAIL_TO": "a@b.c", "SMTP_HOST": "x"}, "SMTP_FROM is not set to an e-mail address."),
        ({"ALERT_EMAIL_TO": "a@b.c", "SMTP_HOST": "x", "SMTP_USER": "a@b.c"}, "SMTP_USER and SMTP_PASSWORD belong together"),
        ({"ALERT_EMAIL_TO": "a@b.c", "SMTP_HOST": "x", "SMTP_FROM": "a@b.c", "SMTP_PORT": "x"}, "SMTP_PORT 'x' is not a number"),
        ({"TELEGRAM_CHAT_ID": "1"}, "TELEGRAM_CHAT_ID needs TELEGRAM_BOT_TOKEN"),
        ({"TELEGRAM_CHAT_ID": "1", "TELEGRAM_BOT_TOKEN": "1:x/../y"}, "TELEGRAM_CHAT_ID needs TELEGRAM_BOT_TOKEN"),
    ],
)
def test_a_wrong_setting_of_a_channel_is_named(settings, said):
    found = channels.read(settings)
    assert len(found.wrong) == 1
    assert said in found.wrong[0]
    assert found == channels.Channels(wrong=found.wrong, telegram_chat=settings.get("TELEGRAM_CHAT_ID", ""))  # and it is off


def test_what_belongs_to_the_bot_is_left_alone():
    assert channels.read({"TELEGRAM_BOT_TOKEN": TOKEN, "SMTP_HOST": "mail", "SMTP_USER": "x"}) == channels.Channels()
    assert set(channels.NAMES).isdisjoint(environment())
