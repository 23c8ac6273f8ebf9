"""Write `backup.py --report FILE.html`: one file that needs nothing else, for a person at 3 a.m. with a phone."""

import base64
import hashlib
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from lib import __version__
from lib.backing_up import scheduled
from lib.base import private_file, script
from lib.base.errors import Problem, SettingsError, typed
from lib.base.words import clock
from lib.reporting import chronicle, database_size, runs_section, sections, tables_section, troubles
from lib.reporting.chronicle import Account
from lib.reporting.markup import Html, element
from lib.reporting.troubles import Trouble
from lib.settings import paths
from lib.settings.config import Settings
from lib.sqlite.replacing import real_files

STYLE = Path(__file__).with_name("report.css")
DOCTYPE = "<!DOCTYPE html>"


def write(settings: Settings, sources: dict[str, Path], file: str, max_age: str | None, console: script.Console) -> int:
    """Write the report, and say what is wrong; exit 1 only where `max_age` is given, as --status would."""
    accounts = chronicle.accounts(settings, sources)
    known, schedule = [account.health for account in accounts], scheduled.look(settings)
    scheduled.expect(schedule, known)
    found = troubles.of(known, settings, schedule, max_age)
    answer: dict[str, object] = {"report": put(settings, file, _sections(settings, accounts, found), console)}
    if not max_age:
        return troubles.mention(found, answer, console)
    exit_status = troubles.tell(found, answer, console)
    troubles.tell_others(settings, known, max_age, console)
    return exit_status


def put(settings: Settings, file: str, sections: Sequence[Html], console: script.Console) -> str:
    """Write a page, say where it is, and return that; raise Problem where it cannot be, or something else is there."""
    path = real_files.behind(paths.typed("--report", file))
    try:
        _refuse_other_file(path, settings)
        private_file.write(path, _page(sections))
    except OSError as error:
        raise Problem(f"the report {path} cannot be written: {error.strerror}.", f"see  ls -ld {typed(path.parent)}") from error
    console.say(f"✅ the report is {path.absolute()}")
    return str(path.absolute())


def _refuse_other_file(path: Path, settings: Settings) -> None:
    """Raise SettingsError where the report would replace something else: a database, say, whose name the shell has completed."""
    another = SettingsError(f"{path} is no report, and is not replaced.", "python3 backup.py --report status.html")
    if str(path) in paths.taken(settings.sources.values()) or path.is_relative_to(settings.snapshots.resolve()):
        raise another
    if path.is_file():
        with open(path, "rb") as file:
            if file.read(len(DOCTYPE)) not in (b"", DOCTYPE.encode()):
                raise another


def _page(sections: Sequence[Html]) -> str:
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
        element("title", f"Hybrid backup on {socket.gethostname()}"),
        Html(f"<style>{style}</style>"),
    )
    return DOCTYPE + "\n" + element("html", head, element("body", _main(sections)), lang="en") + "\n"


def _main(sections: Sequence[Html]) -> Html:
    return element(
        "main",
        element("h1", "Hybrid backup"),
        element("p", f"{socket.gethostname()}, as of {clock(time.time())}. Every age is counted from then.", class_="soft"),
        *sections,
        element("footer", f"Hybrid backup {__version__}. This file loads nothing and contains no script."),
    )


def _sections(settings: Settings, accounts: list[Account], found: list[Trouble]) -> list[Html]:
    known = [account.health for account in accounts]
    well = troubles.all_is_well(known) if not found else ""
    return [
        sections.banner(troubles.verdict(found, known), well, found),
        section("health", "Health", cards([sections.health_card(account) for account in accounts])),
        section("runs", "Runs of the last 30 days", *map(runs_section.card, accounts)),
        section("tables", "Tables", *map(tables_section.cards, accounts)),
        section("size", "Database size", *(database_size.card(settings, target, accounts) for target in settings.targets)),
        section("restore", "Restore points", cards([sections.points_card(account) for account in accounts])),
        section("drills", "Drills", sections.drills(accounts)),
        section("edits", "Changed by hand", sections.edits(accounts)),
        section("warnings", "Warnings", sections.warnings(settings, accounts)),
    ]


def section(name: str, title: str, *children: Html) -> Html:
    """Return a part of a page under its title."""
    return element("section", element("h2", title, id=f"{name}-title"), *children, id=name, aria_labelledby=f"{name}-title")


def cards(cards: list[Html]) -> Html:
    """Return cards side by side, as many as fit."""
    return element("div", *cards, class_="cards")
