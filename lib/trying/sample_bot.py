"""Sample databases of a Telegram gift bot, made from a seed: for the demo, the tests and the benchmark."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from lib.sqlite.files.names import quoted

Row = tuple[int | str | None, ...]

NOW = 1_763_800_000
PREMIUM = "premium_system.db"
REQUESTS = "user_requests.db"

PREMIUM_SCHEMA = """
CREATE TABLE premium_subscriptions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id INTEGER NOT NULL,
    group_id INTEGER NOT NULL,
    payment_id TEXT NOT NULL,
    telegram_payment_charge_id TEXT NOT NULL,
    stars_amount INTEGER NOT NULL,
    mrkt_link TEXT, palace_link TEXT, tonnel_link TEXT, portal_link TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    is_active BOOLEAN DEFAULT 1,
    UNIQUE(owner_id, group_id)
);
CREATE TABLE payment_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id INTEGER NOT NULL,
    payment_id TEXT NOT NULL,
    stars_amount INTEGER NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE TABLE refunds (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subscription_id INTEGER NOT NULL,
    owner_id INTEGER NOT NULL,
    group_id INTEGER NOT NULL,
    payment_id TEXT NOT NULL,
    stars_amount INTEGER NOT NULL,
    refund_reason TEXT,
    refunded_at INTEGER NOT NULL,
    status TEXT DEFAULT 'pending', -- or 'done'
    processed_by TEXT,
    FOREIGN KEY (subscription_id) REFERENCES premium_subscriptions(id)
);
CREATE TABLE refunded_groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id INTEGER UNIQUE NOT NULL,
    owner_id INTEGER NOT NULL,
    refunded_at INTEGER NOT NULL,
    reason TEXT
);
CREATE TABLE pending_payments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id INTEGER NOT NULL,
    payment_id TEXT NOT NULL,
    stars_amount INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX idx_owner ON premium_subscriptions(owner_id);
CREATE INDEX idx_expires ON premium_subscriptions(expires_at);
"""

REQUESTS_SCHEMA = """
CREATE TABLE user_requests (
    user_id INTEGER NOT NULL,
    chat_id INTEGER NOT NULL,
    gift_name TEXT NOT NULL,
    minute INTEGER NOT NULL,
    PRIMARY KEY (user_id, chat_id, gift_name)
);
CREATE TABLE command_requests (
    user_id INTEGER NOT NULL,
    chat_id INTEGER NOT NULL,
    command_name TEXT NOT NULL,
    minute INTEGER NOT NULL,
    PRIMARY KEY (user_id, chat_id, command_name)
);
ALTER TABLE command_requests ADD COLUMN timestamp INTEGER NOT NULL DEFAULT 0;
CREATE TABLE message_owners (
    message_id INTEGER NOT NULL,
    chat_id INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    PRIMARY KEY (message_id, chat_id)
);
CREATE TABLE linked_messages (
    original_message_id INTEGER,
    chat_id INTEGER,
    linked_message_id INTEGER,
    user_id INTEGER,
    timestamp INTEGER,
    PRIMARY KEY (original_message_id, chat_id, linked_message_id)
);
"""

# Rows at 1,200 users, the size of the real bot. What is paid for grows with the users; what is asked grows more slowly,
# because most users of a big bot are silent: 60,000 users make 404,000 rows.
PAID = {"premium_subscriptions": 160, "payment_history": 350, "refunds": 40, "refunded_groups": 25, "pending_payments": 7}
ASKED = {"user_requests": 4_700, "command_requests": 5_200, "message_owners": 23_000, "linked_messages": 30}
REAL_USERS = 1_200
SILENCE = 0.6218

GIFTS = (
    "Plush Pepe",
    "Durov's Cap",
    "Precious Peach",
    "Сердце 💝",
    "Homemade Cake 🎂",
    'Ring "Nail"',
    "Свеча",
    "Lol Pop",
    "Eternal Rose",
)
COMMANDS = ("/start", "/help", "/premium", "/chart", "/refund", "/settings", "/подарок")
REASONS = (None, "", "duplicate payment", "не работает", 'He said: "it\'s broken"', "two\nlines", "tab\there, comma, and 🎁")


def make(folder: Path, users: int = REAL_USERS, seed: int = 1) -> tuple[Path, Path]:
    """Write both databases into the folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    chance, scale = random.Random(seed), users / REAL_USERS
    paid = {table: round(rows * scale) for table, rows in PAID.items()}
    asked = {table: round(rows * scale**SILENCE) for table, rows in ASKED.items()}
    _write(folder / PREMIUM, PREMIUM_SCHEMA, {table: PAID_ROWS[table](chance, rows) for table, rows in paid.items()})
    _write(folder / REQUESTS, REQUESTS_SCHEMA, {table: ASKED_ROWS[table](chance, rows) for table, rows in asked.items()})
    return folder / PREMIUM, folder / REQUESTS


def _write(path: Path, schema: str, tables: dict[str, Iterator[Row]]) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(schema)
        for table, rows in tables.items():
            for row in rows:
                database.execute(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(row))})", row)


def _user(chance: random.Random) -> int:
    return chance.randint(10_000_000, 8_000_000_000)


def _chat(chance: random.Random) -> int:
    return -1_001_000_000_000 - chance.randint(0, 999_999_999)


def _subscriptions(chance: random.Random, rows: int) -> Iterator[Row]:
    for number in range(1, rows + 1):
        created = NOW - chance.randint(0, 90 * 86_400)
        links = [chance.choice((None, "", f"https://t.me/mrkt/app?startapp={chance.getrandbits(32)}")) for _ in range(4)]
        payment = (f"payment_{number}", f"stx{chance.getrandbits(120):x}", chance.choice((99, 499, 999)))
        expires = chance.choice((None, created + 30 * 86_400))
        # A renewal takes a new id, so the ids have gaps.
        yield (2 * number, _user(chance), _chat(chance), *payment, *links, created, expires, chance.choice((0, 1, 1, None)))


def _payments(chance: random.Random, rows: int) -> Iterator[Row]:
    for number in range(1, rows + 1):
        status = chance.choice(("completed", "completed", "failed", "refunded"))
        yield number, _user(chance), f"payment_{number}", chance.choice((99, 499, 999)), status, NOW - chance.randint(0, 10**7)


def _refunds(chance: random.Random, rows: int) -> Iterator[Row]:
    for number in range(1, rows + 1):
        who = (chance.randint(1, 10**6), _user(chance), _chat(chance), f"payment_{number}", 99)
        yield (
            number,
            *who,
            chance.choice(REASONS),
            NOW - number,
            chance.choice(("pending", "done", None)),
            chance.choice((None, "admin")),
        )


def _refunded_groups(chance: random.Random, rows: int) -> Iterator[Row]:
    return (
        (number, _chat(chance) - number * 10**9, _user(chance), NOW - number, chance.choice(REASONS))
        for number in range(1, rows + 1)
    )


def _pending(chance: random.Random, rows: int) -> Iterator[Row]:
    return ((number, _user(chance), f"pending_{number}", 99, NOW - 600, NOW + 1_200) for number in range(1, rows + 1))


def _requests(chance: random.Random, rows: int) -> Iterator[Row]:
    return ((_user(chance), _chat(chance), chance.choice(GIFTS), NOW // 60 - chance.randint(0, 10**5)) for _ in range(rows))


def _commands(chance: random.Random, rows: int) -> Iterator[Row]:
    for _ in range(rows):
        asked = NOW - chance.randint(0, 10**6)
        yield _user(chance), _chat(chance), chance.choice(COMMANDS), asked // 60, chance.choice((0, asked))


def _messages(chance: random.Random, rows: int) -> Iterator[Row]:
    return ((number, _chat(chance), _user(chance), NOW - chance.randint(0, 20_000)) for number in range(1, rows + 1))


def _links(chance: random.Random, rows: int) -> Iterator[Row]:
    return ((number, _chat(chance), number + 1, _user(chance), NOW - number) for number in range(1, rows + 1))


PAID_ROWS = {
    "premium_subscriptions": _subscriptions,
    "payment_history": _payments,
    "refunds": _refunds,
    "refunded_groups": _refunded_groups,
    "pending_payments": _pending,
}
ASKED_ROWS = {"user_requests": _requests, "command_requests": _commands, "message_owners": _messages, "linked_messages": _links}


def live(folder: Path, seed: int) -> None:
    """Let the bot live for some hours: sales, renewals, refunds, requests, and old messages that are forgotten."""
    chance = random.Random(seed)
    with closing(sqlite3.connect(folder / PREMIUM)) as database, database:
        _sell(database, chance)
    with closing(sqlite3.connect(folder / REQUESTS)) as database, database:
        _answer(database, chance)


def _sell(database: sqlite3.Connection, chance: random.Random) -> None:
    pairs = database.execute("SELECT owner_id, group_id FROM premium_subscriptions ORDER BY id").fetchall()
    for owner, group in [*chance.sample(pairs, max(1, len(pairs) // 50)), (_user(chance), _chat(chance))]:
        payment = f"payment_{chance.getrandbits(60):x}"
        database.execute(
            """INSERT OR REPLACE INTO premium_subscriptions
                   (owner_id, group_id, payment_id, telegram_payment_charge_id, stars_amount, created_at, expires_at)
               VALUES (?, ?, ?, ?, 99, ?, ?)""",
            (owner, group, payment, f"stx{chance.getrandbits(120):x}", NOW, NOW + 30 * 86_400),
        )
        database.execute(
            "INSERT INTO payment_history (owner_id, payment_id, stars_amount, status, created_at) VALUES (?, ?, 99, ?, ?)",
            (owner, payment, "completed", NOW),
        )
    database.execute("UPDATE refunds SET status = 'done', processed_by = 'админ 👮' WHERE id % 10 = ?", [chance.randint(0, 9)])
    database.execute("DELETE FROM pending_payments")


def _answer(database: sqlite3.Connection, chance: random.Random) -> None:
    (most,) = database.execute("SELECT coalesce(max(message_id), 0) FROM message_owners").fetchone()
    for number in range(1, 201):
        row = (most + number, _chat(chance), _user(chance), NOW)
        database.execute("INSERT INTO message_owners VALUES (?, ?, ?, ?)", row)
    database.execute("UPDATE user_requests SET minute = minute + 360 WHERE user_id % 100 = ?", [chance.randint(0, 99)])
    database.execute("DELETE FROM message_owners WHERE timestamp < ?", [NOW - 20_000 + chance.randint(100, 400)])


def delete_last_rows(path: Path) -> int:
    """Delete the last row of every table that has rows, and return how many were deleted; for a trial on any database."""
    with closing(sqlite3.connect(path)) as database, database:
        tables = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
        ).fetchall()
        deleted = 0
        for (name,) in tables:
            if not name.startswith("sqlite_"):
                with suppress(sqlite3.Error):  # WITHOUT ROWID, a trigger that refuses, a shadow table
                    wanted = f"rowid = (SELECT max(rowid) FROM {quoted(name)})"
                    deleted += database.execute(f"DELETE FROM {quoted(name)} WHERE {wanted}").rowcount
        return deleted
