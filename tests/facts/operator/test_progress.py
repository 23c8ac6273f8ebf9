"""On a terminal a backup and a restore look alive, and leave a tidy screen; elsewhere there is no line that moves."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

from tests.stand_ins.bot import Bot, environment

FRAME = re.compile(r"\r\x1b\[2K([^\r\n]+)(?=\r\x1b\[2K)")
ROWS = re.compile(r"message_owners  [\d,]+ of 62,567 rows  \d+:\d\d left  [\d,]+ rows/s  ━")
COLOUR = re.compile(r"\x1b\[\d+m")


@pytest.fixture
def big_bot(tmp_path, database):
    return Bot.make(tmp_path / "bot", database, users=6000)


def on_a_terminal(bot, columns, *command, **settings):
    """Run a script on a terminal of so many columns, and return what it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    extra = environment() | {"TERM": "xterm", "LANG": "C.UTF-8"} | settings
    extra.pop("COLUMNS", None)
    script = bot.command(*command)
    with subprocess.Popen(
        script, stdin=theirs, stdout=theirs, stderr=theirs, env=extra, cwd=bot.folder, close_fds=True
    ) as running:
        os.close(theirs)
        written = b""
        while chunk := read(ours):
            written += chunk
    assert running.returncode == 0, written.decode()
    return written.decode()


def read(descriptor):
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # Linux says so when the other end is closed
        return b""


def frames(written):
    return [COLOUR.sub("", frame) for frame in FRAME.findall(written)]


def screen(written):
    """Return what is left on the screen when all is over."""
    lines = []
    for line in written.replace("\r\n", "\n").split("\n"):
        lines.append(re.split(r"\r\x1b\[2K", line)[-1])
    return lines


@pytest.mark.campaign
def test_the_first_backup_and_a_restore_show_rows_and_erase_them(big_bot):
    for command in (["setup_supabase.py"], ["restore.py", "--yes"]):
        written = on_a_terminal(big_bot, 100, *command)
        shown = frames(written)
        assert [
            frame for frame in shown if re.match(r"message_owners  [\d,]+ of 62,567 rows  \d+:\d\d left  [\d,]+ rows/s  ━", frame)
        ], shown
        assert all(len(frame) < 100 for frame in shown)
        assert not [line for line in screen(written) if "━" in line or " left" in line]
        assert "\x1b[32m" in written


def test_forty_columns_and_no_colour(big_bot):
    written = on_a_terminal(big_bot, 40, "setup_supabase.py", NO_COLOR="1")
    shown = frames(written)
    assert [frame for frame in shown if re.match(r"message_owners  [\d,]+ of [\d,]+", frame)], shown
    assert all(len(frame) < 40 for frame in shown)
    assert COLOUR.search(written) is None


@pytest.mark.campaign
def test_a_dumb_terminal_a_pipe_and_quiet_have_no_line_that_moves(big_bot):
    assert "\x1b" not in on_a_terminal(big_bot, 80, "setup_supabase.py", TERM="dumb")
    assert "\x1b" not in on_a_terminal(big_bot, 80, "backup.py", "--full", "--quiet")
    assert "\x1b" not in big_bot.run("backup.py", "--full", "--verbose").expect(0).stdout
