#!/usr/bin/python3
"""Programs killed at any point: nothing acknowledged is lost, no number is
missing, and a daemon that comes back goes on by itself."""
import random
import threading
import time

import rig
from rig import Refused, Rig, expect, until

RANDOM = random.Random(20261121)


class Load:
    """Clients that ask without pause and remember what they were told."""

    def __init__(self, one, clients=4):
        self.rig = one
        self.permits = []  # (action digest in hex, ledger index)
        self.errors = {}
        self.failures = []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.work, daemon=True)
                        for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def work(self):
        while not self.ended.is_set():
            try:
                client = self.rig.client(timeout=30)
            except (OSError, Refused):
                time.sleep(0.05)
                continue
            try:
                session = client.open_session()
                while not self.ended.is_set():
                    answer = client.authorize(session)
                    expect(answer["decision"] == "permit", answer)
                    self.permits.append(
                        (rig.hex_of(answer["action_digest"]),
                         int(answer.get("ledger_index", 0))))
            except Refused as refused:
                self.errors[refused.reason] = (
                    self.errors.get(refused.reason, 0) + 1)
                time.sleep(0.05)
            except (OSError, ConnectionError):
                time.sleep(0.05)
            except rig.Failure as failure:
                self.failures.append(failure)
                return
            finally:
                client.close()

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(60)
            expect(not thread.is_alive(), "a client hangs")
        expect(not self.failures, *self.failures)


def check_books(one, permits):
    """The agent's numbers and the service's are the same, without a gap, and
    every acknowledged permit is where its answer said."""
    def delivered():
        status = one.daemon_answers()
        return status and status.get("undelivered_batches", "0") == "0"
    until(delivered, 60, "the delivery of what was left")
    status = one.daemon_answers()
    journals = one.sql("SELECT journal_id, next_batch, next_action FROM "
                       "journals")
    expect(len(journals) == 1, "journals:", journals)
    journal, batches, actions = journals[0]
    expect(actions == int(status["actions"]), "numbered", status["actions"],
           "recorded", actions)
    numbers = [n for n, in one.sql(
        "SELECT batch_sequence FROM batches WHERE journal_id = ? "
        "ORDER BY batch_sequence", journal)]
    expect(numbers == list(range(batches)), "batches", numbers, batches)
    (recorded,), = one.sql("SELECT count(*) FROM actions")
    expect(recorded == actions, "recorded", recorded, "of", actions)
    for digest, index in permits:
        rows = one.sql("SELECT ledger_index FROM actions WHERE digest = ?",
                       bytes.fromhex(digest))
        expect((index,) in rows, "permit at", index, "recorded at", rows)
    code, out = one.audit_verify()
    expect(code == 0, out)


def test_killed_daemon_and_uplink_leave_no_gap():
    # F01: SIGKILL at random points of a request, in a loop.
    with Rig() as one:
        one.all_up()
        load = Load(one)
        for turn in range(12):
            time.sleep(RANDOM.uniform(0.02, 1.0))
            if turn % 3 == 2:
                one.uplink.kill9()
                one.start_uplink(wait=False)
            else:
                one.daemon.kill9()
                one.start_daemon()
        until(lambda: one.daemon_answers().get("uplink_connected"), 30)
        before = len(load.permits)
        until(lambda: len(load.permits) > before + 20, 60, "permits again")
        load.stop()
        check_books(one, load.permits)


def test_killed_service_has_recorded_what_it_answered():
    # F02: SIGKILL of the service in mid-commit; audit count == acks.
    with Rig() as one:
        one.all_up()
        load = Load(one)
        for _ in range(8):
            time.sleep(RANDOM.uniform(0.1, 0.7))
            one.service.kill9()
            one.start_service()
        before = len(load.permits)
        until(lambda: len(load.permits) > before + 20, 90, "permits again")
        load.stop()
        check_books(one, load.permits)
        entries = one.sql("SELECT count(*) FROM ledger_entries")[0][0]
        head = one.sql("SELECT size FROM ledger_head")[0][0]
        expect(entries == head, entries, "entries,", head, "in the tree")


def test_daemon_restart_ends_sessions():
    with Rig() as one:
        one.all_up()
        client = one.client()
        session = client.open_session()
        expect(client.authorize(session)["decision"] == "permit")
        one.daemon.stop()
        one.start_daemon()
        until(lambda: one.daemon_answers().get("uplink_connected"))
        client = one.client()
        try:
            client.authorize(session)
        except Refused as refused:
            expect(refused.code in ("session_expired", "session_revoked"),
                   refused)
        else:
            raise rig.Failure("the old session still works")
        # The end reaches the ledger although the daemon was away.
        until(lambda: one.sql("SELECT count(*) FROM sessions WHERE "
                              "end_reason != ''")[0][0] == 1, 30,
              "the recorded end of the session")
        expect(client.authorize(client.open_session())["decision"] ==
               "permit")


def test_second_daemon_refuses_and_stale_sockets_do_not_matter():
    # F27: two daemons started; a stale socket and lock of a killed one.
    with Rig() as one:
        one.all_up()
        second = one.start("second", rig.BIN / "countersignd", "--config",
                           one.dir / "agent.json")
        until(lambda: not second.running(), 20, "the second daemon's end")
        expect(second.process.returncode != 0, "it ended without error")
        expect("running" in second.output(), second.output())
        expect(one.daemon_answers().get("enrolled"), "the first is gone")
        one.daemon.kill9()
        expect(one.socket.exists(), "no stale socket to start over")
        one.start_daemon()
        expect(one.daemon_answers().get("enrolled"), "not enrolled any more")


if __name__ == "__main__":
    rig.main(globals())
