"""Back up a changing bot many times in one process, as --every does, and show what grows.

usage: python3 tests/measure/long_life.py [RUNS]     500 unless told otherwise; a line every tenth of them
"""

import dataclasses
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import psycopg2

from backup import back_up_all
from lib.base import log
from lib.trying import sample_bot, trial
from tests import compare
from tests.stand_ins import supabase
from tests.stand_ins.bot import Bot
from tests.stand_ins.deployment import Deployment
from tests.stand_ins.supabase import make_database

ASKED = """
SELECT pg_database_size(current_database()), pg_total_relation_size('backup.undo_log'), pg_total_relation_size('backup.runs')
    + pg_total_relation_size('backup.run_tables'), (SELECT count(*) FROM pg_class WHERE relpersistence = 't'),
    (SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'hybrid-backup%'), (SELECT count(*) FROM backup.runs)
"""
TITLES = ("runs", "memory kB", "descriptors", "temporary files", "log bytes", "source bytes")
SERVER_TITLES = ("database bytes", "undo log", "run log", "temporary tables", "connections", "runs kept")


def resident_kilobytes() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def measured(deployment: Deployment, url: str, count: int) -> list[int]:
    temporary = len(list(Path(tempfile.gettempdir()).iterdir())) + len(list(deployment.folder.rglob("*.taking*")))
    logged = sum(path.stat().st_size for path in deployment.folder.glob("log*"))
    held = sum(path.stat().st_size for path in deployment.settings.sources.values())
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(ASKED)
        asked = cursor.fetchone()
    connection.close()
    return [count, resident_kilobytes(), len(os.listdir("/proc/self/fd")), temporary, logged, held, *asked]


def main(runs: int) -> None:
    with supabase.running() as server, tempfile.TemporaryDirectory() as folder, make_database(server, "long_life") as url:
        deployment = Deployment(Path(folder), url)
        made = sample_bot.make(Path(folder) / "sqlite_data", 300)
        sources = {path.stem: path for path in made}
        deployment.settings = dataclasses.replace(deployment.settings, sources=sources)
        log.open_file(deployment.settings.log)
        deployment.set_up()
        print("\t".join(TITLES + SERVER_TITLES), flush=True)
        for number in range(1, runs + 1):
            sample_bot.live(Path(folder) / "sqlite_data", number)
            options = trial.OPTIONS
            report = back_up_all(deployment.settings, sources, options, trial.silent())
            assert not report.failures, report.failures[0]
            report.close(0.0)
            if number % max(runs // 10, 1) == 0 or number == 1:
                print("\t".join(map(str, measured(deployment, url, number))), flush=True)
        bot = Bot(Path(folder), url)
        bot.write_env()
        bot.run("restore.py", "--yes", "--to", str(Path(folder) / "out")).expect(0)
        assert not any(compare.differences(path, Path(folder) / "out" / path.name) for path in made)
        print("restored: identical")
        shutil.rmtree(Path(folder) / "out")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
