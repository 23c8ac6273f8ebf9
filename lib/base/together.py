"""Which flags go together: from this one table what was typed is refused, `--help` says it, and a test tries every pair."""

import textwrap
from collections import Counter
from collections.abc import Sequence

# What a script can be asked to do, and what may be said with it; under "" what it does where nothing else is asked for.
# A permission that is not needed (--yes, --accept-…) is not ignored.
Tasks = dict[str, str]
BACKUP: Tasks = {
    "": "SOURCE --full --accept-shrink --accept-exposure --accept-moved --every",
    "--dry-run": "SOURCE --full --accept-shrink --accept-exposure --accept-moved",
    "--verify": "SOURCE",
    "--prove": "",
    "--status": "SOURCE --max-age",
    "--report": "SOURCE --max-age",
    "--fleet": "--report --max-age",
    "--live": "SOURCE --accept-exposure",
    "--edits": "SOURCE",
    "--undo-edits": "",
    "--demo": "",
}
RESTORE: Tasks = {
    "": "--database --at --to --target --accept-moved --dry-run --yes",
    "--table": "--database --at --where --to --target --accept-moved --dry-run --yes",
    "--list": "--database --target --since --last",
    "--find": "--database --target --where --at --csv",
    "--export": "--database --target --at --format",
    "--history": "--database --target --where --at --since",
    "--keep": "--database --target",
    "--release": "--database --target",
    "--local": "--database --to --target --dry-run --yes",
    "--undo": "--database --to --dry-run --yes",
    "--drill": "--database --target",
}
SETUP: Tasks = {
    "": "--writer-role --editor-role --viewer-role --watch",
    "--check": "",
    "--ddl": "",
    "--schedule": "--live --install --remove",
}
TRIAL: Tasks = {"": "", "--send-alert": ""}
# Where the settings are and how a script speaks goes with everything, but for these pairs, and why.
ALWAYS = ("--env-file", "--json", "--quiet", "--verbose")
APART = {
    ("--demo", "--env-file"): "the demo has databases and a server of its own",
    ("--quiet", "--verbose"): "one asks for less, the other for more",
    ("--json", "--verbose"): "the object has every table already",
    **{
        (f"--{role}-role", how): f"--{role}-role shows a password once, and cannot be quiet"
        for role in ("writer", "editor", "viewer")
        for how in ("--quiet", "--json")
    },
    ("--ddl", "--quiet"): "--ddl does nothing but print",
    ("--schedule", "--quiet"): "--schedule prints what is to run",
    ("--live", "--remove"): "--remove takes away all of it",
    ("--install", "--remove"): "one puts the schedule there, the other takes it away",
}


def refusal(tasks: Tasks, given: Sequence[str]) -> str:
    """Return in one line why these flags do not go together; nothing where they do. SOURCE stands for names of sources."""
    asked = [task for task in tasks if task in given and not any(task in tasks.get(flag, "").split() for flag in given)]
    if len(asked) > 1:
        return f"{asked[0]} and {asked[1]} do not go together: ask for one of them."
    task = asked[0] if asked else ""
    for flag in given:
        if flag not in (task, *ALWAYS, *tasks[task].split()):
            return _stranger(tasks, task, flag)
    apart = (f"{one} and {other} do not go together: {why}." for (one, other), why in APART.items() if {one, other} <= {*given})
    return next(apart, "")


def _stranger(tasks: Tasks, task: str, flag: str) -> str:
    if task:
        return f"{flag} does not go with {task}, which goes with {_listed(tasks[task].split()) or 'no other'}."
    return f"{flag} goes only with {_listed([other for other in tasks if flag in tasks[other].split()], 'or')}."


def _listed(flags: list[str], last: str = "and") -> str:
    return f" {last} ".join(filter(None, (", ".join(flags[:-1]), *flags[-1:])))


def unclear(typed: Sequence[str]) -> str:
    """Return in one line what was typed so that it could be taken for something else; nothing where all is clear."""
    flag = "SOURCE"
    for word in typed:
        flag, is_given, value = word.partition("=") if word.startswith("--") else (flag, "=", word)
        if is_given and not value.strip():
            return f"{flag} was given an empty value: is a variable not set?"
        flag = "SOURCE" if is_given else flag
    # Whoever has an alias with --env-file may give another one; of conditions there are several.
    flags = Counter(word.partition("=")[0] for word in typed if word.startswith("--") and word != "--")
    twice = [flag for flag, count in flags.items() if count > 1 and flag not in ("--env-file", "--where")]
    return f"{twice[0]} was given more than once." if twice else ""


def as_help(tasks: Tasks) -> str:
    """Return the table as `--help` shows it, in 80 columns."""
    lines = [f"what goes together, besides {_listed([*ALWAYS])}:"]
    for task, others in tasks.items():
        lines.append(_wrapped(f"  {task or 'none of these':<15} ", others or "(nothing else)"))
    known = {*ALWAYS, *tasks, *" ".join(tasks.values()).split()}
    apart = [" with ".join(pair) for pair in APART if set(pair) <= known]
    return "\n".join([*lines, _wrapped("  but not         ", ", ".join(apart))])


def _wrapped(label: str, text: str) -> str:
    return textwrap.fill(label + text, 80, subsequent_indent=" " * len(label), break_on_hyphens=False)
