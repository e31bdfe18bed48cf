#!/usr/bin/python3
"""What is decided, revoked, tampered with and copied."""
import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import time

import rig
from rig import Refused, Rig, expect, until


def run_below(one, *command):
    """(exit code, output) of `countersign run … -- COMMAND`."""
    done = subprocess.run(
        [str(rig.BIN / "countersign"), "run", "--purpose", "testing", "--",
         *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False,
        env={**os.environ, "COUNTERSIGN_SOCKET": str(one.socket),
             "BIN": str(rig.BIN), "OUT": str(one.dir)})
    return done.returncode, done.stdout + done.stderr


AUTHORIZE = ('"$BIN/countersign" authorize --session "$COUNTERSIGN_SESSION" '
             '--resource https://api.example/things --purpose testing ')


def test_decisions_have_exit_codes():
    with Rig() as one:
        one.all_up()
        for name, wanted in (("http:GET", 0), ("deny:it", 10),
                             ("approve:it", 11)):
            code, out = run_below(one, "sh", "-c",
                                  f"{AUTHORIZE} --name {name}")
            expect(code == wanted, name, "exit", code, out)
        code, out = one.cli("session", "list")
        expect(code == 0, out)
        # Nothing is granted that was not permitted.
        decided = one.sql("SELECT count(*) FROM actions")[0][0]
        expect(decided >= 3, decided)
        one.daemon.stop()
        code, out = one.cli("status")
        expect(code == 4, "exit", code, out)


def test_revocation_stops_sessions():
    with Rig(service="[sessions]\nlease_ttl_s = 2\n") as one:
        one.all_up()
        client = one.client()
        session = client.open_session()
        expect(client.authorize(session)["decision"] == "permit")
        device = one.cli("status")[1]["device_id"]
        one.authz("device", "revoke", device, "--config", one.toml)
        start = time.monotonic()
        until(lambda: ended(client, session), 20, "the end of the session")
        expect(time.monotonic() - start < 10)
        try:
            client.open_session()
        except Refused as refused:
            expect(refused.reason == "device_revoked", refused)
        else:
            raise rig.Failure("a revoked device opened a session")
        code, out = one.audit_verify()
        expect(code == 0, out)


def test_revocation_is_pushed():
    with Rig() as one:
        one.all_up()
        client = one.client()
        sessions = [client.open_session() for _ in range(3)]
        expect(client.authorize(sessions[0])["decision"] == "permit")
        # The uplink waits for word of the service, and works meanwhile.
        until(lambda: one.cli("status")[1]["sessions"] == 3, 5, "sessions")
        device = one.cli("status")[1]["device_id"]
        one.authz("device", "revoke", device, "--config", one.toml)
        start = time.monotonic()
        # Their leases would last for two minutes, and nobody asks.
        until(lambda: one.cli("status")[1].get("sessions", 0) == 0, 20,
              "the end of all sessions")
        print(f"told after {time.monotonic() - start:.2f} s at most")


def test_uplink_sleeps_while_the_service_holds_a_request():
    with Rig() as one:
        one.all_up()
        client = one.client()
        client.open_session()
        time.sleep(1)
        before = switches(one.uplink.pid)
        time.sleep(3)
        expect(switches(one.uplink.pid) - before <= 2,
               switches(one.uplink.pid) - before)


def switches(pid):
    """How often the threads of a process went to sleep."""
    count = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                count += int(line.split()[1])
    return count


def ended(client, session):
    try:
        answer = client.authorize(session)
    except Refused as refused:
        expect(refused.code in ("session_revoked", "session_expired",
                                "not_enrolled"), refused)
        return True
    return answer["decision"] == "deny"



@contextlib.contextmanager
def opened(path):
    """The database, with everything in its one file afterwards."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        yield db
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def test_tampering_with_the_ledger_is_found_at_its_index():
    # A52: an entry edited, exchanged, deleted, the tail cut off.
    def edit(db):
        entry = bytearray(db.execute(
            "SELECT entry FROM ledger_entries WHERE idx = 3").fetchone()[0])
        entry[-1] ^= 1
        db.execute("UPDATE ledger_entries SET entry = ? WHERE idx = 3",
                   (bytes(entry),))

    def exchange(db):
        rows = dict(db.execute("SELECT idx, entry FROM ledger_entries "
                               "WHERE idx IN (3, 4)"))
        for index in (3, 4):
            db.execute("UPDATE ledger_entries SET entry = ? WHERE idx = ?",
                       (rows[7 - index], index))

    def delete(db):
        db.execute("DELETE FROM ledger_entries WHERE idx = 3")

    with Rig() as one:
        one.all_up()
        client = one.client()
        session = client.open_session()
        for _ in range(6):
            client.authorize(session)
        one.daemon.stop()
        one.service.stop()
        database = one.store / "ledger.db"
        with opened(database):
            pass
        good = one.dir / "good.db"
        shutil.copy(database, good)
        code, out = one.audit_verify()
        expect(code == 0, out)
        for harm in (edit, exchange, delete):
            shutil.copy(good, database)
            with opened(database) as db:
                harm(db)
            code, out = one.audit_verify()
            expect(code == 5, harm.__name__, "exit", code, out)
            expect("3" in out, harm.__name__, "names no index:", out)


def test_a_cut_or_older_ledger_is_found():
    # A52: the tail cut off; the database of yesterday put back.
    with Rig() as one:
        one.all_up()
        client = one.client()
        session = client.open_session()
        client.authorize(session)
        one.service.stop()
        database = one.store / "ledger.db"
        with opened(database):
            pass
        older = one.dir / "older.db"
        shutil.copy(database, older)
        one.start_service()
        for _ in range(3):
            until(lambda: client.authorize(session), 30)
        one.daemon.stop()
        one.service.stop()
        with opened(database):
            pass
        size = one.sql("SELECT size FROM ledger_head")[0][0]
        newest = one.dir / "newest.db"
        shutil.copy(database, newest)
        with opened(database) as db:
            db.execute("DELETE FROM ledger_entries WHERE idx = ?",
                       (size - 1,))
        code, out = one.audit_verify()
        expect(code == 5 and str(size - 1) in out, code, out)
        # Yesterday's database: the service must not sign over it.
        for left in one.store.glob("ledger.db-*"):
            left.unlink()
        shutil.copy(older, database)
        code, out = one.audit_verify()
        expect(code != 0, "an older ledger verifies:", out)
        one.start_service(wait=False)
        until(lambda: not one.service.running(), 20,
              "the refusal of an older database")
        expect("older than the last checkpoint" in one.service.output(),
               one.service.output()[-1500:])


def test_a_copied_state_belongs_to_its_own_tpm():
    # A54: the state directory on a machine with another TPM.
    with Rig() as one:
        one.make_tpm("other")
        one.all_up()
        client = one.client()
        client.authorize(client.open_session())
        one.daemon.stop()
        one.start_daemon(tpm="other", wait=False)
        until(lambda: "belongs to another TPM" in one.daemon.output(), 20,
              "the refusal of the copied state")
        if one.daemon.running():
            try:
                one.client().open_session()
            except Refused as refused:
                expect(refused.reason == "state_belongs_to_other_tpm", refused)
            else:
                raise rig.Failure("a copied state opened a session")


def test_a_bundle_verifies_offline_and_a_changed_one_does_not():
    # A29: what was signed is what is checked, by whoever has the bundle.
    with Rig() as one:
        one.all_up()
        code, out = run_below(
            one, "sh", "-c", f"{AUTHORIZE} --name http:GET --audience "
            'https://api.example --bundle-out "$OUT/bundle" --grant-out '
            '"$OUT/grant" --json')
        expect(code == 0, out)
        trust = one.store / "trust"
        code, out = one.cli("verify", one.dir / "bundle", "--trust", trust)
        expect(code == 0, out)
        good = (one.dir / "bundle").read_bytes()
        step = max(1, len(good) // 40)
        for at in range(0, len(good), step):
            bad = bytearray(good)
            bad[at] ^= 1
            (one.dir / "bad").write_bytes(bad)
            code, out = one.cli("verify", one.dir / "bad", "--trust", trust)
            expect(code in (2, 5), "a flipped bit at", at, "exit", code,
                   json.dumps(out)[:600])


if __name__ == "__main__":
    rig.main(globals())
