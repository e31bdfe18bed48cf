#!/usr/bin/python3
"""Starting, stopping and reloading as a service manager does."""
import contextlib
import os
import signal
import sqlite3
import threading
import time

import rig
from rig import POLICY, Refused, Rig, expect, until


def test_sigterm_drains_within_twenty_seconds():
    # F37: SIGTERM under load: what was accepted is answered.
    with Rig() as one:
        one.all_up()
        answers = []

        def ask():
            mine = one.client()
            try:
                own = mine.open_session()
                ready.wait()
                answers.append(mine.authorize(own)["decision"])
            except Refused as refused:
                answers.append(refused.code)
            except (OSError, ConnectionError) as error:
                answers.append(f"no answer: {error}")

        ready = threading.Barrier(5)
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        ready.wait()
        time.sleep(0.01)
        start = time.monotonic()
        for program in (one.daemon, one.uplink, one.service):
            code = program.stop(20)
            expect(code == 0, program.name, "exit code", code)
        expect(time.monotonic() - start < 20, "took",
               time.monotonic() - start)
        for thread in threads:
            thread.join(20)
        # Each was accepted and decided, or told to come again.
        expect(len(answers) == 4 and set(answers) <= {"permit", "busy"},
               answers)
        expect("permit" in answers, answers)
        (recorded,), = one.sql("SELECT count(*) FROM actions")
        expect(recorded == answers.count("permit"), recorded, answers)


def test_sighup_takes_a_new_policy_and_keeps_the_last_good_one():
    # F37: SIGHUP reload. F29: a bad file: the last good one stays.
    with Rig() as one:
        one.all_up()
        client = one.client()
        session = client.open_session()
        policy = one.store / "policy.toml"

        def reload(text):
            policy.write_text(text)
            one.service.signal(signal.SIGHUP)

        expect(client.authorize(session)["decision"] == "permit")
        reload(POLICY.replace('["deny:*"]', '["deny:*", "http:*"]'))
        until(lambda: decision(client, session) == "deny", 15, "the new rule")
        before = one.service.output()
        reload("[[rule]]\nname = 'broken'\noutcome = 'perhaps'\n")
        until(lambda: "policy.toml:" in one.service.output()[len(before):],
              15, "a complaint with file and line")
        expect(decision(client, session) == "deny", "the bad file was taken")
        reload(POLICY)
        until(lambda: decision(client, session) == "permit", 15)


def decision(client, session):
    try:
        return client.authorize(session)["decision"]
    except Refused as refused:
        return {"policy_denied": "deny"}.get(refused.code, refused.code)


def test_sighup_of_the_agent_keeps_its_last_good_configuration():
    # F29, A50: the agent's configuration goes bad while it runs.
    with Rig() as one:
        one.all_up()
        client = one.client()
        session = client.open_session()
        config = one.dir / "agent.json"
        good = config.read_text()
        for program in (one.daemon, one.uplink):
            seen = len(program.output())
            config.write_text('{"service": {"url": 7}}')
            program.signal(signal.SIGHUP)
            until(lambda: "agent.json:1" in program.output()[seen:], 15,
                  f"a complaint of {program.name} with file and line")
            expect(program.running(), program.name, "ended")
            config.write_text(good)
            program.signal(signal.SIGHUP)
        expect(client.authorize(session)["decision"] == "permit")


def test_unsafe_paths_stop_the_start():
    # A46: state world-writable, configuration a link or of somebody else.
    with Rig() as one:
        one.make_tpm()
        config = one.write_config()
        one.state.mkdir(mode=0o700)
        os.chmod(one.state, 0o777)
        refuses(one, config, str(one.state))
        os.chmod(one.state, 0o700)
        os.chmod(config, 0o666)
        refuses(one, config, str(config))
        os.chmod(config, 0o644)
        link = one.dir / "link.json"
        link.symlink_to(config)
        refuses(one, link, str(link))
        fifo = one.dir / "fifo.json"
        os.mkfifo(fifo, 0o600)
        refuses(one, fifo, str(fifo))
        one.socket.write_text("not a socket")
        refuses(one, config, str(one.socket))


def refuses(one, config, named):
    program = one.start("refusing", rig.BIN / "countersignd", "--config",
                        config)
    until(lambda: not program.running(), 15, f"a refusal of {named}")
    expect(program.process.returncode != 0, named, "was taken")
    expect(named in program.output(), "the path is not named:",
           program.output()[-800:])


def test_an_older_program_refuses_a_newer_database():
    # F28: the schema of a newer version.
    with Rig() as one:
        one.all_up()
        one.service.stop()

        with sqlite3.connect(one.store / "ledger.db") as db:
            version, = db.execute("PRAGMA user_version").fetchone()
            db.execute(f"PRAGMA user_version = {version + 1}")
        one.start_service(wait=False)
        until(lambda: not one.service.running(), 15, "the service's refusal")
        expect("newer" in one.service.output(), one.service.output()[-800:])
        one.daemon.stop()
        (database,) = one.state.glob("*.db")
        with sqlite3.connect(database) as db:
            version, = db.execute("PRAGMA user_version").fetchone()
            db.execute(f"PRAGMA user_version = {version + 1}")
        one.start_daemon(wait=False)
        until(lambda: not one.daemon.running(), 15, "the daemon's refusal")
        expect("newer" in one.daemon.output(), one.daemon.output()[-800:])


def test_an_older_database_is_migrated_when_told():
    # F28: the schema of version 1, with all that was in it.
    with Rig() as one:
        one.init_service()
        make_version_1(one.store / "ledger.db")
        one.start_service(wait=False)
        until(lambda: not one.service.running(), 15, "the service's refusal")
        expect("countersign-authz store migrate" in one.service.output(),
               one.service.output()[-800:])
        one.authz("store", "migrate", "--config", one.toml)
        one.start_service()
        entries = one.audit_list()
        expect("store migrated from schema version 1" in str(entries), entries)
        code, out = one.audit_verify()
        expect(code == 0, out)


def make_version_1(path):
    """Makes of a database what version 1 would have made of it."""
    schema = rig.SOURCE / "tests/attest/authz/schema_version_1.sql"
    old = path.with_suffix(".v1")
    with contextlib.closing(sqlite3.connect(old)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(schema.read_text())
        db.execute("ATTACH ? AS new", (str(path),))
        tables = [name for name, in db.execute(
            "SELECT name FROM main.sqlite_master WHERE type = 'table'")]
        for table in tables:
            if table == "receipts":
                continue  # Has another name now; nothing was consumed yet.
            columns = ", ".join(f'"{name}"' for _, name, *_ in db.execute(
                f"PRAGMA main.table_info({table})"))
            db.execute(f"INSERT INTO main.{table} SELECT {columns} "
                       f"FROM new.{table}")
        db.execute("PRAGMA main.user_version = 1")
        db.commit()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    old.rename(path)
    os.chmod(path, 0o600)


if __name__ == "__main__":
    rig.main(globals())
