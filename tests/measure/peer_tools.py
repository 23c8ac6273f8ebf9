"""What each peer runs, in a process of its own so that only its own memory and time are measured.

usage: python3 tests/measure/peer_tools.py TOOL STEP FOLDER OUT_FOLDER     with PEER_URL, the database, and PEER_PSQL, the program
"""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

FETCHED = 10_000


def tables(path: Path) -> dict[str, list[tuple[str, bool, bool]]]:
    """Return the tables of a file, each with its columns: name, whether in the key, whether it may be NULL."""
    with closing(sqlite3.connect(path)) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall()
        return {
            name: [(row[1], row[5] > 0, not row[3] and not row[5]) for row in database.execute(f"PRAGMA table_info({name})")]
            for (name,) in names
        }


def columns_of(table: list[tuple]) -> str:
    return ", ".join(name for name, _, _ in table)


def read_all(data: Path, out: Path) -> None:
    """The raw limit of reading: one SELECT of every row, fetched by Python."""
    for path in sorted(data.glob("*.db")):
        with closing(sqlite3.connect(path)) as database:
            for table in tables(path):
                rows = database.execute(f"SELECT * FROM {table}")
                while rows.fetchmany(FETCHED):
                    pass


def copy_ready(data: Path, out: Path) -> None:
    """The raw limit of writing: psql's COPY of CSV files that are already there, named SCHEMA.TABLE.csv."""
    psql([f"\\copy {path.stem} FROM '{path}' CSV" for path in sorted(data.glob("*.csv"))])


def psql(lines: list[str]) -> None:
    command = [os.environ["PEER_PSQL"], "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", os.environ["PEER_URL"]]
    subprocess.run(command, input="\n".join(lines) + "\n", text=True, check=True)


def merge(schema: str, table: str, columns: list[tuple], staging: str) -> list[str]:
    """What a careful engineer writes by hand: delete what vanished, then insert or update what differs."""
    keys = [name for name, is_key, _ in columns if is_key]
    others = [name for name, is_key, _ in columns if not is_key]
    same = " AND ".join(f"s.{key} = m.{key}" for key in keys)
    mirrored, sent = ", ".join(f"m.{name}" for name in others), ", ".join(f"excluded.{name}" for name in others)
    return [
        f"ANALYZE {staging};",
        f"DELETE FROM {schema}.{table} m WHERE NOT EXISTS (SELECT FROM {staging} s WHERE {same});",
        f"INSERT INTO {schema}.{table} AS m ({columns_of(columns)}) SELECT {columns_of(columns)} FROM {staging}"
        f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(f'{n} = excluded.{n}' for n in others)}"
        f" WHERE ({mirrored}) IS DISTINCT FROM ({sent});",
    ]


def cli_copy(path: Path, table: str, columns: list[tuple], into: str) -> str:
    query = f"sqlite3 -csv -readonly {path} 'SELECT {columns_of(columns)} FROM {table}'"
    return f"\\copy {into} ({columns_of(columns)}) FROM PROGRAM '{query.replace(chr(39), chr(39) * 2)}' CSV"


def cli_load(data: Path, out: Path) -> None:
    lines = ["BEGIN;"]
    for path in sorted(data.glob("*.db")):
        lines += [cli_copy(path, table, columns, f"{path.stem}.{table}") for table, columns in tables(path).items()]
    psql([*lines, "COMMIT;"])


def cli_again(data: Path, out: Path) -> None:
    lines = ["BEGIN;"]
    for path in sorted(data.glob("*.db")):
        for table, columns in tables(path).items():
            staging = f"staging_{table}"
            lines.append(f"CREATE TEMPORARY TABLE {staging} (LIKE {path.stem}.{table}) ON COMMIT DROP;")
            lines.append(cli_copy(path, table, columns, staging))
            lines += merge(path.stem, table, columns, staging)
    psql([*lines, "COMMIT;"])


def cli_restore(data: Path, out: Path) -> None:
    """`.import` knows no NULL: it travels as a marker, and an UPDATE puts it back."""
    for path in sorted(data.glob("*.db")):
        script = [".mode csv"]
        for table, columns in tables(path).items():
            query = f"COPY (SELECT {columns_of(columns)} FROM {path.stem}.{table}) TO STDOUT (FORMAT csv, NULL '@NULL@')"
            script.append(f'.import "|$PEER_PSQL -X -q -d $PEER_URL -c \\"{query}\\"" {table}')
            nullable = [name for name, _, may_be_null in columns if may_be_null]
            if nullable:
                values = ", ".join(f"{name} = nullif({name}, '@NULL@')" for name in nullable)
                script.append(f"UPDATE {table} SET {values} WHERE '@NULL@' IN ({', '.join(nullable)});")
        subprocess.run(["sqlite3", "-bail", out / path.name], input="\n".join(script) + "\n", text=True, check=True)


def duckdb_with(path: Path):
    """The extensions come from PyPI with duckdb, so that its own server of extensions need not be reachable."""
    import duckdb
    import duckdb_extension_postgres_scanner
    import duckdb_extension_sqlite_scanner

    database = duckdb.connect()
    for package in (duckdb_extension_postgres_scanner, duckdb_extension_sqlite_scanner):
        (extension,) = Path(package.__file__).parent.rglob("*.duckdb_extension")
        database.execute(f"LOAD '{extension}'")
    database.execute(f"ATTACH '{path}' AS lite (TYPE sqlite); ATTACH '{os.environ['PEER_URL']}' AS pg (TYPE postgres)")
    return database


def duckdb_load(data: Path, out: Path) -> None:
    """duckdb makes its own tables, without constraints."""
    for path in sorted(data.glob("*.db")):
        with duckdb_with(path) as database:
            database.execute(f"BEGIN; CREATE SCHEMA pg.{path.stem}")
            for table in tables(path):
                database.execute(f"CREATE TABLE pg.{path.stem}.{table} AS FROM lite.{table}")
            database.execute("COMMIT")


def duckdb_again(data: Path, out: Path) -> None:
    """Everything into a staging table, then one MERGE in Postgres, which is where the old rows are."""
    for path in sorted(data.glob("*.db")):
        with duckdb_with(path) as database:
            for table, columns in tables(path).items():
                staging = f"{path.stem}.staging_{table}"
                database.execute(f"CREATE TABLE pg.{staging} AS FROM lite.{table}")
                statement = f"{full_merge(path.stem, table, columns, staging)}; DROP TABLE {staging}"
                database.execute("CALL postgres_execute('pg', ?)", [statement])


def full_merge(schema: str, table: str, columns: list[tuple], staging: str) -> str:
    names = [name for name, _, _ in columns]
    others = [name for name, is_key, _ in columns if not is_key]
    same = " AND ".join(f"s.{name} = m.{name}" for name, is_key, _ in columns if is_key)
    mirrored, sent = (", ".join(f"{side}.{name}" for name in others) for side in "ms")
    return (
        f"MERGE INTO {schema}.{table} m USING {staging} s ON {same}"
        f" WHEN MATCHED AND ({mirrored}) IS DISTINCT FROM ({sent}) THEN UPDATE SET {', '.join(f'{n} = s.{n}' for n in others)}"
        f" WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) VALUES ({', '.join(f's.{n}' for n in names)})"
        " WHEN NOT MATCHED BY SOURCE THEN DELETE"
    )


def duckdb_restore(data: Path, out: Path) -> None:
    for path in sorted(data.glob("*.db")):
        with duckdb_with(out / path.name) as database:
            database.execute("BEGIN")
            for table in tables(path):
                database.execute(f"INSERT INTO lite.{table} FROM pg.{path.stem}.{table}")
            database.execute("COMMIT")


def adbc_sqlite(path: Path):
    import adbc_driver_sqlite.dbapi as lite

    return lite.connect(str(path))


def adbc_postgres():
    import adbc_driver_postgresql.dbapi as postgres

    return postgres.connect(os.environ["PEER_URL"])


def adbc_rows(cursor, table: str):
    cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": "65536"})
    cursor.execute(f"SELECT * FROM {table}")
    return cursor.fetch_record_batch()


def adbc_load(data: Path, out: Path) -> None:
    with adbc_postgres() as target, target.cursor() as writing:
        for path in sorted(data.glob("*.db")):
            with adbc_sqlite(path) as source, source.cursor() as reading:
                for table in tables(path):
                    writing.adbc_ingest(table, adbc_rows(reading, table), mode="append", db_schema_name=path.stem)
        target.commit()


def adbc_again(data: Path, out: Path) -> None:
    with adbc_postgres() as target, target.cursor() as writing:
        for path in sorted(data.glob("*.db")):
            with adbc_sqlite(path) as source, source.cursor() as reading:
                for table, columns in tables(path).items():
                    staging = f"staging_{table}"
                    writing.adbc_ingest(staging, adbc_rows(reading, table), mode="create", temporary=True)
                    for statement in merge(path.stem, table, columns, f"pg_temp.{staging}"):
                        writing.execute(statement)
        target.commit()


def adbc_restore(data: Path, out: Path) -> None:
    with adbc_postgres() as source, source.cursor() as reading:
        for path in sorted(data.glob("*.db")):
            with adbc_sqlite(out / path.name) as target, target.cursor() as writing:
                for table, columns in tables(path).items():
                    reading.execute(f"SELECT {columns_of(columns)} FROM {path.stem}.{table}")
                    writing.adbc_ingest(table, reading.fetch_record_batch(), mode="append")
                target.commit()


def polars_load(data: Path, out: Path) -> None:
    """polars replaces whole tables; it has no merge, so "again" is the same."""
    import polars

    for path in sorted(data.glob("*.db")):
        for table in tables(path):
            rows = polars.read_database_uri(f"SELECT * FROM {table}", f"sqlite://{path}", engine="connectorx")
            rows.write_database(f"{path.stem}.{table}", os.environ["PEER_URL"], if_table_exists="replace", engine="adbc")


def polars_restore(data: Path, out: Path) -> None:
    import polars

    for path in sorted(data.glob("*.db")):
        for table, columns in tables(path).items():
            query = f"SELECT {columns_of(columns)} FROM {path.stem}.{table}"
            rows = polars.read_database_uri(query, os.environ["PEER_URL"], engine="connectorx")
            rows.write_database(table, f"sqlite:///{out / path.name}", if_table_exists="append", engine="adbc")


def pgloader_load(data: Path, out: Path) -> None:
    """pgloader drops and makes the tables again, so "again" is the same; it loads into the schema public."""
    for path in sorted(data.glob("*.db")):
        command = ["pgloader", "--quiet", "--root-dir", str(out), "--with", "include drop", "--on-error-stop"]
        subprocess.run([*command, f"sqlite://{path}", os.environ["PEER_URL"]], check=True)


STEPS = {
    "read": {"load": read_all},
    "copy": {"load": copy_ready},
    "sqlite3 and psql": {"load": cli_load, "again": cli_again, "restore": cli_restore},
    "duckdb": {"load": duckdb_load, "again": duckdb_again, "restore": duckdb_restore},
    "adbc": {"load": adbc_load, "again": adbc_again, "restore": adbc_restore},
    "polars": {"load": polars_load, "again": polars_load, "restore": polars_restore},
    "pgloader": {"load": pgloader_load, "again": pgloader_load},
}

if __name__ == "__main__":
    STEPS[sys.argv[1]][sys.argv[2]](Path(sys.argv[3]), Path(sys.argv[4]))
