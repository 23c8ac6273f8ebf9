"""What a source may do between two backups; each is the script that makes it, and the script that changes it."""

ITEMS = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, n INTEGER); INSERT INTO t VALUES (1, 'x', 10), (2, 'y', 20), (3, 'z', 30);"
)
PAIRS = "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');"

SEQUENCES = {
    "a column is added": (ITEMS, "ALTER TABLE t ADD COLUMN b REAL DEFAULT 1.5; INSERT INTO t VALUES (4, 'w', 40, NULL)"),
    "a column is dropped": (ITEMS, "ALTER TABLE t DROP COLUMN a; INSERT INTO t VALUES (4, 40)"),
    "a NOT NULL column is dropped": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b); INSERT INTO t VALUES (1, 'x', 1)",
        "ALTER TABLE t DROP COLUMN a; INSERT INTO t VALUES (4, 40)",
    ),
    "a column is renamed": (ITEMS, "ALTER TABLE t RENAME COLUMN a TO b; UPDATE t SET b = 'new' WHERE id = 1"),
    "a column is renamed in case only": (ITEMS, "ALTER TABLE t RENAME COLUMN a TO A"),
    "two columns exchange names": (
        ITEMS,
        "ALTER TABLE t RENAME COLUMN a TO tmp; ALTER TABLE t RENAME COLUMN n TO a; ALTER TABLE t RENAME COLUMN tmp TO n",
    ),
    "a column is retyped": (
        ITEMS,
        "CREATE TABLE new (id INTEGER PRIMARY KEY, a TEXT, n TEXT); INSERT INTO new SELECT id, a, 'n' || n FROM t; DROP TABLE t;"
        "ALTER TABLE new RENAME TO t",
    ),
    "a column becomes NOT NULL and the key": (
        ITEMS,
        "CREATE TABLE new (id INTEGER, a TEXT NOT NULL PRIMARY KEY, n); INSERT INTO new SELECT * FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t",
    ),
    "a table is added": (ITEMS, "CREATE TABLE u (x PRIMARY KEY); INSERT INTO u VALUES ('new')"),
    "a table is dropped": (ITEMS + "CREATE TABLE u (x); INSERT INTO u VALUES (1), (x'00')", "DROP TABLE u"),
    "a table is dropped and made again": (ITEMS, f"DROP TABLE t; {ITEMS} DELETE FROM t WHERE id = 2"),
    "a table is dropped and made otherwise": (ITEMS, "DROP TABLE t; CREATE TABLE t (k TEXT, v BLOB, PRIMARY KEY (k)); INSERT INTO t VALUES ('1', x'00')"),
    "a table is renamed": (ITEMS, "ALTER TABLE t RENAME TO other"),
    "a table is renamed in case only": (ITEMS, "ALTER TABLE t RENAME TO tmp; ALTER TABLE tmp RENAME TO T"),
    "two tables exchange names": (
        ITEMS + "CREATE TABLE u (k TEXT PRIMARY KEY, v); INSERT INTO u VALUES ('k', 'v'), ('NUL', char(0))",
        "ALTER TABLE t RENAME TO tmp; ALTER TABLE u RENAME TO t; ALTER TABLE tmp RENAME TO u",
    ),
    "the key moves to a column that differs in case beyond ASCII": (
        'CREATE TABLE t ("É" TEXT PRIMARY KEY, "é" TEXT); INSERT INTO t VALUES (1, 2)',
        'CREATE TABLE new ("é" TEXT PRIMARY KEY); INSERT INTO new VALUES (3); DROP TABLE t; ALTER TABLE new RENAME TO t',
    ),
    "the key loses a column": (
        "CREATE TABLE t (a, b, v, PRIMARY KEY (a, b)); INSERT INTO t VALUES (1, 1, 'x'), (2, 1, 'y')",
        "CREATE TABLE new (a PRIMARY KEY, b, v); INSERT INTO new SELECT * FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t",
    ),
    "a table loses its key": (ITEMS, "CREATE TABLE new (id, a, n); INSERT INTO new SELECT * FROM t; INSERT INTO new SELECT * FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t"),
    "a table becomes WITHOUT ROWID": (
        "CREATE TABLE t (k TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1), (NULL, 2)",
        "CREATE TABLE new (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO new SELECT * FROM t WHERE k IS NOT NULL; DROP TABLE t; ALTER TABLE new RENAME TO t",
    ),
    "unique is dropped, and duplicates appear": (PAIRS, "CREATE TABLE new (id INTEGER PRIMARY KEY, u TEXT); INSERT INTO new VALUES (1, 'a'), (2, 'a'); DROP TABLE t; ALTER TABLE new RENAME TO t"),
    "rows swap keys": (ITEMS, "UPDATE t SET id = -1 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = -1"),
    "rows swap unique values in a cycle": (
        PAIRS,
        "UPDATE t SET u = 'tmp' WHERE id = 1; UPDATE t SET u = 'a' WHERE id = 2; UPDATE t SET u = 'b' WHERE id = 3; UPDATE t SET u = 'c' WHERE id = 1",
    ),
    "positions shift by one": (ITEMS, "UPDATE t SET id = id + 1000; UPDATE t SET id = id - 999; INSERT INTO t VALUES (1, 'first', 0)"),
    "unique values shift by one": (PAIRS, "UPDATE t SET u = 'q' || u; DELETE FROM t WHERE id = 1; UPDATE t SET u = 'a' WHERE id = 2; UPDATE t SET u = 'b' WHERE id = 3; INSERT INTO t VALUES (1, 'c')"),
    "counts of equal rows change": (
        "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2), (1, 2), (1, 2), (3, 4)",
        "DELETE FROM t WHERE rowid = 2; INSERT INTO t VALUES (3, 4), (3, 4)",
    ),
    "counts of equal unreachable rows change": (
        "CREATE TABLE t (rowid, _rowid_, oid); INSERT INTO t VALUES (1, 2, 3), (1, 2, 3), (4, 5, 6)",
        "INSERT INTO t VALUES (1, 2, 3), (4, 5, 6); DELETE FROM t WHERE oid = 3; INSERT INTO t VALUES (1, 2, 3)",
    ),
    "only the type of a value changes": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (2, '2'), (3, x'33'), (4, ''), (5, NULL), (6, 0.0)",
        "UPDATE t SET v = 1.0 WHERE id = 1; UPDATE t SET v = 2 WHERE id = 2; UPDATE t SET v = '3' WHERE id = 3;"
        "UPDATE t SET v = x'' WHERE id = 4; UPDATE t SET v = '' WHERE id = 5; UPDATE t SET v = -0.0 WHERE id = 6",
    ),
    "zero becomes minus zero": ("CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 0.0), (2, 1.5), (3, 2.5)", "UPDATE t SET v = -0.0 WHERE id = 1"),
    "only a counter changes": ("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t DEFAULT VALUES", "UPDATE sqlite_sequence SET seq = 500"),
    "only user_version changes": (ITEMS, "PRAGMA user_version = 9"),
    "only hidden rowids change": ("CREATE TABLE t (k TEXT PRIMARY KEY); INSERT INTO t VALUES ('a'), ('b')", "UPDATE t SET rowid = rowid + 10"),
    "text under a NOCASE key changes case": ("CREATE TABLE t (k TEXT PRIMARY KEY COLLATE NOCASE, v); INSERT INTO t VALUES ('abc', 1), ('d', 2)", "UPDATE t SET k = 'ABC' WHERE v = 1"),
    "everything is deleted": (ITEMS, "DELETE FROM t"),
    "everything is deleted and refilled": (ITEMS, "DELETE FROM t; INSERT INTO t VALUES (1, 'x', 10), (3, 'new', 30), (4, 'w', 40)"),
    "a fitting row becomes a misfit, and a misfit fits": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t VALUES (1, 1), (2, 'two'), (3, 3)",
        "UPDATE t SET n = 'one' WHERE id = 1; UPDATE t SET n = 2 WHERE id = 2",
    ),
    "a misfit changes its key": ("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t VALUES (1, 1), (2, 'two'), (3, 3)", "UPDATE t SET id = 9 WHERE id = 2; UPDATE t SET id = 2 WHERE id = 3"),
    "indexes, views and triggers come and go": (
        ITEMS + "CREATE INDEX i ON t (a); CREATE VIEW v AS SELECT 1; CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END",
        "DROP INDEX i; DROP VIEW v; DROP TRIGGER g; CREATE INDEX j ON t (n); CREATE VIEW w AS SELECT 2; CREATE TRIGGER h AFTER DELETE ON t BEGIN SELECT 2; END",
    ),
    "a table is compacted": ("CREATE TABLE t (k TEXT PRIMARY KEY); INSERT INTO t VALUES ('a'), ('b'), ('c'); DELETE FROM t WHERE k = 'a'", "VACUUM"),
}  # fmt: skip
