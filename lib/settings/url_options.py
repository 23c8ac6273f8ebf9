"""The options behind the `?` of a connection string: what becomes of each.

Dashboards and ORMs put there what their own drivers understand, and people copy it. What cannot change what a run does is
ignored, with a note; what could is refused, because to leave it out would not be what was meant.
"""

import re
from urllib.parse import unquote

USED = ("sslmode", "sslrootcert", "channel_binding")
ANY, NOTHING = ".*", "(?!)"
# Each with the values that change nothing here.
HARMLESS = {
    # For poolers and their clients: a script has one connection and prepares no statement.
    **dict.fromkeys(
        ("pgbouncer", "pool_mode", "pool_timeout", "pool_size", "pool_recycle", "pool_pre_ping", "max_overflow"), ANY
    ),
    **dict.fromkeys(("connection_limit", "max_pool_size", "min_pool_size", "idle_timeout", "supa", "workaround"), ANY),
    **dict.fromkeys(("prepared_statements", "prepare_threshold", "preparethreshold", "statement_cache_size"), ANY),
    **dict.fromkeys(
        ("prepared_statement_cache_size", "binary_parameters", "binarytransfer", "simple_protocol", "socket_timeout"), ANY
    ),
    # A run has its own: times it waits, name, encoding; and it qualifies every name.
    **dict.fromkeys(("connect_timeout", "statement_timeout", "lock_timeout", "query_timeout", "tcp_user_timeout"), ANY),
    **dict.fromkeys(("idle_in_transaction_session_timeout", "keepalives", "keepalives_idle", "keepalives_interval"), ANY),
    **dict.fromkeys(
        ("keepalives_count", "application_name", "applicationname", "fallback_application_name", "client_encoding"), ANY
    ),
    **dict.fromkeys(("schema", "currentschema", "search_path", "timezone", "json_serializer", "async_fallback"), ANY),
    # TLS is always used outside this machine, and the server's name is told to it.
    **dict.fromkeys(("ssl", "sslaccept", "uselibpqcompat", "sslcompression", "sslsni", "sslnegotiation"), ANY),
    "gssencmode": "disable|prefer",
    # There is one host, and it is written to.
    "target_session_attrs": "any|read-write|primary",
    **dict.fromkeys(("load_balance_hosts", "targetservertype"), "disable|any|primary|master"),
    "replication": "false|off|no|0",
}
ELSEWHERE = "the place for that is before the ?"
SERVICE = "settings come from .env alone"
CERTIFICATE = "a certificate of the client's own is not used"
# What would change where a run goes, as whom, or what it relies on.
REFUSED = {
    **dict.fromkeys(("host", "hostaddr", "port", "dbname", "database", "user", "username", "password"), ELSEWHERE),
    **dict.fromkeys(("service", "servicefile", "passfile"), SERVICE),
    **dict.fromkeys(("sslcert", "sslkey", "sslpassword", "sslidentity", "sslcertmode"), CERTIFICATE),
    "options": "it would change what a run relies on",
}
TENANT = re.compile(r"(reference|endpoint)=([A-Za-z0-9_-]+)")


def read(name: str, given: dict[str, str], query: str, problems: list[str], notes: list[str]) -> dict[str, str]:
    """Return the parts of a connection string with those that are used, by name in capitals; the rest is noted or is a problem.

    Values are never shown: one may be a password.
    """
    parts, ignored = dict(given), []
    for option, value in _pairs(query):
        user = _with_tenant(parts["USER"], parts["HOST"], value) if option == "options" else None
        if option in USED:
            parts[option.upper()] = value
        elif user == parts["USER"] or re.fullmatch(HARMLESS.get(option, NOTHING), value, re.DOTALL | re.IGNORECASE):
            ignored.append(option)
        elif user:
            notes.append(f"{name}: the user is {user}, as its option says.")
            parts["USER"] = user
        else:
            why = REFUSED.get(option, "it is not known here" + " with that value" * (option in HARMLESS))
            problems.append(f"{name} has the option {option!r}: {why}; delete it from the URL.")
    if ignored:
        notes.append(f"{name}: {', '.join(dict.fromkeys(ignored))}: ignored, because nothing here depends on that.")
    return parts


def _pairs(query: str) -> list[tuple[str, str]]:
    """Take apart as libpq does: a + stays one."""
    options = [option.partition("=") for option in query.split("&") if option]
    return [(unquote(option).lower(), unquote(value)) for option, _, value in options]


def _with_tenant(user: str, host: str, value: str) -> str | None:
    """Return the user with the project that a pooler is to connect to; None for options that say something else.

    Supabase's pooler reads it from the user's name, postgres.PROJECT; others have it in the host's, ENDPOINT.REGION.
    """
    match = TENANT.fullmatch(value)
    if not match:
        return None
    kind, tenant = match.groups()
    if kind == "endpoint":
        return user if host.split(".")[0] in (tenant, f"{tenant}-pooler") else None
    if "." in user:
        return user if user.endswith(f".{tenant}") else None
    return f"{user}.{tenant}"
