"""The settings of a text, as if it stood in .env."""

from lib.settings import config


def load(tmp_path, monkeypatch, text, **environment):
    for name in list(config.os.environ):
        if config.OURS.match(name) or name == "SQLITE_DATABASES":
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / ".env"
    path.write_text(text)
    path.chmod(0o600)
    return config.load(str(path))
