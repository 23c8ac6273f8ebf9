"""The report is one file that needs nothing else, and a real browser shows it as it should."""

import html
import importlib.util
import re
import secrets

import pytest

from lib.postgres.books.growth import DAY, days_left, growth
from lib.reporting import charts
from lib.settings.config import MEGABYTE
from tests.pictures.screenshots import CHROMIUM, browser_page, make_history
from tests.stand_ins.machine import scheduled, with_cron
from tests.stand_ins.supabase import make_database

SECTIONS = ["health", "runs", "tables", "size", "restore", "drills", "edits", "warnings"]
HOSTILE = [
    "<script>document.title='broken'</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><svg onload=alert(1)>",
    "a\u202eb&amp;'c",
]
PARTS = [
    "next run", "expected ", "it took", "Data sent", " sent", "9 runs, 1 failed (red ticks); ", "message_owners", "of 500.0 MB (",
    "grows by ", "runs can be restored with restore.py --at", "rows rebuilt and compared in ", "update of 1 row by postgres",
    "; the first load, ", ", is off the scale",
]  # fmt: skip

browser = pytest.mark.skipif(
    not CHROMIUM.exists() or importlib.util.find_spec("playwright") is None,
    reason=f"{CHROMIUM} is not installed (Debian: apt-get install chromium), or playwright is not (Python 3.10 or newer)",
)


def report(bot):
    path = bot.folder / "status.html"
    bot.run("backup.py", "--report", str(path)).expect(0)
    assert path.stat().st_mode & 0o077 == 0
    return path


def text_of(path):
    return re.sub(r"<[^>]+>", "", path.read_text().split("</style>")[1])


def test_it_loads_nothing_and_allows_nothing(saved_bot):
    page = html.unescape(report(saved_bot).read_text())
    assert "default-src 'none'; style-src 'sha256-" in page
    assert set(re.findall(r'(?:src|href|action|data|poster)="([^"]*)"', page)) == {"data:,"}
    assert re.findall(r"<script|url\(|@import|style=|\son\w+=", page) == []


@pytest.mark.campaign
def test_it_says_whether_all_is_well(saved_bot, tmp_path):
    saved_bot.environment = with_cron(tmp_path)
    scheduled(saved_bot)
    assert "Backed up, with something to mind" in text_of(report(saved_bot))
    saved_bot.run("restore.py", "--drill").expect(0)
    assert "All is well" in text_of(report(saved_bot))
    saved_bot.premium.write_bytes(b"")
    saved_bot.run("backup.py").expect(3)
    said = text_of(report(saved_bot))
    assert "Something needs you" in said
    assert "the last run failed: premium_system.db is empty (0 bytes)." in said


@pytest.mark.campaign
def test_every_fact_is_in_it(saved_bot):
    make_history(saved_bot, runs=8, outage=3)
    saved_bot.query("UPDATE backup_premium_system.refunds SET status = 'by hand' WHERE id = 1")
    said = text_of(report(saved_bot))
    for part in PARTS:
        assert part in said, part


def rects(page, chart):
    """Return (y, height, class) of every bar and tick of the chart with this title."""
    (drawn,) = re.findall(rf'<svg [^>]*aria-label="{chart} of the runs of premium_system .*?</svg>', page)
    found = re.findall(r'<rect x="[\d.]+" y="([\d.]+)" width="4" height="([\d.]+)" class="([a-z ]+)"', drawn)
    return [(float(y), float(height), kind) for y, height, kind in found]


@pytest.mark.campaign
def test_a_failed_run_is_a_tick_below_the_axis_and_the_first_load_is_off_the_scale(saved_bot):
    make_history(saved_bot, runs=4, outage=2)
    (first, *saved), (failed,) = (
        [bar for bar in rects(report(saved_bot).read_text(), "Data sent") if (bar[2] == "failed") == is_failed]
        for is_failed in (False, True)
    )
    assert failed[0] > charts.HEIGHT
    assert first == (0, charts.HEIGHT, "saved beyond")
    assert max(height for _, height, _ in saved) == charts.HEIGHT  # what came after it has the scale for itself
    assert {kind for _, _, kind in saved} == {"saved"}


@pytest.mark.campaign
def test_what_has_not_changed_is_one_line_in_one_table(saved_bot):
    def tables():
        page = report(saved_bot).read_text().split('id="tables-title"')[1].split('id="size-title"')[0]
        return page.count("<article"), page.count("<tbody>"), page.count("<td><bdi>")

    tables_there = len(saved_bot.mirror_counts())
    assert tables() == (0, 2, tables_there)  # of one run, there is only the first load
    saved_bot.sqlite(saved_bot.premium, "UPDATE refunds SET status = 'x' WHERE id = 1")
    saved_bot.backup()
    assert tables() == (1, 2, tables_there - 1)


def test_a_chart_says_what_its_edges_are(saved_bot):
    figures = re.findall(r"<figure.*?</figure>", report(saved_bot).read_text())
    assert len(figures) >= 5
    for drawn in figures:
        assert re.search(r'class="scale" aria-hidden="true"><span>[\d.,]+( s| [kM]?B)?</span><span>0</span>', drawn), drawn
        assert re.search(r'class="axis"><span>\d{4}-\d\d-\d\d \d\d:\d\d</span>', drawn), drawn  # within a day, times of day


@pytest.mark.campaign
def test_one_cause_on_two_targets_is_one_trouble_with_its_remedy(saved_bot, server):
    with make_database(server, f"second_{secrets.token_hex(6)}") as second:
        saved_bot.write_env(SUPABASE_DB_URL_2=second)
        saved_bot.run("setup_supabase.py").expect(0)
        saved_bot.premium.write_bytes(b"")
        saved_bot.run("backup.py").expect(3)
        said = text_of(report(saved_bot))
    assert said.count("premium_system: the last run failed: premium_system.db is empty (0 bytes).restore it with  python3") == 1
    assert (
        len(re.findall(r"premium_system, user_requests: never proven restorable\.python3 restore.py \S+ \S+ --drill", said)) == 1
    )


def test_a_target_that_does_not_answer_is_said(saved_bot):
    saved_bot.write_env(SUPABASE_DB_URL="postgresql://postgres:secret-4711@127.0.0.1:1/postgres")
    said = text_of(report(saved_bot))
    assert "nothing listens at that address. What is shown is this machine&#x27;s own record." in said
    assert "out of reach" in said
    assert said.count("Unknown until the target answers.") == 6  # runs, tables and restore points of both
    assert said.count("127.0.0.1: unknown until it answers.") == 3  # size, drills, changes by hand
    assert [never for never in ("No drill yet", "Nobody has", "No run yet", "No table yet", "None.Drills") if never in said] == []
    assert "secret-4711" not in said


def test_a_file_that_cannot_be_written_is_named(saved_bot):
    done = saved_bot.run("backup.py", "--report", "/nowhere/status.html").expect(1)
    assert "the report /nowhere/status.html cannot be written: No such file or directory." in done.stderr


@browser
@pytest.mark.campaign
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1080])
def test_a_browser_shows_it_without_a_complaint(saved_bot, width, scheme):
    make_history(saved_bot, runs=4, outage=2)
    path, complaints = report(saved_bot), []
    with browser_page(path, width, scheme, complaints) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for name in SECTIONS:
            assert page.locator(f"section#{name}").is_visible(), name
            assert page.locator(f"section#{name} > :not(h2)").count() > 0, name
        page.locator("summary").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(246, 247, 249)"
        assert light == (scheme == "light")
        names = page.locator("svg").evaluate_all("found => found.map(one => one.getAttribute('aria-label'))")
        assert len(names) > 15
        assert all(names)
        assert len(set(names)) == len(names)
        small = page.locator("main *").evaluate_all(
            "found => found.filter(one => one.innerText && parseFloat(getComputedStyle(one).fontSize) < 12).length"
        )
        assert small == 0
    assert complaints == []


def without_setup(bot):
    bot.query("DROP SCHEMA backup CASCADE")


def with_one_run(_):
    pass


def failing(bot):
    bot.premium.write_bytes(b"")
    bot.run("backup.py").expect(3)


@browser
@pytest.mark.campaign
@pytest.mark.parametrize("state", [without_setup, with_one_run, failing])
def test_a_phone_shows_it_in_every_state(saved_bot, state):
    state(saved_bot)
    path, complaints = report(saved_bot), []
    with browser_page(path, 360, "light", complaints) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.locator("section > :not(h2)").count() >= len(SECTIONS)
    assert complaints == []


@browser
@pytest.mark.campaign
def test_hostile_names_are_inert(saved_bot):
    for name in HOSTILE:
        quoted = name.replace('"', '""')
        saved_bot.sqlite(
            saved_bot.premium, f'CREATE TABLE "{quoted}" (id INTEGER PRIMARY KEY); INSERT INTO "{quoted}" VALUES (1)'
        )
    saved_bot.backup()
    said = HOSTILE[0].replace("'", "''")
    saved_bot.query(f"UPDATE backup.runs SET outcome = 'failed', error = '{said}' WHERE run = 1")
    complaints = []
    with browser_page(report(saved_bot), 360, "light", complaints) as page:
        assert page.title().startswith("Hybrid backup on ")
        assert page.locator("img, script, [onerror], [onload]").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.locator("section#tables").inner_text().count("alert(1)") == 2
        assert "\u202e" not in page.content()
    assert complaints == []


def test_the_report_and_a_run_s_warning_forecast_the_same(saved_bot):
    """A jump long ago, and little since: the first and the last size alone would say half of the days."""
    for _ in range(3):
        saved_bot.backup()
    # What is added meanwhile, or lost where the plan has whole megabytes, is little beside it.
    saved_bot.query("CREATE TABLE public.much AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 40000) AS n")
    saved_bot.query("VACUUM ANALYZE")  # what that adds to the size must not come in between
    ((used,),) = saved_bot.query("SELECT pg_database_size(current_database())")
    limit = used * 124 // 100 // MEGABYTE
    saved_bot.query(
        f"""UPDATE backup.runs SET database_bytes = {used} - CASE WHEN run < 3 THEN 2 * {limit * MEGABYTE - used} ELSE 0 END,
            finished_at = clock_timestamp() - make_interval(days => 9 - (run::int - 1) / 2)"""
    )
    saved_bot.write_env(BACKUP_MAX_DATABASE_MB=str(limit))
    path = saved_bot.folder / "status.html"
    saved_bot.run("backup.py", "--report", str(path))  # whether a run is late by now is another question
    shown = int(re.search(r"the plan is full in (\d+) days", text_of(path))[1])
    warned = re.search(r"at the present growth it is full in (\d+) days", saved_bot.run("backup.py").expect(0).stderr)[1]
    assert shown > 5  # of eight; four and a half would be wrong
    assert abs(shown - int(warned)) <= 1


def test_the_forecast_is_the_line_of_least_squares():
    steady = [(day * DAY, 1000 + 50 * day) for day in range(10)]
    assert growth(steady) == pytest.approx(50)
    assert days_left(1450, 2000, growth(steady)) == pytest.approx(11)
    assert days_left(1450, 2000, growth([(at, 3000 - size) for at, size in steady])) is None
    assert growth(steady[:3]) is None
    assert growth([(at / 100, size) for at, size in steady]) is None
    assert days_left(3000, 2000, 50) == 0
