#!/usr/bin/python3
"""Who is believed to ask: relays, and programs that claim to be one."""
import json
import os
import shutil
import subprocess
import sys

import rig
from rig import Refused, Rig, expect

ORIGIN = "chrome-extension://abcdefghijklmnopabcdefghijklmnop/"

ONLY_KERNEL_FACTS = """\
[[rule]]
name = "python"
outcome = "permit"
[rule.workload]
executable = ["*python3*"]
grade = "kernel"
"""


def relay_program(one, mode=0o755):
    """A program of its own: this interpreter under another inode."""
    path = one.dir / "relay"
    shutil.copy("/usr/bin/python3", path)
    os.chmod(path, mode)
    return path


def open_through(one, program):
    """What opening a session, with an origin, from `program` gives."""
    done = subprocess.run(
        [str(program), __file__, "--as-relay", str(one.socket)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONHOME": "/usr"})
    expect(done.returncode == 0, done.stdout, done.stderr)
    return json.loads(done.stdout)


def as_relay(path):
    client = rig.LocalClient(path)
    try:
        print(json.dumps(client.call("open_session", purpose="testing",
                                     origin=ORIGIN)["session"]))
    except Refused as refused:
        print(json.dumps({"refused": refused.reason}))


def test_a_relay_speaks_for_who_started_it_and_no_better():
    # A47: what comes through a relay is what any program of the user could
    # have arranged, and is graded so.
    with Rig() as one:
        program = relay_program(one)
        one.config = {"relays": [str(program)]}
        one.all_up()
        expect("refused" not in open_through(one, program))
        workload, grades = one.newest_workload()
        expect(workload.executable_path == os.path.realpath(sys.executable),
               "not its parent but", workload.executable_path)
        expect(grades["executable_path"] == "GRADE_SAME_USER_SPOOFABLE",
               grades)
        expect(workload.origin == ORIGIN, workload.origin)
        expect(grades["origin"] == "GRADE_CLAIMED", grades)


def test_a_relay_never_satisfies_a_rule_that_wants_more():
    # A47
    with Rig(policy=ONLY_KERNEL_FACTS) as one:
        program = relay_program(one)
        one.config = {"relays": [str(program)]}
        one.all_up()
        answer = open_through(one, program)
        expect(answer.get("refused") == "workload_not_allowed", answer)
        client = one.client()  # The same interpreter, asking for itself.
        expect(client.authorize(client.open_session())["decision"] ==
               "permit")


def test_a_program_that_claims_an_origin_is_no_relay():
    # A47: started by hand, with an origin of its choice; or a relay that
    # others may write to.
    with Rig() as one:
        program = relay_program(one)
        one.config = {"relays": []}
        one.all_up()
        for mode, relays in ((0o755, []), (0o777, [str(program)])):
            one.daemon.stop()
            os.chmod(program, mode)
            one.config = {"relays": relays}
            one.start_daemon()
            rig.until(lambda: one.daemon_answers().get("uplink_connected"))
            expect("refused" not in open_through(one, program))
            workload, grades = one.newest_workload()
            expect(workload.executable_path == str(program),
                   workload.executable_path)
            expect(grades.get("origin", "GRADE_CLAIMED") == "GRADE_CLAIMED",
                   grades)
        expect("not a relay" in one.daemon.output(), one.daemon.output())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--as-relay"]:
        as_relay(sys.argv[2])
    else:
        rig.main(globals())
