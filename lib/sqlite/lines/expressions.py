"""The SQL expressions that make a row's line, and that say whether a mirror can hold the row.

There are three kinds of line. A mirror's line is what COPY loads: text in quotes, NULL bare. Its digest line is what both
sides hash: the same, but doubles as their eight bytes, because the two sides print them differently. A misfit's line
holds a whole row, every cell tagged with its storage class: n NULL, i integer, r real (its eight bytes), t text, b blob
in hex, x text in hex that Postgres could not hold.
"""

from collections.abc import Collection

from lib.sqlite.files.names import quoted
from lib.tables.plan import MOST_COLUMNS, PlannedColumn, TablePlan

# A btree of Postgres holds keys of up to 2,704 bytes.
KEY_BYTES = 2500
# Characters or bytes of a row's values, above which it is sent in pieces.
LARGE = 1 << 15

# What printf prints of a cell, and how: by %s NULL is nothing. An expression joined by || would be copied at every step.
CELL = {
    "bigint": ("%s", "{c}"),
    "boolean": ("%s", "{c}"),
    "text": ("%s", """CASE WHEN {c} NOT NULL THEN printf('"%w"', {c}) END"""),
    "bytea": ("%s", r"""CASE WHEN {c} NOT NULL THEN printf('"\x%s"', hex({c})) END"""),
    "double precision": ("%s", "real_text({c})"),
}
NEVER_NULL = {"bigint": ("%d", "{c}"), "boolean": ("%d", "{c}"), "text": ('"%w"', "{c}"), "bytea": (r'"\x%s"', "hex({c})")}
HASHED = {"double precision": ("%s", "real_bits({c})")}
MOST_ARGUMENTS = 100
PLAIN = """
    (typeof({c}) = 'text' AND ({c} NOT GLOB '*[^' || char(1) || '-' || char(127) || ']*'
        AND length({c}) = length(CAST({c} AS BLOB)) OR is_plain_text(CAST({c} AS BLOB))))"""
# -2⁶³ is the one whole number that SQLite keeps as a real in an INTEGER column, too, and finds equal to the integer: the change
# from one to the other is only noticed in a table with misfits.
FITS = {
    "bigint": "typeof({c}) = 'integer' AND {c} > -9223372036854775808",
    "boolean": "typeof({c}) = 'integer' AND {c} IN (0, 1)",
    "text": PLAIN,
    "bytea": "typeof({c}) = 'blob'",
    "double precision": "typeof({c}) = 'real' AND ({c} <> 0 OR NOT is_negative_zero({c}))",
}
HAS_CLASS = {
    "bigint": "typeof({c}) = 'integer'",
    "boolean": "typeof({c}) = 'integer'",
    "text": "typeof({c}) = 'text' AND instr({c}, char(0)) = 0",
    "bytea": "typeof({c}) = 'blob'",
    "double precision": "typeof({c}) = 'real'",
}
MISFIT_CELL = f"""
    CASE typeof({{c}})
        WHEN 'null' THEN 'n'
        WHEN 'integer' THEN 'i' || {{c}}
        WHEN 'real' THEN 'r' || real_bits({{c}})
        WHEN 'blob' THEN 'b' || hex({{c}})
        ELSE CASE WHEN {PLAIN} THEN '"t' || replace({{c}}, '"', '""') || '"' ELSE 'x' || hex(CAST({{c}} AS BLOB)) END
    END"""


def mirror_line(table: TablePlan) -> str:
    """Return the expression of the line that COPY loads into a mirror."""
    return _line(table, CELL)


def sqlite_digest_line(table: TablePlan) -> str:
    """Return the expression of the line that is hashed; Postgres' is postgres_digest_line."""
    return _line(table, CELL | HASHED)


def misfit_line(table: TablePlan) -> str:
    """Return the expression of the line that holds a whole row."""
    return _printed([("%s", MISFIT_CELL.format(c=quoted(column.name))) for column in table.columns])


def fits(table: TablePlan, row: str = "") -> str:
    """Return the condition under which the mirror's columns hold a row exactly; `row` is `new.` where there are others."""
    conditions = [_all_columns(table, FITS, row)]
    wide = [column for column in table.columns if column.is_indexed and column.mirror_type in ("text", "bytea")]
    if wide:
        lengths = [f"length(CAST({row}{quoted(column.name)} AS BLOB))" for column in wide]
        conditions.append(f"{' + '.join(f'ifnull({length}, 0)' for length in lengths)} <= {KEY_BYTES}")
    return " AND ".join(conditions)


def has_classes(table: TablePlan) -> str:
    """Return the condition under which a row's digest line tells everything of a row."""
    return _all_columns(table, HAS_CLASS)


def is_small_line(table: TablePlan) -> str:
    """Return the condition that a mirror's line may be built in one piece."""
    return _is_small("length({c})", [column for column in table.columns if column.mirror_type in ("text", "bytea")])


def is_small_misfit(table: TablePlan) -> str:
    """Return the condition that a misfit's line may be built in one piece."""
    # length() of a text ends at a NUL
    return _is_small("length(CAST({c} AS BLOB))", table.columns)


def _is_small(length: str, columns: Collection[PlannedColumn]) -> str:
    """Very wide tables are not asked."""
    if not columns or len(columns) > MOST_COLUMNS:
        return "1"
    lengths = (f"ifnull({length.format(c=quoted(column.name))}, 0)" for column in columns)
    return f"({' + '.join(lengths)} <= {LARGE})"


def _all_columns(table: TablePlan, forms: dict[str, str], row: str = "") -> str:
    columns = [column for column in table.columns if not (column.is_rowid and column.mirror_type == "bigint")]  # always fits
    return " AND ".join(_or_null(column, forms[column.mirror_type], f"{row}{quoted(column.name)}") for column in columns) or "1"


def _or_null(column: PlannedColumn, form: str, cell: str) -> str:
    condition = form.format(c=cell)
    return f"({condition})" if column.not_null else f"({cell} IS NULL OR {condition})"


def _line(table: TablePlan, forms: dict[str, tuple[str, str]]) -> str:
    cells = []
    for column in table.columns:
        shown, value = (forms | NEVER_NULL if column.not_null else forms)[column.mirror_type]
        cells.append((shown, value.format(c=quoted(column.name))))
    return _printed(cells)


def _printed(cells: list[tuple[str, str]]) -> str:
    """Return the expression that prints the cells, commas between them, as many at a time as a function takes."""
    parts = []
    for start in range(0, len(cells), MOST_ARGUMENTS):
        shown, values = zip(*cells[start : start + MOST_ARGUMENTS], strict=True)
        parts.append(f"printf('{','.join(shown)}', {', '.join(values)})")
    return " || ',' || ".join(parts)
