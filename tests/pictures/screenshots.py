"""Make the README's pictures: the report in a real browser, and a terminal session as it was printed.

usage: python3 tests/pictures/screenshots.py        writes tests/pictures/*.png and *.svg; needs Debian's chromium and playwright
"""

import contextlib
import html
import secrets
import sys
import tempfile
import unicodedata
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from lib.trying import sample_bot  # noqa: E402
from tests.stand_ins import supabase  # noqa: E402
from tests.stand_ins.bot import Bot  # noqa: E402
from tests.stand_ins.machine import with_cron  # noqa: E402

CHROMIUM = Path("/usr/bin/chromium")
FOLDER = REPOSITORY / "tests" / "pictures"
BUTTONS = ("#ff5f57", "#febc2e", "#28c840")
STYLE = ".prompt{fill:#7ee787}.said{fill:#e6edf3}text{font:13px ui-monospace,Menlo,Consolas,monospace;white-space:pre}"
HOST = "db.example.supabase.co"
SHOTS = (("light", 1080), ("dark", 1080), ("phone", 360))
AGE = """
    UPDATE {0} SET {1} = {1} - make_interval(hours => 6) * ((SELECT max(run) FROM backup.runs) - run) / {2}"""


def make_history(bot: Bot, runs: int, outage: int) -> None:
    """Back up a living bot again and again, with one outage, and let the runs be six hours apart."""
    sources = 2
    for number in range(runs):
        sample_bot.live(bot.data, number)
        content = bot.premium.read_bytes()
        if number == outage:
            bot.premium.write_bytes(content[: len(content) // 2])
        bot.run("backup.py")
        bot.premium.write_bytes(content)
        if number == runs // 2:
            bot.run("restore.py", "--drill").expect(0)
    for table, column in (("backup.runs", "started_at"), ("backup.runs", "finished_at"), ("backup.drills", "finished_at")):
        bot.query(AGE.format(table, column, sources))
    (bot.folder / "snapshots" / "runs.jsonl").unlink()  # what this machine remembers would be of another time


@contextlib.contextmanager
def browser_page(path: Path, width: int, scheme: str, complaints: list[str]):
    """Open a file in Chromium; what the console or the network has to say is collected."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, device_scale_factor=1)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url))
        page.goto(path.as_uri())
        complaints.remove(path.as_uri())
        yield page
        browser.close()


def terminal_svg(text: str) -> str:
    """Draw what was printed as an SVG; wide characters take two cells."""
    lines = text.rstrip("\n").split("\n")
    columns = max(sum(2 if unicodedata.east_asian_width(sign) == "W" else 1 for sign in line) for line in lines)
    width, height = 24 + columns * 8, 44 + len(lines) * 19
    shapes = [f'<rect width="{width}" height="{height}" rx="10" fill="#0d1117"/>']
    shapes += [f'<circle cx="{18 + 18 * at}" cy="16" r="5" fill="{colour}"/>' for at, colour in enumerate(BUTTONS)]
    for number, line in enumerate(lines):
        kind = "prompt" if line.startswith("$") else "said"
        shapes.append(f'<text x="14" y="{50 + 19 * number}" class="{kind}">{html.escape(line)}</text>')
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img"'
    return f'{start} aria-label="a terminal session"><style>{STYLE}</style>{"".join(shapes)}</svg>\n'


def session(bot: Bot) -> str:
    said = []
    sample_bot.live(bot.data, 4711)
    for command in ("backup.py --verbose", "backup.py --status", "restore.py --drill"):
        done = bot.run(*command.split()).expect(0)
        said.append(f"$ python3 {command}\n{done.stdout}")
    return "\n".join(said).replace("127.0.0.1", HOST).replace("of the user root", "of the user bot")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as name,
        supabase.running() as server,
        supabase.make_database(server, f"shots_{secrets.token_hex(4)}") as url,
    ):
        bot = Bot.make(Path(name) / "bot", url, users=1200)
        bot.environment = with_cron(Path(name))
        bot.run("setup_supabase.py").expect(0)
        bot.run("setup_supabase.py", "--schedule", "cron", "--install").expect(0)
        make_history(bot, runs=60, outage=31)
        report = Path(name) / "status.html"
        bot.run("backup.py", "--report", str(report)).expect(0)
        report.write_text(report.read_text().replace("127.0.0.1", HOST))
        for title, width in SHOTS:
            with browser_page(report, width, "dark" if title == "dark" else "light", []) as page:
                page.screenshot(path=FOLDER / f"report-{title}.png", full_page=True)
        (FOLDER / "terminal.svg").write_text(terminal_svg(session(bot)))


if __name__ == "__main__":
    main()
