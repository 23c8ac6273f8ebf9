"""Write `backup.py --report FILE.html`: one file that needs nothing else, for a person at 3 a.m. with a phone."""

import base64
import hashlib
import platform
import time
from collections.abc import Iterator
from pathlib import Path

from lib import __version__
from lib.backing_up.health import Answered, Unanswered
from lib.base import private_file, script
from lib.base.errors import Problem, SettingsError
from lib.base.words import age, clock
from lib.postgres.books.plan_limit import is_nearly_full
from lib.reporting import chronicle, database_size, sections, status
from lib.reporting.chronicle import Account
from lib.reporting.markup import Html, element
from lib.settings.config import Settings

STYLE = Path(__file__).with_name("report.css")
DOCTYPE = "<!DOCTYPE html>"
# What a person must know: how bad it is (`bad` at once, `mind` some day), and the sentence.
Trouble = tuple[str, str]


def write(settings: Settings, sources: dict[str, Path], file: str, max_age: str | None, console: script.Console) -> int:
    """Write the report, and say what is wrong; exit 1 only where a last success had to be younger than `max_age`, and is not."""
    accounts = [account for target in settings.targets for account in chronicle.accounts(settings, target, sources)]
    troubles = [trouble for account in accounts for trouble in _troubles(account, settings)]
    late = status.complaints([account.health for account in accounts], settings, max_age) if max_age else []
    path = Path(file).expanduser()
    try:
        _refuse_other_file(path)
        private_file.write(path, _page(settings, accounts, troubles))
    except OSError as error:
        raise Problem(f"the report {path} cannot be written: {error.strerror}.", f"see  ls -ld {path.parent}") from error
    console.say(f"✅ the report is {path.absolute()}")
    wrong = [text for kind, text in troubles if kind == "bad"]
    for text in wrong:
        console.warn(text)
    for text in late:
        console.complain(text)
    result = {"outcome": "failed" if late else "saved", "report": str(path.absolute()), "warnings": wrong}
    console.result(result | ({"error": "\n".join(late), "try": status.REMEDY} if late else {}))
    return script.FAILED if late else script.SAVED


def _refuse_other_file(path: Path) -> None:
    """Raise SettingsError where the report would replace something else: a database, say, whose name the shell has completed."""
    if path.is_file():
        with open(path, "rb") as file:
            if file.read(len(DOCTYPE)) not in (b"", DOCTYPE.encode()):
                raise SettingsError(f"{path} is no report, and is not replaced.", "python3 backup.py --report status.html")


def _troubles(account: Account, settings: Settings) -> Iterator[Trouble]:
    health = account.health
    name, now = f"{account.source} → {account.target.label}", health.known["now"]
    if not health.success:
        yield "bad", f"{name} has never been backed up."
    elif health.is_failing and health.failure:
        yield "bad", f"{name}: the last run failed: {health.failure['error']}"
    if isinstance(health, Unanswered):
        yield "mind", f"{name}: {health.problem.what} What is shown is this machine's own record."
    elif isinstance(health, Answered):
        pace = health.known["pace"] or 0
        if health.next_expected and now - health.next_expected > pace / 2:
            yield "bad", f"{name}: a run was expected {age(now - health.next_expected)} ago, and did not come."
        yield from _told_troubles(name, account.target.label, health, settings)


def _told_troubles(name: str, target: str, health: Answered, settings: Settings) -> Iterator[Trouble]:
    """Yield what only the target knows."""
    if failed := health.known["failed_drill"]:
        yield "bad", f"{name}: the last drill failed: {failed['error']}"
    elif not health.known["proven"]:
        yield "mind", f"{name} has never been proven restorable: python3 restore.py --drill"
    limit, used = settings.max_database_bytes, health.known["database_bytes"]
    if is_nearly_full(used, limit):
        yield "mind", f"{target}: the database uses {used / limit:.0%} of its plan."


def _page(settings: Settings, accounts: list[Account], troubles: list[Trouble]) -> str:
    style = STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("link", rel="icon", href="data:,"),
        element("title", f"Hybrid backup on {platform.node()}"),
        Html(f"<style>{style}</style>"),
    )
    return DOCTYPE + "\n" + element("html", head, element("body", _main(settings, accounts, troubles)), lang="en") + "\n"


def _main(settings: Settings, accounts: list[Account], troubles: list[Trouble]) -> Html:
    now = time.time()
    return element(
        "main",
        element("h1", "Hybrid backup"),
        element("p", f"{platform.node()}, as of {clock(now)}. Every age is counted from then.", class_="soft"),
        sections.banner(accounts, troubles),
        _section("health", "Health", _cards([sections.health_card(account) for account in accounts])),
        _section("runs", "Runs of the last 30 days", *map(sections.runs_card, accounts)),
        _section("tables", "Tables", *map(sections.table_cards, accounts)),
        _section("size", "Database size", *(database_size.card(settings, target, accounts) for target in settings.targets)),
        _section("restore", "Restore points", _cards([sections.points_card(account) for account in accounts])),
        _section("drills", "Drills", sections.drills(accounts)),
        _section("edits", "Changed by hand", sections.edits(accounts)),
        _section("warnings", "Warnings", sections.warnings(settings, accounts)),
        element("footer", f"Hybrid backup {__version__}. This file loads nothing and contains no script."),
    )


def _section(name: str, title: str, *children: Html) -> Html:
    return element("section", element("h2", title, id=f"{name}-title"), *children, id=name, aria_labelledby=f"{name}-title")


def _cards(cards: list[Html]) -> Html:
    return element("div", *cards, class_="cards")
