"""Databases that break transfer tools, one per family; each is a script, or a function that builds the file."""

import contextlib
import sqlite3
import struct
from pathlib import Path

MANY = 1_100

ROWS = {
    "seven values that look alike": """
        CREATE TABLE t (id INTEGER PRIMARY KEY, v);
        INSERT INTO t (v) VALUES (1), (1.0), ('1'), (x'31'), (''), (x''), (NULL), ('NULL'), ('\\N'), ('\\.');""",
    "a line that ends a COPY": "CREATE TABLE t (v TEXT PRIMARY KEY); INSERT INTO t VALUES ('\\.'), ('\\'), ('\\N'), (char(10)), ('a' || char(13,10) || '\\.')",
    "quotes, tabs, commas, newlines": """
        CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, w TEXT);
        INSERT INTO t VALUES (1, '"', ''''), (2, '""', ','), (3, char(9), char(10)), (4, char(13), char(11,12,8)), (5, '\\t', '\\\\"'),
            (6, ' leading', 'trailing '), (7, '{}', '%s %%'), (8, char(127), char(1,2,3,31));""",
    "other classes in an INTEGER column": """
        CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER);
        INSERT INTO t (n) VALUES (1), (2), (3), (4), (5), (6), (7), ('toto'), (''), (x'00'), (3.7), (9e99), (NULL), ('12abc');""",
    "integers in TEXT, two in BOOLEAN, over-long VARCHAR, no such DATE": """
        CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b BOOLEAN, c VARCHAR(3), d DATE, e DATETIME, f DECIMAL(10,2), g NUMERIC);
        INSERT INTO t VALUES (1, 5, 2, 'too long', '2024-02-30', '2024-01-01 00:00:00', 10.50, 10),
            (2, 'five', 1, 'abc', 20240230, 1700000000, '10.50', '10.0'), (3, 5.5, 'true', 7, 'toto', 1.5, 1e300, 'x'),
            (4, x'05', 0, x'00', NULL, '', 0, 0.1);""",
    "64 bits": """
        CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER);
        INSERT INTO t VALUES (-9223372036854775808, 9223372036854775807), (9223372036854775807, -9223372036854775808), (0, 0), (-1, -1);""",
    "NUL in text": "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t (v) VALUES ('a' || char(0) || 'b'), (char(0)), ('plain'), (char(0) || 'x')",
    "invalid UTF-8": """
        CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
        INSERT INTO t (v) VALUES (CAST(x'ff' AS TEXT)), (CAST(x'c3' AS TEXT)), (CAST(x'80' AS TEXT)), (CAST(x'eda080' AS TEXT)),
            (CAST(x'c080' AS TEXT)), (CAST(x'f4908080' AS TEXT)), (CAST(x'61e2' AS TEXT)), (CAST(x'efbfbd' AS TEXT)), (CAST(x'efbbbf' AS TEXT)),
            ('ok'), ('é'), ('🎁'), (char(0xfffe)), (char(0x10ffff)), (char(0x85, 0x2028));""",
    "UTF-16 little": "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (k TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 'é'), ('🎁', x'3c'), ('ÿ', CAST(x'00d8' AS TEXT)), ('nul', 'a' || char(0)), ('', '')",
    "UTF-16 big": "PRAGMA encoding = 'UTF-16be'; CREATE TABLE \"é🎁\" (k TEXT PRIMARY KEY, v DEFAULT 'ü'); INSERT INTO \"é🎁\" VALUES ('a', 'é'), ('🎁', 1.5), ('ÿ', CAST(x'dc00' AS TEXT)), ('b', CAST(x'0061d8' AS TEXT))",
    "no rows at all": "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE u (a, b, c); CREATE TABLE w (k PRIMARY KEY) WITHOUT ROWID",
    "an empty database": "PRAGMA user_version = 3; VACUUM",
    "all NULL": "CREATE TABLE t (a, b TEXT, c INTEGER); INSERT INTO t VALUES (NULL, NULL, NULL), (NULL, NULL, NULL)",
    "one column": "CREATE TABLE t (a); INSERT INTO t VALUES (NULL), (''), (1), (NULL)",
}  # fmt: skip

KEYS = {
    "NULL in a primary key": """
        CREATE TABLE t (a TEXT, b INTEGER, v TEXT, PRIMARY KEY (a, b));
        INSERT INTO t VALUES (NULL, 1, 'x'), (NULL, 1, 'x'), ('a', NULL, 'y'), ('a', 1, 'z'), (NULL, NULL, NULL);""",
    "no primary key, duplicates and gaps": """
        CREATE TABLE t (a TEXT, n INTEGER); INSERT INTO t VALUES ('x', 1), ('x', 1), ('x', 1), ('y', 2), ('z', 3);
        DELETE FROM t WHERE rowid IN (2, 4); INSERT INTO t (rowid, a, n) VALUES (-5, 'neg', 0), (9223372036854775807, 'max', 9);""",
    "columns that hide the rowid": """
        CREATE TABLE one (rowid TEXT, v TEXT); INSERT INTO one VALUES ('a', 'b'), ('a', 'b');
        CREATE TABLE two (rowid TEXT, oid INTEGER, v TEXT); INSERT INTO two VALUES ('a', 1, 'b'), ('a', 1, 'b');
        CREATE TABLE three (rowid TEXT, oid INTEGER, _rowid_ TEXT); INSERT INTO three VALUES ('a', 1, 'b'), ('a', 1, 'b'), ('c', NULL, x'00');
        CREATE TABLE four (ROWID TEXT PRIMARY KEY, v); INSERT INTO four VALUES ('a', 1), ('b', 2);""",
    "WITHOUT ROWID": """
        CREATE TABLE t (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO t VALUES ('a', 1), ('b', NULL), (x'61', 'blob key'), (1, 2);
        CREATE TABLE u (a, b, c, PRIMARY KEY (c, a)) WITHOUT ROWID; INSERT INTO u VALUES (1, 2, 3), ('1', 2, 3), (1.5, 2, 3);""",
    "keys of mixed storage class": "CREATE TABLE t (k PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a'), ('1', 'b'), (x'31', 'c'), (1.5, 'd'), (NULL, 'e'), (NULL, 'f')",
    "NOCASE and RTRIM keys": """
        CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, v); INSERT INTO t VALUES ('Abc', 1), ('b', 2), ('É', 3), ('é', 4);
        CREATE TABLE u (k TEXT COLLATE RTRIM PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO u VALUES ('a  ', 1), ('b', 2);""",
    "long keys": """
        CREATE TABLE t (k TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('short', 1), (hex(zeroblob(2000)), 2);
        CREATE TABLE b (k BLOB, j TEXT, PRIMARY KEY (k, j)) WITHOUT ROWID;
        INSERT INTO b VALUES (randomblob(2400), 'x', 1), (randomblob(1000), hex(randomblob(800)), 2), (x'00', 'y', 3);"""
        .replace("(k, j)) WITHOUT", "(k, j)) WITHOUT").replace("j TEXT, PRIMARY", "j TEXT, n, PRIMARY"),
    "keys that are no rowid": """
        CREATE TABLE a (id INT PRIMARY KEY, v); INSERT INTO a VALUES (1, 'x'), (NULL, 'y'), ('z', 'z');
        CREATE TABLE b (id INTEGER PRIMARY KEY DESC, v); INSERT INTO b VALUES (5, 'x'), (NULL, 'y');
        CREATE TABLE c (id "INTEGER" PRIMARY KEY, v); INSERT INTO c VALUES (5, 'x');
        CREATE TABLE d (id BIGINT PRIMARY KEY ASC, v); INSERT INTO d VALUES (5, 'x');
        CREATE TABLE e (id integer, v, PRIMARY KEY (id DESC)); INSERT INTO e VALUES (7, 'x');""",
    "real keys": "CREATE TABLE t (k REAL PRIMARY KEY, v); INSERT INTO t VALUES (0.1, 1), (1, 2), (1e308, 3), (-0.0, 4), (9e999, 5), (-9e999, 6)",
    "forty key columns": f"CREATE TABLE t ({', '.join(f'k{n}' for n in range(40))}, PRIMARY KEY ({', '.join(f'k{n}' for n in range(40))}));"
        f"INSERT INTO t VALUES ({', '.join('1' * 40)});"
        f"CREATE TABLE u ({', '.join(f'k{n}' for n in range(40))}, PRIMARY KEY ({', '.join(f'k{n}' for n in range(40))})) WITHOUT ROWID;"
        f"INSERT INTO u VALUES ({', '.join('2' * 40)});",
    "a foreign key in the key": "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p INTEGER REFERENCES p, n INTEGER, PRIMARY KEY (p, n)); INSERT INTO c VALUES (99, 1)",
    "a foreign key that SQLite cannot follow": "CREATE TABLE p (id INTEGER PRIMARY KEY, q); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (q), q INTEGER REFERENCES p); INSERT INTO c VALUES (1, 1, 9); CREATE VIEW v AS SELECT 1 AS id; CREATE TABLE w (v INTEGER REFERENCES v (id)); INSERT INTO w VALUES (1)",
}  # fmt: skip

LONG = "a_name_that_is_longer_than_sixty_three_bytes_and_shares_its_prefix_with_another_"
NAMES = {
    "case": 'CREATE TABLE Users (Id INTEGER PRIMARY KEY, userName TEXT); INSERT INTO Users VALUES (1, \'x\'); CREATE TABLE "É" (a); CREATE TABLE "é" (a); INSERT INTO "é" VALUES (1)',
    "quotes, dots, spaces, emoji, percent, braces": """
        CREATE TABLE "a""b.c d" ("x""y" INTEGER PRIMARY KEY, "a.b" TEXT, "🎁" TEXT, "%s" TEXT, "{c}" TEXT, "100%" TEXT, "'" TEXT, "\\" TEXT, "" TEXT);
        INSERT INTO "a""b.c d" VALUES (1, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
        CREATE TABLE "%s" (a); INSERT INTO "%s" VALUES (x'00'); CREATE TABLE "{schema}" (a PRIMARY KEY); INSERT INTO "{schema}" VALUES ('b');
        CREATE TABLE 'single''quoted' ([b c] TEXT, `d` TEXT); INSERT INTO 'single''quoted' VALUES (1, 2);""",
    "an empty table name": 'CREATE TABLE "" ("" INTEGER PRIMARY KEY, " " TEXT); INSERT INTO "" VALUES (1, \'x\')',
    "reserved words": 'CREATE TABLE "select" ("from" INTEGER PRIMARY KEY, "where" TEXT, "group" TEXT, "user" TEXT, "null" TEXT); INSERT INTO "select" VALUES (1, 2, 3, 4, 5)',
    "over 63 bytes": f"CREATE TABLE {LONG}1 ({LONG}1 INTEGER PRIMARY KEY, {LONG}2 TEXT); CREATE TABLE {LONG}2 ({LONG}1 INTEGER PRIMARY KEY, {LONG}2 TEXT);"
        f"INSERT INTO {LONG}1 VALUES (1, 'a'); INSERT INTO {LONG}2 VALUES (1, 'b'), (2, x'00'); CREATE TABLE \"{'🎁' * 30}\" (a); INSERT INTO \"{'🎁' * 30}\" VALUES (1);",
    "Postgres' system columns": "CREATE TABLE t (ctid INTEGER PRIMARY KEY, xmin TEXT, tableoid TEXT, cmin, cmax, xmax, oid); INSERT INTO t VALUES (1, 2, 3, 4, 5, 6, 7)",
    "names of the staging tables": "CREATE TABLE staging_0 (id INTEGER PRIMARY KEY); CREATE TABLE misfits (line); CREATE TABLE merged (a); INSERT INTO misfits VALUES (1); CREATE TABLE mirror (staging PRIMARY KEY, excluded); INSERT INTO mirror VALUES (1, 2)",
    "names that are expressions": 'CREATE TABLE t ("count(*)" INTEGER, "1" TEXT, "a--b" TEXT, "/*" TEXT, ";" TEXT); INSERT INTO t VALUES (1, 2, 3, 4, 5)',
    "as many columns as Postgres has": f"CREATE TABLE t ({', '.join(f'c{n} TEXT' for n in range(900))}); INSERT INTO t VALUES ({', '.join(repr('text of some length, to fill the page ' + str(n)) for n in range(900))})",
    "two thousand columns": f"CREATE TABLE t ({', '.join(f'c{n}' for n in range(2000))}); INSERT INTO t DEFAULT VALUES; INSERT INTO t (c0, c1999) VALUES (1, 'x')",
    "eleven hundred doubles": f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(f'c{n} REAL' for n in range(MANY))}); INSERT INTO t VALUES (1, {', '.join(f'{n}.5' for n in range(MANY))})",
}  # fmt: skip

SCHEMAS = {
    "comments and odd quoting": "CREATE TABLE /* one */ [t] (-- two\n id INTEGER PRIMARY KEY, 'v' TEXT DEFAULT 'it''s', /* three */ \"w\" -- four\n); INSERT INTO t DEFAULT VALUES",
    "ALTERed text": """
        CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'x'); ALTER TABLE t ADD COLUMN b INTEGER NOT NULL DEFAULT 7;
        ALTER TABLE t RENAME COLUMN a TO "a b"; ALTER TABLE t RENAME TO "t 2"; CREATE INDEX i ON "t 2" ("a b"); ALTER TABLE "t 2" DROP COLUMN b""",
    "STRICT": "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b TEXT, c REAL, d BLOB, e ANY) STRICT; INSERT INTO t VALUES (1, 2, 'x', 1, x'00', '5'), (2, 2, 'x', 0.5, x'00', 5), (3, NULL, NULL, NULL, NULL, 1.0)",
    "generated columns": """
        CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER AS (a * 2), c TEXT AS (a || 'x') STORED, d TEXT);
        INSERT INTO t (a, d) VALUES (1, 'p'), (2, 'q'); CREATE INDEX i ON t (b);""",
    "JSON in indexes, generated columns, checks and defaults": """
        CREATE TABLE t (id INTEGER PRIMARY KEY, j TEXT NOT NULL DEFAULT (json_object('a', 1)) CHECK (json_valid(j)),
            v AS (json_extract(j, '$.a')), s TEXT AS (json_type(j)) STORED, UNIQUE (s, id));
        CREATE INDEX e ON t (json_extract(j, '$.a')); CREATE INDEX v ON t (v); CREATE INDEX p ON t (id) WHERE json_valid(j);
        CREATE UNIQUE INDEX u ON t (json_extract(j, '$.b'), id DESC);
        CREATE TABLE w (k TEXT PRIMARY KEY CHECK (json_array_length(k) > 0), v AS (json_extract(k, '$[0]')) STORED) WITHOUT ROWID;
        INSERT INTO t (id) VALUES (1); INSERT INTO t (id, j) VALUES (2, '{"a": [1, 2]}'), (3, '{"b": "x"}'), (4, '7');
        INSERT INTO w (k) VALUES ('[1]'), ('["a"]'); CREATE VIEW l AS SELECT t.id, e.value FROM t, json_each(t.j) AS e;
        CREATE TRIGGER r AFTER DELETE ON t WHEN json_valid(old.j) BEGIN SELECT json_extract(old.j, '$.a'); END;""",
    "SQLite's own functions wherever they may be": """
        CREATE TABLE t (a TEXT CHECK (a NOT LIKE '%!!' AND length(a) < 99 AND random() IS NOT NULL), n INTEGER DEFAULT (abs(random())),
            d TEXT DEFAULT (date('now')), h AS (hex(a)) STORED, r AS (round(n / 7.0, 3)), p AS (printf('%5.2f|%s', n, a)), PRIMARY KEY (a, n));
        INSERT INTO t (a, n) VALUES ('2024-02-29', 5), ('Ünï', 6), ('2024-12-31 10:00', -7);
        CREATE INDEX d ON t (date(a)); CREATE INDEX s ON t (strftime('%Y', a), julianday(a)); CREATE INDEX l ON t (a LIKE '2%', a GLOB '*[0-9]');
        CREATE INDEX x ON t (lower(a), upper(p), substr(h, 2), instr(a, '-'), coalesce(n, 0), iif(n > 0, n, -n), quote(a), unicode(a));
        CREATE INDEX r ON t (r) WHERE a LIKE '2%' AND n BETWEEN abs(-10) - 20 AND max(n, 9); CREATE INDEX c ON t (p COLLATE NOCASE);""",
    "generated columns of both kinds between others": """
        CREATE TABLE t (v1 AS (a + 1), a INTEGER, s1 TEXT GENERATED ALWAYS AS (a || 'x') STORED UNIQUE, b TEXT NOT NULL, v2 TEXT AS (b || a) UNIQUE,
            s2 REAL AS (a / 2.0) STORED NOT NULL, c, UNIQUE (v1, s2), UNIQUE (b COLLATE NOCASE, v2 DESC));
        INSERT INTO t (a, b, c) VALUES (1, 'p', NULL), (2, 'q', x'00'), (-3, 'R', 1.5); CREATE INDEX i ON t (s1, v2); CREATE INDEX j ON t (s2) WHERE v1 > 0;
        CREATE TABLE w (s INTEGER AS (n * 2) STORED, k TEXT, n INTEGER, v AS (n) UNIQUE, PRIMARY KEY (k DESC)) WITHOUT ROWID;
        INSERT INTO w (k, n) VALUES ('a', 1), ('b', 9223372036854775807), ('c', NULL);
        CREATE TABLE only (id INTEGER PRIMARY KEY, s AS (7) STORED); INSERT INTO only (id) VALUES (3), (9);""",
    "CHECKs that rows break": """
        PRAGMA ignore_check_constraints = ON; CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER CHECK (a > 10));
        INSERT INTO t VALUES (1, 5), (2, 15);""",
    "partial and expression indexes": """
        CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b); INSERT INTO t VALUES (1, 'X', NULL), (2, 'y', 2);
        CREATE INDEX p ON t (a) WHERE b IS NOT NULL; CREATE UNIQUE INDEX e ON t (lower(a), b + 1 DESC); CREATE INDEX c ON t (a COLLATE NOCASE)""",
    "triggers, also on views": """
        CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE TABLE log (a);
        CREATE TRIGGER boom AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.id); END;
        INSERT INTO t VALUES (1, 2); CREATE VIEW v AS SELECT * FROM t;
        CREATE TRIGGER io INSTEAD OF INSERT ON v BEGIN SELECT 1; END; CREATE VIEW missing AS SELECT * FROM nowhere;""",
    "counters, also edited by hand": """
        CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a); INSERT INTO t (a) VALUES (1), (2), (3); DELETE FROM t WHERE id > 1;
        UPDATE sqlite_sequence SET seq = 1000 WHERE name = 't'; INSERT INTO sqlite_sequence VALUES ('ghost', 'text'), ('t', 5), (NULL, NULL)""",
    "counters without a table": "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t DEFAULT VALUES; DROP TABLE t; CREATE TABLE u (a)",
    "statistics": "CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE INDEX i ON t (a); INSERT INTO t (a) VALUES (1), (1), (2); ANALYZE; UPDATE sqlite_stat1 SET stat = 'odd' WHERE idx = 'i'",
    "hidden rowids": "CREATE TABLE t (k TEXT PRIMARY KEY); INSERT INTO t (rowid, k) VALUES (7, 'a'), (-3, 'b'), (1000000000000, 'c')",
    "full text search": """
        CREATE VIRTUAL TABLE f5 USING fts5(title, body); INSERT INTO f5 VALUES ('one', 'two three'), ('Сердце', 'gift 🎁');
        CREATE VIRTUAL TABLE f4 USING fts4(x); INSERT INTO f4 VALUES ('some words'), ('other words');
        CREATE TABLE c (id INTEGER PRIMARY KEY, txt TEXT); INSERT INTO c VALUES (5, 'external content');
        CREATE VIRTUAL TABLE ext USING fts5(txt, content='c', content_rowid='id'); INSERT INTO ext (rowid, txt) VALUES (5, 'external content')""",
    "search indexes that are not as their rows": """
        CREATE TABLE c (id INTEGER PRIMARY KEY, a); INSERT INTO c VALUES (1, 'one'), (2, 'two');
        CREATE VIRTUAL TABLE none4 USING fts4(content='', a); INSERT INTO none4 (docid, a) VALUES (1, 'one two');
        CREATE VIRTUAL TABLE none5 USING fts5(content='', a); INSERT INTO none5 (rowid, a) VALUES (1, 'one two');
        CREATE VIRTUAL TABLE lags4 USING fts4(content='c', a); INSERT INTO lags4 (docid, a) VALUES (1, 'one');
        CREATE VIRTUAL TABLE lags5 USING fts5(content='c', content_rowid='id', a); INSERT INTO lags5 (rowid, a) VALUES (1, 'gone');
        CREATE VIRTUAL TABLE lost4 USING fts4(content='l', a); CREATE VIRTUAL TABLE lost5 USING fts5(content='l', a);
        CREATE VIRTUAL TABLE broken5 USING fts5(a); INSERT INTO broken5 VALUES ('one'), ('two'); DELETE FROM broken5_content WHERE id = 1;
        CREATE VIRTUAL TABLE r USING rtree(id, x, y); INSERT INTO r VALUES (1, 2, 3), (2, 4, 5); DELETE FROM r_rowid WHERE rowid = 1;""",
    "rtree": "CREATE VIRTUAL TABLE r USING rtree(id, x0, x1, y0, y1); INSERT INTO r VALUES (1, 0, 1, 0, 1), (2, 5.5, 6.5, -1, 1)",
    "pragmas": "PRAGMA page_size = 16384; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA application_id = -1234; PRAGMA user_version = 2147483647; CREATE TABLE t (a); INSERT INTO t VALUES (1)",
    "WAL": "PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)",
    "INSERT OR REPLACE and ON CONFLICT clauses": "CREATE TABLE t (id INTEGER PRIMARY KEY ON CONFLICT REPLACE, a UNIQUE ON CONFLICT IGNORE, b NOT NULL ON CONFLICT FAIL); INSERT INTO t VALUES (1, 2, 3)",
    "defaults that are expressions": "CREATE TABLE t (id INTEGER PRIMARY KEY, a DEFAULT (random()), b DEFAULT CURRENT_TIMESTAMP); INSERT INTO t (id) VALUES (1), (2)",
    "as select": "CREATE TABLE s (a INTEGER, b TEXT); INSERT INTO s VALUES (1, 'x'); CREATE TABLE t AS SELECT a, b, a || b AS c FROM s",
    "unique constraints of many kinds": "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE COLLATE NOCASE, b, c, UNIQUE (b, c), UNIQUE (c)); INSERT INTO t VALUES (1, 'a', 1, 2), (2, NULL, 1, NULL), (3, NULL, NULL, NULL)",
}  # fmt: skip


def doubles(path: Path) -> None:
    """Doubles that need all of their 17 digits, the largest, the smallest, infinities, and minus zero."""
    bits = [
        0x3FD5555555555555,
        0x0000000000000001,
        0x7FEFFFFFFFFFFFFF,
        0x000FFFFFFFFFFFFF,
        0x3FF0000000000001,
        0x8000000000000000,
    ]
    bits += [0x7FF0000000000000, 0xFFF0000000000000, 0x44B52D02C7E14AF6, 0x3E45798EE2308C3A, 0x2B2BFF2EE48E0530]
    values = [struct.unpack(">d", number.to_bytes(8, "big"))[0] for number in bits]
    values += [0.1 + 0.2, 1e23, 5e-324, 123456789.123456789, 2**53 + 2.0, 1e15, 1e16, 9007199254740993.0]
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, typed REAL, untyped, n NUMERIC)")
        database.executemany("INSERT INTO t (typed, untyped, n) VALUES (?, ?, ?)", [(value, value, value) for value in values])


def large_values(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB, v TEXT)")
        database.execute("INSERT INTO t VALUES (1, randomblob(5000000), hex(randomblob(3000000)))")
        database.execute("INSERT INTO t VALUES (2, 'text in a blob column', ?)", ["🎁" * 500_000])
        database.execute("INSERT INTO t VALUES (3, zeroblob(3000000), ?)", ["\0" * 1_000_000])


def unknown_module(path: Path) -> None:
    """A virtual table whose module this SQLite does not have."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1); PRAGMA writable_schema = ON;")
        entry = ("table", "strange", "strange", "CREATE VIRTUAL TABLE strange USING nomodule(a, b)")
        database.execute("INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES (?, ?, ?, 0, ?)", entry)


def unknown_collation(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.create_collation("bots_own", lambda a, b: (a > b) - (a < b))
        database.executescript(
            "CREATE TABLE t (k TEXT PRIMARY KEY COLLATE bots_own, v); INSERT INTO t VALUES ('b', 1), ('a', 2);"
            "CREATE INDEX i ON t (v COLLATE bots_own); CREATE TABLE u (a TEXT COLLATE bots_own); INSERT INTO u VALUES ('x');"
            "CREATE TABLE w (k TEXT PRIMARY KEY COLLATE bots_own, v) WITHOUT ROWID; INSERT INTO w VALUES ('b', 1), ('a', 2);"
        )


def unknown_function(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.create_function("bots_own", 1, lambda value: value, deterministic=True)
        database.executescript(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v CHECK (bots_own(v) IS NOT NULL)); INSERT INTO t (v) VALUES ('b'), ('a');"
            "CREATE VIEW w AS SELECT bots_own(v) FROM t; CREATE INDEX i ON t (bots_own(v))"
        )


def stored_by_the_bot(path: Path) -> None:
    """Stored generated columns whose function only the bot has: values of every class, and types contradicted on top."""
    odd = [None, 7, "8", -0.0, 1.0, b"7", "a\0b", 9e999, "", 2**63 - 1]
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.create_function("bots_own", 1, lambda n: odd[n % len(odd)], deterministic=True)
        database.executescript(
            """CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, s AS (bots_own(n)) STORED,
                typed INTEGER AS (bots_own(n + 1)) STORED, d TEXT);
            CREATE INDEX i ON t (s); CREATE INDEX v ON t (n, typed) WHERE s NOT NULL;
            CREATE TABLE w (k TEXT PRIMARY KEY, v AS (bots_own(length(k))),
                s TEXT AS (bots_own(length(k))) STORED UNIQUE) WITHOUT ROWID;
            INSERT INTO w (k) VALUES ('a'), ('bbb'), ('cccccc');"""
        )
        database.executemany("INSERT INTO t (n, d) VALUES (?, ?)", [(n, f"d{n}") for n in range(25)])


def contradicted_types(path: Path) -> None:
    """The declaration was changed under the cells: text in INTEGER, integers in TEXT, reals in INTEGER, NULL in NOT NULL."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(
            """CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c, UNIQUE (a, b)); INSERT INTO t VALUES (1, '12', 34, 5.0), (2, 'x', 'y', NULL);
            CREATE TABLE w (k PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO w VALUES ('7', '8'), (x'00', 9);
            PRAGMA writable_schema = ON;
            UPDATE sqlite_master SET sql = 'CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c INTEGER NOT NULL, UNIQUE (a, b))'
                WHERE name = 't';
            UPDATE sqlite_master SET sql = 'CREATE TABLE w (k INTEGER PRIMARY KEY, v INTEGER) WITHOUT ROWID' WHERE name = 'w';"""
        )


def contradicted_beside_virtual(path: Path) -> None:
    """The declaration was changed under the cells of a table with columns that take no place in its rows."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        text = "CREATE TABLE t (id INTEGER PRIMARY KEY, v AS (c || 1) UNIQUE, a{}, s AS (a) STORED, c TEXT)"
        database.executescript(f"{text.format('')}; INSERT INTO t (a, c) VALUES ('12', 'p'), ('x', 'q'), (7, 'r')")
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_master SET sql = ? WHERE name = 't'", [text.format(" INTEGER")])


def called_with_other_arguments(path: Path) -> None:
    """The bot's own function has the name of one of SQLite's, and another number of arguments; MATCH is the bot's own."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.create_function("lower", 2, lambda value, _: value.lower(), deterministic=True)
        database.create_function("match", 2, lambda pattern, text: pattern == text, deterministic=True)
        database.executescript(
            "CREATE TABLE t (a TEXT CHECK (lower(a, 'de') NOT NULL), s AS (lower(a, 'de')) STORED);"
            "INSERT INTO t (a) VALUES ('Ä'), ('B'); CREATE INDEX i ON t (lower(a, 'de'), lower(a));"
            "CREATE INDEX m ON t (a) WHERE a MATCH 'B'"
        )


def own_functions_of_sqlites_names(path: Path) -> None:
    """The bot's lower() and LIKE know more letters than SQLite's: its indexes are not as SQLite would make them."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.create_function("lower", 1, str.lower, deterministic=True)
        database.create_function("like", 2, lambda pattern, text: pattern.lower() == text.lower(), deterministic=True)
        database.executescript(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, s AS (lower(a)) STORED); INSERT INTO t (a) VALUES ('ЁЖ'), ('ёж'), ('b');"
            "CREATE INDEX l ON t (lower(a)); CREATE INDEX p ON t (id) WHERE a LIKE 'ёж'; CREATE INDEX s ON t (s)"
        )


def own_tokenizer(path: Path) -> None:
    """Search indexes whose tokenizer only the bot has."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(
            """CREATE VIRTUAL TABLE f3 USING fts3(a); CREATE VIRTUAL TABLE f4 USING fts4(a); CREATE VIRTUAL TABLE f5 USING fts5(a);
            INSERT INTO f3 VALUES ('one two'); INSERT INTO f4 VALUES ('one two'); INSERT INTO f5 VALUES ('one two');
            CREATE TABLE "7" (a TEXT PRIMARY KEY); INSERT INTO "7" VALUES ('x'); PRAGMA writable_schema = ON;
            UPDATE sqlite_master SET sql = replace(sql, '(a)', '(a, tokenize=bots_own)') WHERE name IN ('f3', 'f4', 'f5');"""
        )


def broken_text_in_the_schema(path: Path) -> None:
    """Bytes that are not UTF-8, in a default and in a comment of the declaration."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a DEFAULT 'QQ'); INSERT INTO t (id) VALUES (1); PRAGMA writable_schema = ON"
        )
        database.execute(
            "UPDATE sqlite_master SET sql = CAST(replace(CAST(sql AS TEXT), 'QQ', CAST(x'ff' AS TEXT)) AS TEXT) WHERE name = 't'"
        )


def names_that_are_no_text(path: Path) -> None:
    """As a program in another language may give them; only those of tables and columns must be said in SQL."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(
            """CREATE TABLE t (id INTEGER PRIMARY KEY, a, b UNIQUE); INSERT INTO t VALUES (1, 2, 3), (4, 5, 6);
            CREATE INDEX iXX ON t (a); CREATE UNIQUE INDEX uXX ON t (b, a); CREATE VIEW vXX AS SELECT a FROM t;
            CREATE TRIGGER rXX AFTER INSERT ON t BEGIN SELECT 1; END; CREATE INDEX f ON t (abs(a));"""
        )
    spoil(path)


def spoil(path: Path) -> None:
    """Make a byte that is not UTF-8 of each X."""
    path.write_bytes(path.read_bytes().replace(b"XX", b"\xff\xfe"))


BUILT = {
    "doubles": doubles,
    "large values": large_values,
    "a virtual table without its module": unknown_module,
    "a collation that only the bot knows": unknown_collation,
    "a function that only the bot knows": unknown_function,
    "types contradicted through writable_schema": contradicted_types,
    "stored columns that the bot's function computed": stored_by_the_bot,
    "types contradicted beside virtual columns": contradicted_beside_virtual,
    "SQLite's function with other arguments": called_with_other_arguments,
    "the bot's functions of SQLite's names": own_functions_of_sqlites_names,
    "a tokenizer that only the bot knows": own_tokenizer,
    "broken text in the schema": broken_text_in_the_schema,
    "names that are no text": names_that_are_no_text,
}

if sqlite3.sqlite_version_info < (3, 37):
    del SCHEMAS["STRICT"]
FAMILIES = {**ROWS, **KEYS, **NAMES, **SCHEMAS, **BUILT}


def build(name: str, path: Path) -> None:
    family = FAMILIES[name]
    if callable(family):
        family(path)
        return
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(family)
