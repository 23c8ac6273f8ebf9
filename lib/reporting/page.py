"""Write `backup.py --report FILE.html`: one file that needs nothing else, for a person at 3 a.m. with a phone."""

import base64
import hashlib
import platform
import time
from pathlib import Path

from lib import __version__
from lib.backing_up import health
from lib.backing_up.health import Health
from lib.base import private_file, script
from lib.base.errors import Problem
from lib.base.words import age, clock
from lib.postgres.link.connection import Target
from lib.reporting import sections, status
from lib.reporting.markup import Html, element
from lib.settings.config import Settings
from lib.settings.targets import TargetSettings

STYLE = Path(__file__).with_name("report.css")
HIGH = 0.8
CALM = {"runs": [], "tables": {}, "drills": [], "edits": []}


def write(settings: Settings, sources: dict[str, Path], file: str, console: script.Console) -> int:
    """Write the report; exit 1 where a database has no backup or its last run failed."""
    found = [(block, chronicle) for target in settings.targets for block, chronicle in _of_target(settings, target, sources)]
    troubles = [trouble for block, _ in found for trouble in _troubles(block, settings)]
    path = Path(file).expanduser()
    try:
        private_file.write(path, _page(settings, found, troubles))
    except OSError as error:
        raise Problem(f"the report {path} cannot be written: {error.strerror}.", f"see  ls -ld {path.parent}") from error
    errors = [text for kind, text in troubles if kind == "bad"]
    console.say(f"✅ the report is {path.absolute()}")
    for text in errors:
        console.complain(text)
    result = {"outcome": "failed" if errors else "saved", "report": str(path.absolute())}
    console.result(result | ({"error": "\n".join(errors), "try": status.REMEDY} if errors else {}))
    return script.FAILED if errors else script.SAVED


def _of_target(settings: Settings, target_settings: TargetSettings, sources: dict[str, Path]) -> list[tuple[Health, dict]]:
    known = health.of_target(settings, target_settings, sources)
    if any(block.problem for block in known):
        return [(block, CALM) for block in known]
    with Target(target_settings, settings.schema) as target:
        return [(block, target.statement("chronicle", {"source": block.source})[0][0]) for block in known]


def _troubles(block: Health, settings: Settings) -> list[tuple[str, str]]:
    """Return what needs a person: `bad` at once, `mind` some day."""
    name, found = f"{block.source} → {block.target.label}", []
    if not block.success:
        found.append(("bad", f"{name} has never been backed up."))
    elif block.is_failing:
        found.append(("bad", f"{name}: the last run failed: {block.failure['error']}"))
    if block.next_expected and block.found["now"] - block.next_expected > block.found["pace"] / 2:
        found.append(
            ("bad", f"{name}: a run was expected {age(block.found['now'] - block.next_expected)} ago, and did not come.")
        )
    if block.problem:
        found.append(("mind", f"{name}: {block.problem.what} What is shown is this machine's own record."))
        return found
    if block.found["failed_drill"]:
        found.append(("bad", f"{name}: the last drill failed: {block.found['failed_drill']['error']}"))
    elif not block.found["proven"]:
        found.append(("mind", f"{name} has never been proven restorable: python3 restore.py --drill"))
    limit = settings.max_database_mb * 1_000_000
    used = block.found["database_bytes"]
    if limit and used > HIGH * limit:
        found.append(("mind", f"{block.target.label}: the database uses {used / limit:.0%} of its plan."))
    return found


def _page(settings: Settings, found: list[tuple[Health, dict]], troubles: list[tuple[str, str]]) -> str:
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
    return "<!DOCTYPE html>\n" + element("html", head, element("body", _main(settings, found, troubles)), lang="en") + "\n"


def _main(settings: Settings, found: list[tuple[Health, dict]], troubles: list[tuple[str, str]]) -> Html:
    now = time.time()
    return element(
        "main",
        element("h1", "Hybrid backup"),
        element("p", f"{platform.node()}, as of {clock(now)}. Every age is counted from then.", class_="soft"),
        sections.banner(found, troubles),
        _section("health", "Health", _cards([sections.health_card(block) for block, _ in found])),
        _section("runs", "Runs of the last 30 days", *(sections.runs_card(*pair) for pair in found)),
        _section("tables", "Tables", *(sections.table_cards(*pair) for pair in found)),
        _section("size", "Database size", *(sections.size_card(settings, target, found) for target in settings.targets)),
        _section("restore", "Restore points", _cards([sections.points_card(block) for block, _ in found])),
        _section("drills", "Drills", sections.drills(found)),
        _section("edits", "Changed by hand", sections.edits(found)),
        _section("warnings", "Warnings", sections.warnings(settings, found)),
        element("footer", f"Hybrid backup {__version__}. This file loads nothing and contains no script."),
    )


def _section(name: str, title: str, *children: Html) -> Html:
    return element("section", element("h2", title, id=f"{name}-title"), *children, id=name, aria_labelledby=f"{name}-title")


def _cards(cards: list[Html]) -> Html:
    return element("div", *cards, class_="cards")
