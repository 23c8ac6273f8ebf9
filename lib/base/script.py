"""What the four scripts share: their flags, their exit statuses, and how success and failure are printed."""

import argparse
import ast
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from lib import __version__
from lib.base import causes, leaving, log, progress, stopping, streams, together
from lib.base.errors import Interrupted, Problem, SettingsError
from lib.base.leaving import shown, told, told_all
from lib.base.printable import record

SAVED, FAILED, USAGE, INCOMPLETE = 0, 1, 2, 3


class Parser(argparse.ArgumentParser):
    """A parser whose help is the docstring and what goes together, and whose errors are of the `Error:` / `Try:` form."""

    def __init__(self, doc: str | None, tasks: together.Tasks):
        super().__init__(add_help=False, allow_abbrev=False)
        self.tasks, told = tasks, f"{(doc or _docstring()).strip()}\n\n{together.as_help(tasks)}"
        self.answers = {"--help": told, "-h": told, "--version": f"Hybrid backup {__version__}"}
        self.add_argument("--env-file", metavar="PATH")
        for flag in (*self.answers, "--json", "--quiet", "--verbose"):
            self.add_argument(flag, action="store_true")

    def understood(self, typed: Sequence[str]) -> argparse.Namespace:
        """Return what was typed; raise SettingsError where it cannot be done as it was typed."""
        if unclear := together.unclear(typed):
            self.error(unclear)
        written = self.parse_args(typed)
        given = [name for name, value in vars(written).items() if value not in (self.get_default(name), [])]
        flags = ["SOURCE" if name == "source" else f"--{name.replace('_', '-')}" for name in given]
        if refusal := together.refusal(self.tasks, flags):
            self.error(refusal)
        return written

    def error(self, message: str) -> NoReturn:
        raise SettingsError(message + "." * (message[-1] not in ".?"), f"python3 {self.prog} --help")


def _docstring() -> str:
    """Return the script's docstring, which python3 -OO leaves out."""
    return ast.get_docstring(ast.parse(Path(sys.argv[0]).read_text(encoding="utf-8"))) or ""


class Console:
    """Where a script speaks: people on stdout, failures on stderr; `--json` keeps stdout for one object.

    From cron (stdout is no terminal) a script that succeeds says nothing, unless it was asked a question.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False, verbose: bool = False):
        self.is_json, self.is_verbose = json, verbose
        self.is_quiet = json or quiet
        self.is_watched = verbose or sys.stdout.isatty()
        self.besides: dict[str, Any] = {}  # what `--json` tells of what came before

    def say(self, text: str = "") -> None:
        """Print an answer."""
        if not self.is_quiet:
            print(shown(text), flush=True)

    def note(self, text: str) -> None:
        """Print what only somebody who watches wants to read."""
        if self.is_watched:
            self.say(text)

    def warn(self, text: str) -> None:
        """Print and log what a person should look at, though it has worked."""
        log.warning(text)
        if not self.is_quiet:
            print(record(told(f"Warning: {text}")), file=sys.stderr, flush=True)

    def fault(self, text: str) -> None:
        """Print a failure among the answers, or on stderr where only failures are wanted."""
        print(shown(text), file=sys.stderr if self.is_quiet else sys.stdout, flush=True)

    def complain(self, text: str) -> None:
        """Print the reason of a failure that is the answer, not an accident."""
        log.error(text)
        print(shown(text), file=sys.stderr, flush=True)

    def fail(self, problem: Problem) -> None:
        """Print and log why something failed, and what to do."""
        stopping.check()
        log.error(problem.what)
        print(shown(problem.text), file=sys.stderr)

    def result(self, outcome: dict[str, Any]) -> None:
        """Print the one object of `--json`."""
        if self.is_json:
            streams.answer(told_all(outcome | self.besides))


def run(main: Callable[[argparse.Namespace, Console], int], parser: Parser) -> NoReturn:
    """Run a script's main function and end with its exit status; no traceback reaches the operator."""
    streams.prepare()
    try:
        stopping.on_signals()
        status = _status(main, parser, sys.argv[1:])
        stopping.check()
    except Interrupted as interruption:
        stopping.leave(interruption.number)
    stopping.forget_signals()
    stopping.end(status)


def _status(main: Callable[[argparse.Namespace, Console], int], parser: Parser, typed: list[str]) -> int:
    console = Console(json="--json" in typed)  # before the flags are understood
    for flag, answer in parser.answers.items():
        if flag in typed:
            console.say(answer)
            console.result({"outcome": "saved", "text": answer})
            return SAVED
    try:
        options = parser.understood(typed)
        leaving.with_settings(options.env_file)
        console = Console(json=options.json, quiet=options.quiet, verbose=options.verbose)
        progress.show_to(console)
        return main(options, console)
    except Problem as problem:
        return _failed(console, problem)
    except Exception as error:
        log.error(traceback.format_exc())
        return _failed(console, causes.of(error))


def _failed(console: Console, problem: Problem) -> int:
    console.fail(problem)
    console.result({"outcome": "failed", "error": problem.what, "try": problem.remedy})
    return problem.status


def judged(anything_saved: bool, anything_failed: bool) -> tuple[str, int]:
    """Return the outcome and the exit status of a script that does several things."""
    if not anything_failed:
        return "saved", SAVED
    return ("incomplete", INCOMPLETE) if anything_saved else ("failed", FAILED)


def ask(question: str) -> bool:
    """Ask on the terminal; anything but `yes` is no."""
    try:
        return input(f"{question} [yes/no] ").strip().lower() in ("yes", "y")
    except (EOFError, OSError, UnicodeDecodeError):  # whoever was there is gone, or types what is no text
        return False
