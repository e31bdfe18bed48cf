#!/usr/bin/python3
"""Clocks that jump or are wrong: sessions and grants rest on the service's
order and on monotonic time, never on a laptop's calendar."""
import time

import rig
from rig import Refused, Rig, expect, until

YEAR = 366 * 24 * 3600


def faked(one):
    """A prefix and environment under which a program's calendar is what the
    file `one.dir/clock` says; its monotonic clock stays."""
    (one.dir / "clock").write_text("+0\n")
    return {"env": {
        "LD_PRELOAD":
            "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
        "FAKETIME_TIMESTAMP_FILE": str(one.dir / "clock"),
        "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1"}}


def jump(one, seconds):
    (one.dir / "clock").write_text(f"{seconds:+d}\n")


def test_a_laptops_clock_may_jump_a_year():
    # F23: ±1 year on the laptop; A39: 10 minutes of skew.
    with Rig() as one:
        one.make_tpm()
        one.init_service()
        one.start_service()
        one.start_daemon(**faked(one))
        one.start_uplink()
        one.enroll()
        client = one.client()
        session = client.open_session()
        for seconds in (600, -600, YEAR, -YEAR, 0):
            jump(one, seconds)
            answer = client.authorize(session,
                                      grant_audience="https://api.example")
            expect(answer["decision"] == "permit", seconds, answer)
            seen = int(client.call("status")["last_answer_ms"]) / 1000
            expect(abs(seen - time.time() - seconds) < 100,
                   "its clock did not jump", seconds, seen - time.time())
            again = client.open_session()
            expect(client.authorize(again)["decision"] == "permit", seconds)
            jump(one, 0)


def test_a_services_clock_may_jump_an_hour_forward():
    # F23, A39: the service's clock jumps: challenges and sessions end early at
    # worst, and the agent gets new ones; the ledger stays whole.
    with Rig() as one:
        one.make_tpm()
        one.init_service()
        one.start_service(**faked(one))
        one.start_agent()
        one.enroll()
        client = one.client()
        expect(client.authorize(client.open_session())["decision"] ==
               "permit")
        for seconds in (3600, -3600, YEAR, 0):
            jump(one, seconds)
            until(lambda: permitted(client), 60, f"healing of {seconds}")
            last, = one.sql("SELECT time_ms FROM ledger_entries "
                            "ORDER BY idx DESC LIMIT 1")[0]
            expect(abs(last / 1000 - time.time() - seconds) < 100,
                   "its clock did not jump", seconds)
        code, out = one.audit_verify()
        expect(code == 0, out)


def permitted(client):
    try:
        return client.authorize(client.open_session())["decision"] == "permit"
    except Refused:
        time.sleep(0.5)
        return False


if __name__ == "__main__":
    rig.main(globals())
