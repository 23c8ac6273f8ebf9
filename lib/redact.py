"""The one place that keeps secrets out of everything that is printed, logged or sent."""

_secrets: set[str] = set()


def remember(secret: str) -> None:
    """Hide this secret from now on; very short ones would blank out innocent text."""
    if len(secret) >= 4:
        _secrets.add(secret)


def clean(text: str) -> str:
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "••••")
    return text
