"""The sections of the report, each made of what the sources are known to be."""

import time
from collections.abc import Mapping, Sequence

from lib.backing_up.health import Answered, Health, Unanswered
from lib.base.words import age, ago, clock, plural, size
from lib.reporting import troubles
from lib.reporting.chronicle import Account, Drill, Edit
from lib.reporting.markup import Html, element, joined
from lib.reporting.troubles import Trouble
from lib.settings.config import Settings

UNKNOWN = "Unknown until the target answers."


def banner(verdict: str, well: str, found: list[Trouble]) -> Html:
    """Say whether all is `well`, or what is wrong and what to type."""
    said = element("strong", verdict)
    if not found:
        return element("div", said, well, class_="banner good", role="status")
    items = [element("li", trouble.sentence, *_typed(trouble)) for trouble in found]
    kind = "bad" if found[0].is_bad else "mind"
    return element("div", said, element("ul", *items), class_=f"banner {kind}", role="status")


def _typed(trouble: Trouble) -> list[Html]:
    return [element("code", trouble.remedy)] if trouble.remedy else []


def when(at: float, now: float) -> Html:
    """Return a time, and how long ago that was."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    return joined(element("time", clock(at), datetime=stamp), f", {ago(now - at) if at <= now else f'in {age(at - now)}'}")


def name(account: Account) -> Html:
    """Return a source and its target."""
    return joined(element("bdi", account.source), " → ", element("bdi", account.target.label))


def card(account: Account, *children: Html, wide: str = "") -> Html:
    """Return a card with the name of a source on a target, and how it is doing."""
    kind, word = _verdict(account.health)
    badge = element("span", word, class_=f"badge {kind}")
    return element("article", element("header", element("h3", name(account)), badge), *children, class_=f"card{wide}")


def _verdict(health: Health) -> tuple[str, str]:
    if not health.success:
        return "bad", "no backup" if isinstance(health, Answered) else "unknown"
    if health.is_failing or health.is_overdue:
        return "bad", "failing" if health.is_failing else "overdue"
    return ("mind", "out of reach") if isinstance(health, Unanswered) else ("good", "saved")


def _facts(facts: Mapping[str, object]) -> Html:
    return element("dl", *(joined(element("dt", name), element("dd", value)) for name, value in facts.items() if value))


def health_card(account: Account) -> Html:
    """Return the card of one source: its last success and failure, its next run, its last drill."""
    health = account.health
    now, last, failure = health.known["now"], health.success, health.failure
    facts: dict[str, object] = {"last success": when(last["at"], now) if last else troubles.no_success(health)}
    if last:
        facts["it saved"] = f"run {last['run']}: {plural(last['rows'], 'row')}, {plural(last['changes'], 'change')}"
        facts["it took"] = f"{last['seconds']:.1f} s, {size(last['bytes_sent'])} sent"
    if health.live_age is not None:
        facts["live"] = f"{age(health.live_age)} behind" if health.is_live else f"not seen for {age(health.live_age)}"
    if failure:
        facts["last failure"] = joined(when(failure["at"], now), ": ", failure["error"] or "")
    if health.next_expected:
        facts["next run"] = joined("overdue, expected " if health.is_overdue else "expected ", when(health.next_expected, now))
    if isinstance(health, Answered):
        facts["proven"] = _proven(health)
    facts["edits"] = health.edits
    return card(account, _facts(facts))


def _proven(health: Answered) -> str:
    proven = health.known["proven"]
    if not proven:
        return "never restored in a drill"
    return joined(f"run {proven['run']}, by the drill of ", when(proven["at"], health.known["now"]))


def table(name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Html:
    """Return a table that scrolls by itself where it is too wide; a column with a # at its end holds numbers, `why` sentences."""
    kinds = ["n" if column.endswith("#") else "why" if column == "why" else None for column in columns]
    titles = [column.removesuffix(" #") for column in columns]
    head = element("tr", *(element("th", title, scope="col", class_=kind) for title, kind in zip(titles, kinds, strict=True)))
    body = [element("tr", *(element("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True))) for row in rows]
    drawn = element("table", element("thead", head), element("tbody", *body))
    return element("div", drawn, class_="scroll", tabindex=0, role="group", aria_label=name)


def points_card(account: Account) -> Html:
    """Return the card that says how far back a restore can go."""
    health = account.health
    if not isinstance(health, Answered):
        return card(account, element("p", UNKNOWN, class_="soft"))
    points, now, last = health.known["restore_points"], health.known["now"], health.success
    if points["at"] is None:
        return card(account, element("p", "None.", class_="soft"))
    newest = joined(f"run {last['run']}, ", when(last["at"], now)) if last else "none"
    kept = {"kept for ever": f"{points['kept']:,}"} if points["kept"] else {}
    facts = {"oldest": joined(f"run {points['oldest']}, ", when(points["at"], now)), "newest": newest, **kept}
    how = element("span", "restore.py --at", class_="whole")
    number = element("p", f"{points['count']:,} ", element("small", "runs can be restored with ", how), class_="number")
    return card(account, number, _facts(facts))


def listed(items: Sequence[str], nothing: str) -> Html:
    """Return a list of texts or elements, or a sentence where there is none."""
    if not items:
        return element("p", nothing, class_="soft")
    return element("div", element("ul", *(element("li", item) for item in items), class_="plain"), class_="card")


def drills(accounts: list[Account]) -> Html:
    """Return the last drills of all sources, newest first."""
    items: list[str] = [_drill(account, drill) for account in accounts for drill in reversed(account.chronicle["drills"])]
    return listed(items + _unknown(accounts), "No drill yet: python3 restore.py --drill")


def _unknown(accounts: list[Account]) -> list[str]:
    """Return a line for each target that has not answered: that nothing is known is not that there is nothing."""
    labels = dict.fromkeys(account.target.label for account in accounts if isinstance(account.health, Unanswered))
    return [f"{label}: unknown until it answers." for label in labels]


def _drill(account: Account, drill: Drill) -> Html:
    mark, ended = "❌ " if drill["error"] else "✅ ", when(drill["at"], account.health.known["now"])
    said = drill["error"] or f"{plural(drill['rows'], 'row')} rebuilt and compared in {drill['seconds']:.2f} s"
    return joined(mark, name(account), f", run {drill['run']}: {said}. ", ended)


def edits(accounts: list[Account]) -> Html:
    """Return what was changed in mirrors by hand, newest first."""
    items: list[str] = [_edit(account, edit) for account in accounts for edit in reversed(account.chronicle["edits"])]
    return listed(items + _unknown(accounts), "Nobody has changed a mirror.")


def _edit(account: Account, edit: Edit) -> Html:
    table = element("bdi", f"{account.source}.{edit['table']}")
    did = f": {edit['operation']} of {plural(edit['rows'], 'row')} by "
    return joined(table, did, element("bdi", edit["by"]), ". ", when(edit["at"], account.health.known["now"]))


def warnings(settings: Settings, accounts: list[Account]) -> Html:
    """Return the warnings of the settings and of the last runs, each once."""
    texts = [*settings.warnings, *(text for account in accounts for text in account.health.warnings)]
    return listed(list(dict.fromkeys(texts)), "None.")
