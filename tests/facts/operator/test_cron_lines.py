"""Which lines of a crontab back a bot up: what cron and its shell would make of them decides, not how they look."""

import pytest

from lib.backing_up import cron_line, timetable
from lib.backing_up.timetable import Deployment
from tests.stand_ins.bot import REPOSITORY

LOOKS = ("--status --max-age 7h", "--verify", "--dry-run", "--report=x.html", "--demo")
THIS = f"cd {REPOSITORY} && python3 backup.py"
HERE = f"{REPOSITORY}/backup.py"


@pytest.mark.parametrize(
    ("line", "is_backup"),
    [
        (f"0 */6 * * * {THIS}", True),
        (f"@daily {THIS} --quiet >> cron.log 2>&1", True),
        (f"0 3 * * * A=1 flock -n /tmp/lock /usr/bin/python3 -u {HERE} premium_system", True),
        (f"0 3 * * * cd /tmp; {HERE} --env-file=../{{settings}}", True),
        (f"0 3 * * * bash -lc 'cd {REPOSITORY} && .venv/bin/python ./backup.py --full'", True),
        (f'PLACE="{REPOSITORY}"\n0 3 * * * python3 "${{PLACE}}/backup.py"', True),
        (f"@reboot {THIS} --every 6h", True),
        (f"0 3 * * * echo 100\\% && {THIS}", True),
        (f"@reboot {THIS}", False),
        (f"  # 0 */6 * * * {THIS}", False),
        *((f"0 3 * * * {THIS} {flag}", False) for flag in LOOKS),
        (f"0 3 * * * {THIS} --env-file /srv/other/.env", False),
        (f"0 3 * * * {THIS} --env-file {REPOSITORY}/.env.old", False),
        (f"0 3 * * * python3 {REPOSITORY}-old/backup.py", False),
        (f"0 3 * * * python3 {REPOSITORY.parent}/backup.py", False),
        (f"0 3 * * * cd {REPOSITORY} && python3 restore.py --drill\n0 4 * * * python3 /srv/other/backup.py", False),
        (f"0 3 * * * tar czf /tmp/x.tgz {HERE}", False),
        (f"0 3 * * * echo done % {THIS}", False),
        (f"0 3 * * * cd '{REPOSITORY} && python3 backup.py", False),
    ],
)  # fmt: skip
def test_a_line_backs_up_what_the_shell_would_let_it(line, is_backup):
    settings = REPOSITORY / ".env"
    deployment = Deployment(settings, REPOSITORY, "python3", "root", has_log=True)
    assert cron_line.backs_up(line.replace("{settings}", str(settings)), deployment) == is_backup


def test_our_lines_are_found_wherever_the_folder_is(tmp_path):
    folder = tmp_path / "my bot's 100%d $HOME"
    folder.mkdir()
    (folder / "backup.py").touch()
    for file in (folder / ".env", folder / "other.env"):
        deployment = Deployment(file, folder, "/usr/bin/python3", "root", has_log=True)
        assert cron_line.backs_up(timetable.cron_lines(deployment), deployment)
