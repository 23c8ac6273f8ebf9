"""The report is one file that needs nothing else, and a real browser shows it as it should."""

import html
import importlib.util
import re

import pytest

from lib.postgres.books.growth import DAY, days_left, growth
from tests.pictures.screenshots import CHROMIUM, browser_page, make_history

SECTIONS = ["health", "runs", "tables", "size", "restore", "drills", "edits", "warnings"]
HOSTILE = [
    "<script>document.title='broken'</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><svg onload=alert(1)>",
    "a\u202eb&amp;'c",
]
PARTS = [
    "next run", "expected ", "it took", " of rows sent", "9 runs, 1 failed; ", "message_owners", "of 500.0 MB (", "grows by ",
    "runs can be restored with restore.py --at", "rows rebuilt and compared in ", "update of 1 row by postgres",
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
def test_it_says_whether_all_is_well(saved_bot):
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


def test_a_target_that_does_not_answer_is_said(saved_bot):
    saved_bot.write_env(SUPABASE_DB_URL="postgresql://postgres:secret-4711@127.0.0.1:1/postgres")
    said = text_of(report(saved_bot))
    assert "nothing listens at that address. What is shown is this machine&#x27;s own record." in said
    assert "out of reach" in said
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
        assert len(names) > 20
        assert all(names)
        assert len(set(names)) == len(names)
        small = page.locator("main *").evaluate_all(
            "found => found.filter(one => one.innerText && parseFloat(getComputedStyle(one).fontSize) < 12).length"
        )
        assert small == 0
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
    ((used,),) = saved_bot.query("SELECT pg_database_size(current_database())")
    saved_bot.query(
        f"""UPDATE backup.runs SET database_bytes = {used} - CASE run WHEN 1 THEN 4500000 ELSE 500000 END,
            finished_at = clock_timestamp() - make_interval(days => 10 - run::int)"""
    )
    saved_bot.write_env(BACKUP_MAX_DATABASE_MB=str(used * 12 // 10_000_000))
    path = saved_bot.folder / "status.html"
    saved_bot.run("backup.py", "--report", str(path))  # whether a run is late by now is another question
    shown = int(re.search(r"the plan is full in (\d+) days", text_of(path))[1])
    warned = re.search(r"at the present growth it is full in (\d+) days", saved_bot.run("backup.py").expect(0).stderr)[1]
    assert shown > 4
    assert abs(shown - int(warned)) <= 1


def test_the_forecast_is_the_line_of_least_squares():
    steady = [(day * DAY, 1000 + 50 * day) for day in range(10)]
    assert growth(steady) == pytest.approx(50)
    assert days_left(1450, 2000, growth(steady)) == pytest.approx(11)
    assert days_left(1450, 2000, growth([(at, 3000 - size) for at, size in steady])) is None
    assert growth(steady[:3]) is None
    assert growth([(at / 100, size) for at, size in steady]) is None
    assert days_left(3000, 2000, 50) == 0
