"""The house rules that a machine can check."""

import ast
import contextlib
import re
import sqlite3
import statistics
import subprocess
import sys

import pytest

from lib.sqlite.files import functions
from lib.sqlite.lines import expressions
from lib.tables.plan import PlannedColumn, TablePlan
from tests.stand_ins.bot import REPOSITORY, environment

SCRIPTS = ("backup.py", "restore.py", "setup_supabase.py", "test_backup.py")
MODULES = sorted([*REPOSITORY.glob("*.py"), *REPOSITORY.glob("lib/**/*.py")])
TOP_LEVEL = {*SCRIPTS, "lib", "sql", "crontab.example", "requirements.txt", "README.md", "tests", "LICENSE", "CHANGELOG.md"}


# The rooms of lib/, lowest first: an import only ever goes down, or stays in its room.
FLOORS = (
    "base", "start", "settings", "tables",
    "sqlite.files", "sqlite.lines", "sqlite.snapshots", "sqlite.compare", "sqlite.building", "sqlite.editing",
    "sqlite.replacing",
    "postgres.link", "postgres.books", "postgres.mirrors", "postgres.setup",
    "backing_up", "restoring", "reporting", "live", "trying",
)  # fmt: skip


def module_name(path):
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


def imported(path):
    """Return the modules of ours that a file imports."""
    known = {module_name(found) for found in MODULES}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in names if node.module.split(".")[0] == "lib")
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)


def floor(module):
    """Return how high a module's room is; what is in none is refused."""
    (found,) = [number for number, room in enumerate(FLOORS) if f"{module}.".startswith(f"lib.{room}.")]
    return found


def test_an_import_only_ever_goes_down():
    in_rooms = [path for path in MODULES if path.parent != REPOSITORY and path.name != "__init__.py"]
    assert {FLOORS[floor(module_name(path))] for path in in_rooms} == set(FLOORS)
    for path in in_rooms:
        above = [name for name in imported(path) if name != "lib" and floor(name) > floor(module_name(path))]
        assert above == [], path


def test_no_two_modules_import_each_other_in_a_circle():
    graph = {module_name(path): set(imported(path)) for path in MODULES}
    while free := {name for name, needs in graph.items() if not needs & graph.keys() - {name}}:
        graph = {name: needs for name, needs in graph.items() if name not in free}
    assert graph == {}


def function_lengths():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                doc = ast.get_docstring(node, clean=False)
                yield node.end_lineno - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0), f"{path.name} {node.name}"


def test_functions_are_short():
    lengths = sorted(function_lengths())
    numbers = [length for length, _ in lengths]
    assert statistics.median(numbers) <= 8
    assert numbers[int(len(numbers) * 0.9)] <= 20
    assert numbers[-1] <= 40, lengths[-1]


def test_only_the_standard_library_and_psycopg2_are_imported():
    allowed = {*sys.stdlib_module_names, "lib", "psycopg2", "backup"}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in found} <= allowed, path


ONLY_OURS = """
import importlib, sys
sys.dont_write_bytecode = True
known = {*sys.stdlib_module_names, "psycopg2", "lib", *(name.split(".")[0] for name in sys.argv[1:])}
class OnlyOurs:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in known:
            raise ImportError(f"{name} is neither the standard library's nor psycopg2's")
sys.meta_path.insert(0, OnlyOurs())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def test_every_module_is_imported_with_nothing_else_installed():
    """A fresh Python in which everything but the standard library and psycopg2 is out of reach."""
    modules = [module_name(path) for path in MODULES]
    command = [sys.executable, "-c", ONLY_OURS, *modules]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=environment())
    assert done.returncode == 0, done.stderr
    refused = subprocess.run([*command, "pytest"], capture_output=True, text=True, cwd=REPOSITORY, env=environment())
    assert "is neither the standard library's" in refused.stderr


def test_the_requirements_are_one_range_with_its_reason_and_pinned_tests():
    comment, requirement = (REPOSITORY / "requirements.txt").read_text().splitlines()
    assert comment.startswith("# ")
    assert re.fullmatch(r"psycopg2-binary>=2\.9\.\d+,<3", requirement)
    _, *pinned = (REPOSITORY / "tests" / "requirements.txt").read_text().splitlines()
    assert all(re.match(r"[a-z0-9-]+==[\d.]+(;|$)", line) for line in pinned)


def test_the_top_level_is_as_it_was_agreed():
    tracked = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True).stdout.split("\n")
    names = {name.split("/")[0] for name in tracked if name}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


def test_the_tests_are_in_rooms_too():
    tests = REPOSITORY / "tests"
    assert {path.name for path in tests.glob("*.py")} == {"__init__.py", "conftest.py", "compare.py"}
    assert {path.name for path in tests.rglob("test_*.py") if path.parent.parent != tests / "facts"} == {"test_house.py"}


def test_facts_do_not_lean_on_each_other():
    for path in sorted(REPOSITORY.glob("tests/**/*.py")):
        assert re.findall(r"^\s*(?:from|import) tests\.facts\b.*", path.read_text(), re.MULTILINE) == [], path


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_is_the_docstring_with_what_goes_together_and_names_every_flag(script):
    done = subprocess.run([sys.executable, REPOSITORY / script, "--help"], capture_output=True, text=True, env=environment())
    assert done.returncode == 0
    source = (REPOSITORY / script).read_text()
    assert done.stdout.partition("\nwhat goes together")[0].strip() == ast.get_docstring(ast.parse(source)).strip()
    flags = set(re.findall(r'add_argument\("(--[a-z-]+)"', source + (REPOSITORY / "lib" / "base" / "script.py").read_text()))
    assert {flag for flag in flags if flag not in done.stdout} == set()
    assert "exit status:" in done.stdout
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_works_from_any_folder_and_hops_into_the_venv(script, tmp_path):
    done = subprocess.run([sys.executable, REPOSITORY / script, "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert re.fullmatch(r"Hybrid backup \d+\.\d+\.\d+\n", done.stdout)


def test_every_statement_is_used_and_says_why_it_exists():
    code = "".join(path.read_text() for path in MODULES)
    for path in sorted((REPOSITORY / "sql" / "statements").glob("*.sql")):
        assert path.read_text().startswith("-- "), path.name
        assert f'"{path.stem}"' in code, f"{path.name} is used by nobody"


def test_every_setting_is_documented():
    from lib.settings import channels, config, targets

    documented = (REPOSITORY / ".env.example").read_text() + (REPOSITORY / "README.md").read_text()
    names = {*config.DEFAULTS, *channels.NAMES, "SUPABASE_DB_URL", *(f"SUPABASE_DB_{part}" for part in targets.PARTS)}
    assert {name for name in names if name not in documented} == set()


def test_git_and_the_linter_overlook_nothing_that_is_kept():
    """A room may be called as a folder that runs make; what .gitignore names, ruff does not look at either."""
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    assert subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout == ""


PLAN = (REPOSITORY / "lib" / "README.md").read_text().partition("\n## Models")[0]
NAMED = re.findall(r"`([^`\n]+)`", PLAN)


def test_the_plan_on_the_wall_has_every_room_in_its_order_with_its_modules():
    rows = re.findall(r"^\| `([a-z_.]+)` \| ([a-z_ ]+) \|", PLAN.partition("\n## A run")[0], re.MULTILINE)
    assert [room for room, _ in rows] == list(FLOORS)
    for room, modules in rows:
        folder = REPOSITORY.joinpath("lib", *room.split("."))
        there = {path.stem for path in folder.glob("*.py")} - {"__init__"} if folder.is_dir() else {folder.stem}
        assert set(modules.split()) == there, room


def test_what_the_plan_names_is_there():
    paths = {name for name in NAMED if re.fullmatch(r"(lib|sql|tests|\.ci)/[\w./]+|\w+\.py|\.[\w-]+\.yaml|[A-Z]+\.md", name)}
    assert {path for path in paths if not (REPOSITORY / path).exists()} == set()
    code = "".join(path.read_text() for path in [*MODULES, *REPOSITORY.glob("sql/**/*.sql")])
    words = {name for name in NAMED if re.fullmatch(r"[A-Z]+_[A-Z_]+|[a-z]+_[a-z_]+", name)}
    assert {word for word in words if not re.search(rf"\b{word}\b", code)} == set()
    assert len(paths) > 10
    assert len(words) > 10


def test_the_plan_writes_a_row_as_the_code_does():
    """The row whose way in bytes the plan shows."""
    columns = [("id", "bigint"), ("name", "text"), ("price", "double precision"), ("picture", "bytea"), ("is_sold", "boolean")]
    planned = tuple(PlannedColumn(name, name, kind, name == "id", name == "id", is_rowid=name == "id") for name, kind in columns)
    table, (create, row, misfit) = TablePlan("gifts", "gifts", planned), re.findall(r"`(gifts [^`]+|\d, [^`]+)`", PLAN)
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        functions.register(database)
        database.execute(f"CREATE TABLE {create}")
        database.execute(f"INSERT INTO gifts VALUES ({row}), ({misfit})")
        fits = expressions.fits(table)
        lines = [
            database.execute(f"SELECT {line(table)} FROM gifts WHERE ({fits}) = {wanted}").fetchone()[0]
            for line, wanted in ((expressions.mirror_line, 1), (expressions.sqlite_digest_line, 1), (expressions.misfit_line, 0))
        ]
    assert [line for line in lines if line not in NAMED] == []


def test_the_hooks_before_a_commit_are_those_of_the_tests():
    pinned = set((REPOSITORY / "tests" / "requirements.txt").read_text().splitlines())
    hooks = set(re.findall(r"[\w-]+==[\w.]+", (REPOSITORY / ".pre-commit-config.yaml").read_text()))
    named = {line.partition("==")[0] for line in pinned}
    assert {hook for hook in hooks if hook.partition("==")[0] in named} <= pinned
    assert {hook.partition("==")[0] for hook in hooks} == {"ruff", "mypy", "types-psycopg2"}
