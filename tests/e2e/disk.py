#!/usr/bin/python3
"""Disks that are full, fail or lie: nothing is granted that was not written,
nothing that was acknowledged is lost, and it heals when the disk does."""
import contextlib
import os
import pathlib
import subprocess
import time

import rig
from crash import check_books
from rig import Refused, Rig, expect, until


@contextlib.contextmanager
def small_disk(path, size):
    """A tmpfs of `size` at `path`; needs root."""
    path.mkdir(mode=0o700, exist_ok=True)
    rig.mount("-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", path)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def fill(path):
    """Takes what is left; the file to remove to give it back."""
    ballast = pathlib.Path(path) / "ballast"
    with open(ballast, "wb", buffering=0) as out:
        for block in (65536, 4096, 512):
            with contextlib.suppress(OSError):
                while True:
                    out.write(b"\0" * block)
    return ballast


def permits_until_refused(client, session, limit=5000):
    """(permits as (digest, index), the refusal)."""
    permits = []
    for _ in range(limit):
        try:
            answer = client.authorize(session)
        except Refused as refused:
            return permits, refused
        expect(answer["decision"] == "permit", answer)
        permits.append((rig.hex_of(answer["action_digest"]),
                        int(answer["ledger_index"])))
    raise rig.Failure(f"{limit} actions on a full disk")


def test_full_disk_of_the_agent_stops_signing_and_heals():
    # F04: no space left below the journal.
    with Rig() as one, small_disk(one.state, "2m"):
        one.all_up()
        client = one.client()
        session = client.open_session()
        expect(client.authorize(session)["decision"] == "permit")
        ballast = fill(one.state)
        permits, refused = permits_until_refused(client, session)
        expect(refused.reason == "disk_full", refused)
        expect(one.daemon.running(), "the daemon died of a full disk")
        ballast.unlink()
        until(lambda: permits_again(one, permits), 60, "healing")
        check_books(one, permits)
        one.daemon.kill9()


def permits_again(one, permits):
    client = one.client()
    try:
        answer = client.authorize(client.open_session())
    except Refused:
        time.sleep(0.2)
        return False
    finally:
        client.close()
    permits.append((rig.hex_of(answer["action_digest"]),
                    int(answer["ledger_index"])))
    return True


def test_full_disk_of_the_service_stops_granting_and_heals():
    # F04: no space left below the ledger.
    with Rig() as one, small_disk(one.store, "4m"):
        one.all_up()
        client = one.client()
        session = client.open_session()
        expect(client.authorize(session)["decision"] == "permit")
        ballast = fill(one.store)
        permits, refused = permits_until_refused(client, session)
        expect(refused.reason in ("disk_full", "service_unreachable",
                                  "io_error"), refused)
        expect(one.service.running(), "the service died of a full disk")
        ballast.unlink()
        until(lambda: permits_again(one, permits), 60, "healing")
        check_books(one, permits)
        one.service.kill9()




def inject(program, calls, log, when="1+"):
    """strace that lets these calls of a running program fail with EIO."""
    tracer = subprocess.Popen(
        ["strace", "-f", "-q", "-o", str(log), "-p", str(program.pid),
         "-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO:when={when}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)

    def attached():
        if tracer.poll() is not None:
            raise rig.Skip("strace may not attach to a running program")
        status = pathlib.Path(f"/proc/{program.pid}/status").read_text()
        return "TracerPid:\t0" not in status

    until(attached, 10, "strace")
    time.sleep(0.2)  # It attaches to the other threads one by one.
    return tracer


def detach(tracer):
    tracer.terminate()
    tracer.wait(10)


def check_failing_disk(one, program, calls):
    client = one.client()
    session = client.open_session()
    expect(client.authorize(session)["decision"] == "permit")
    permits = []
    tracer = inject(program, calls, one.dir / "strace.out")
    try:
        for _ in range(5):
            try:
                answer = client.authorize(session)
            except Refused as refused:
                expect(refused.info.get("remedy"), refused)
                continue
            permits.append((rig.hex_of(answer["action_digest"]),
                            int(answer["ledger_index"])))
    finally:
        detach(tracer)
    expect("EIO" in (one.dir / "strace.out").read_text(), "nothing failed")
    expect(not permits, calls, "failed and was acknowledged all the same:",
           permits)
    until(lambda: permits_again(one, permits), 60, "healing")
    check_books(one, permits)


def test_failing_disk_of_the_agent_acknowledges_nothing():
    # F05: EIO from fsync and pwrite of the daemon.
    for calls in ("fsync,fdatasync", "pwrite64"):
        with Rig() as one:
            one.all_up()
            check_failing_disk(one, one.daemon, calls)


def test_failing_disk_of_the_service_acknowledges_nothing():
    # F05: EIO from fsync and pwrite of the service.
    for calls in ("fsync,fdatasync", "pwrite64"):
        with Rig() as one:
            one.all_up()
            check_failing_disk(one, one.service, calls)


def check_nth_failure(one, program, calls):
    """Each read, write and sync of some actions fails once, by itself."""
    client = one.client()
    permits = []
    for nth in range(1, 9):
        tracer = inject(program, calls, one.dir / f"strace.{nth}", nth)
        try:
            session = client.open_session()
            for _ in range(3):
                answer = client.authorize(session)
                permits.append((rig.hex_of(answer["action_digest"]),
                                int(answer["ledger_index"])))
        except Refused as refused:
            expect(refused.info.get("remedy"), refused)
        finally:
            detach(tracer)
        until(lambda: permits_again(one, permits), 60, f"healing of {nth}")
    failed = [nth for nth in range(1, 9)
              if "EIO" in (one.dir / f"strace.{nth}").read_text()]
    expect(failed or calls == "pread64", "nothing failed")
    check_books(one, permits)


def test_any_one_failure_of_the_agents_disk_loses_nothing():
    # F05: EIO of the n-th call only.
    with Rig() as one:
        one.all_up()
        for calls in ("fsync,fdatasync", "pwrite64", "pread64"):
            check_nth_failure(one, one.daemon, calls)


def test_any_one_failure_of_the_services_disk_loses_nothing():
    # F05: EIO of the n-th call only.
    with Rig() as one:
        one.all_up()
        for calls in ("fsync,fdatasync", "pwrite64", "pread64"):
            check_nth_failure(one, one.service, calls)


def test_damaged_database_of_the_agent_is_set_aside():
    # F26: a corrupt page: detected, a copy kept, and a message that says so.
    with Rig() as one:
        one.all_up()
        client = one.client()
        expect(client.authorize(client.open_session())["decision"] ==
               "permit")
        one.daemon.stop()
        (database,) = one.state.glob("*.db")
        with open(database, "r+b") as file:
            file.seek(0)
            file.write(os.urandom(os.path.getsize(database)))
        one.start_daemon(wait=False)
        until(lambda: not one.daemon.running() or one.daemon_answers(), 20)
        said = one.daemon.output()
        expect("damaged" in said or "corrupt" in said, said[-1500:])
        copies = [p.name for p in one.state.iterdir()
                  if p.name.startswith(database.name) and p != database]
        expect(any("corrupt" in c or "damaged" in c or "aside" in c
                   for c in copies), "no copy was kept:", copies)


if __name__ == "__main__":
    rig.main(globals())
