"""Run our scripts in forks of a process that has loaded their modules: to load them takes longer than most scripts work.

What a script finds is what a new process would find: arguments, environment, folder, streams, signals. Whoever changes what
Python or a module reads as it is loaded gets a new process (`may_run`), and so does everybody with HYBRID_BACKUP_TEST_PLAIN.
"""

import contextlib
import importlib
import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LOADED = ("backup", "restore", "setup_supabase", "test_backup", "lib.backing_up.dry_run", "lib.backing_up.rehearsal")
LOADED += ("lib.backing_up.edits_shown", "lib.reporting.status", "lib.reporting.page")
READ_AT_THE_START = ("HYBRID_BACKUP_", "PYTHON", "LC_", "LANG", "LD_", "TZ")
_parents: dict[int, tuple[str, subprocess.Popen]] = {}  # whose input stays open as long as they are kept
_lock = threading.Lock()


def may_run(environment: Mapping[str, str]) -> bool:
    """Whether this environment has nothing of its own that is read before a script begins."""
    return hasattr(os, "fork") and "HYBRID_BACKUP_TEST_PLAIN" not in os.environ and _read_at_the_start(environment) == GIVEN


def _read_at_the_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ_AT_THE_START)}


GIVEN = _read_at_the_start(os.environ)


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path, timeout: float) -> tuple[int, str, str]:
    """Run `python SCRIPT FLAG …` without input, and return its exit status and what it has printed."""
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        socket.socket(socket.AF_UNIX) as line,
    ):
        line.settimeout(timeout)
        line.connect(_parent())
        request = {"argv": command[1:], "environment": dict(environment), "folder": str(folder), "umask": _umask()}
        text = json.dumps(request).encode()
        socket.send_fds(line, [len(text).to_bytes(4, "big")], [out.fileno(), err.fileno()])
        line.sendall(text)
        answers = line.makefile()
        number = int(answers.readline())
        try:
            status = int(answers.readline())
        except TimeoutError:
            os.kill(number, 9)
            raise subprocess.TimeoutExpired(command, timeout) from None
        return status, *(_text(file) for file in (out, err))


def _text(file) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _parent() -> str:
    """Return where the parent of all forks listens; each process that runs tests has one, which ends with it."""
    with _lock:
        if os.getpid() not in _parents:
            path = f"{tempfile.mkdtemp(prefix='forked.')}/line"
            command = [sys.executable, "-m", "tests.stand_ins.forked", path]
            parent = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert parent.stdout.readline() == b"listening\n"
            _parents[os.getpid()] = path, parent
        return _parents[os.getpid()][0]


def listen(path: str) -> None:
    """Load what the scripts load, and run each one that is asked for in a fork, until nobody is there to ask."""
    for name in LOADED:
        importlib.import_module(name)
    threading.Thread(target=_end_with_the_input, args=(Path(path).parent,), daemon=True).start()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(64)
        print("listening", flush=True)
        while True:
            line, _ = listening.accept()
            if not os.fork():
                listening.close()
                _serve(line)
            line.close()
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG) != (0, 0):
                    pass


def _end_with_the_input(folder: Path) -> None:
    os.read(0, 1)  # not through sys.stdin, whose lock a fork would find taken
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _serve(line: socket.socket) -> None:
    """Run one script in a fork of this fork, tell who it is, and how it has ended."""
    try:
        head, files, *_ = socket.recv_fds(line, 4, 2)
        request = json.loads(line.makefile("rb").read(int.from_bytes(head, "big")))
        number = os.fork()
        if not number:
            line.close()
            _become(request, files)
        line.sendall(f"{number}\n".encode())
        status = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
        line.sendall(f"{status}\n".encode())
    finally:
        os._exit(0)


def _become(request: dict, files: list[int]) -> None:
    """Be the script that was asked for, as if Python had been started for it."""
    status = 1
    try:
        for place, file in enumerate([os.open(os.devnull, os.O_RDONLY), *files]):
            os.dup2(file, place)
        os.closerange(3, 256)
        sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", errors="backslashreplace", buffering=1, closefd=False)
        os.chdir(request["folder"])
        os.umask(request["umask"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv = request["argv"]
        from lib import start

        start.watch_over_loading()
        runpy.run_path(sys.argv[0], run_name="__main__")
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    listen(sys.argv[1])
