#!/usr/bin/python3
"""Two real service processes over one real PostgreSQL: one is killed under
load, and nothing that was answered is lost."""
import concurrent.futures
import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

import rig
from crash import check_books
from rig import Refused, Rig, expect, until

SERVER = rig.SOURCE / "tests" / "fakes" / "postgres.sh"


@contextlib.contextmanager
def postgres():
    """The URI of an empty database on a server of its own."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pg-"))
    os.chmod(folder, 0o755)
    server = rig.Program("postgres", [SERVER, folder], f"{folder}.log")
    base = f"host={folder}&user=countersign"

    def ready():
        if not server.running():
            if server.process.returncode == 77:
                raise rig.Skip("PostgreSQL is not installed")
            raise rig.Failure(server.output()[-800:])
        return psql(f"postgresql:///postgres?{base}", "SELECT 1", False)

    try:
        until(ready, 60, "the database server")
        psql(f"postgresql:///postgres?{base}", "CREATE DATABASE ledger")
        yield f"postgresql:///ledger?{base}"
    finally:
        server.signal(rig.signal.SIGQUIT)
        server.process.wait(20)
        shutil.rmtree(folder)
        os.unlink(f"{folder}.log")


def psql(uri, sql, check=True):
    done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql,
                           uri], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)
    expect(done.returncode == 0 or not check, done.stderr)
    return done.stdout.strip() if done.returncode == 0 else None


class ServerRig(Rig):
    """A Rig whose service keeps its records on the server."""

    def sql(self, query, *values):
        for value in values:
            query = query.replace("?", f"'\\x{value.hex()}'", 1)
        return [tuple(bytes.fromhex(cell[2:]) if cell.startswith("\\x")
                      else int(cell) for cell in line.split("|"))
                for line in psql(self.database, query).splitlines()]


def second_host(one):
    """A copy of the service's folder without its head file, as on another
    host; on the same port, so that the issuer stays what it is."""
    other = one.dir / "other-host"
    shutil.copytree(one.store, other, ignore=shutil.ignore_patterns(
        "ledger.head*", "ledger.db*"))
    return other


def authz(folder, *arguments):
    return subprocess.run([rig.BIN / "countersign-authz", *arguments,
                           "--config", folder / "authz.toml"],
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)


def test_a_second_host_takes_over_from_one_that_was_killed():
    with postgres() as database, ServerRig(database=database) as one:
        one.all_up()
        other = second_host(one)
        refused = authz(other, "token", "create")
        expect(refused.returncode != 0 and "ledger.head" in refused.stderr,
               "a host without a head file wrote:", refused.stderr)
        joined = authz(other, "store", "join")
        expect(joined.returncode == 0, joined.stderr)
        expect("Trusted on first use" in joined.stdout, joined.stdout)
        permits = []

        def ask():
            client = one.client()
            session = client.open_session()
            mine = []
            with contextlib.suppress(Refused, OSError, ConnectionError):
                while True:
                    answer = client.authorize(session)
                    mine.append((rig.hex_of(answer["action_digest"]),
                                 int(answer["ledger_index"])))
                    if len(mine) == 15:
                        half.append(1)
            client.close()
            return mine

        half = []
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            asking = [pool.submit(ask) for _ in range(3)]
            until(lambda: len(half) == 3, 60, "some permits")
            one.service.kill9()
            for each in asking:
                permits += each.result(90)
        expect(len(permits) >= 45, len(permits))
        # The other host's process is what agents reach from now on.
        one.service = one.start("other", rig.BIN / "countersign-authz",
                                "serve", "--config", other / "authz.toml")
        until(one.service_answers, 30, "the other process")
        until(lambda: permit_again(one, permits), 60, "permits to go on")
        check_books(one, permits)
        # The first host comes back, is behind, and catches up by proof.
        caught_up = authz(one.store, "token", "create")
        expect(caught_up.returncode == 0, caught_up.stderr)
        for folder in (one.store, other):
            verified = authz(folder, "audit", "verify")
            expect(verified.returncode == 0, verified.stdout, verified.stderr)


def permit_again(one, permits):
    client = one.client()
    try:
        answer = client.authorize(client.open_session())
    except Refused:
        return False
    finally:
        client.close()
    permits.append((rig.hex_of(answer["action_digest"]),
                    int(answer["ledger_index"])))
    return answer["decision"] == "permit"


def test_a_service_outlives_its_database_server():
    with postgres() as database, ServerRig(database=database) as one:
        one.all_up()
        client = one.client()
        session = client.open_session()
        expect(client.authorize(session)["decision"] == "permit")
        psql(database, "SELECT pg_terminate_backend(pid) FROM "
             "pg_stat_activity WHERE pid <> pg_backend_pid() "
             "AND datname = current_database()")
        expect(client.authorize(session)["decision"] == "permit")
        again = subprocess.run(
            [rig.BIN / "countersign-authz", "init", "--dir",
             one.dir / "another", "--issuer", "https://localhost:1",
             "--store", database], capture_output=True, text=True)
        expect(again.returncode == 2 and "holds a ledger" in again.stderr,
               again.stderr)
        expect(not (one.dir / "another").exists(), "a folder was left")


def test_a_backup_under_load_is_whole_and_does_not_turn_back_the_ledger():
    # SQLite's: copied while it is written to.
    with Rig() as one:
        one.all_up()
        client = one.client()
        session = client.open_session()
        for _ in range(3):
            client.authorize(session)
        copy = one.dir / "copy.db"
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            load = pool.submit(lambda: [client.authorize(session)
                                        for _ in range(15)])
            done = authz(one.store, "backup", copy)
            load.result(60)
        expect(done.returncode == 0, done.stderr)
        expect((copy.stat().st_mode & 0o777) == 0o600, oct(copy.stat().st_mode))
        again = authz(one.store, "backup", copy)
        expect(again.returncode != 0, "a backup was overwritten")
        one.service.stop()
        newest = one.dir / "newest.db"
        expect(authz(one.store, "backup", newest).returncode == 0)
        # The older one: refused, and the remedy says what to do.
        restore(one, copy)
        one.start_service(wait=False)
        until(lambda: not one.service.running(), 15, "the service's refusal")
        expect("Restore the newest database" in one.service.output(),
               one.service.output()[-800:])
        # The newest one: as if nothing had happened.
        restore(one, newest)
        one.start_service()
        code, out = one.audit_verify()
        expect(code == 0, out)


def restore(one, copy):
    for suffix in ("-wal", "-shm"):
        (one.store / f"ledger.db{suffix}").unlink(missing_ok=True)
    shutil.copy(copy, one.store / "ledger.db")


if __name__ == "__main__":
    rig.main(globals())
