#!/usr/bin/python3
"""Too much of everything: files, requests, connections."""
import os
import signal
import socket
import struct
import threading
import time

import rig
from rig import Refused, Rig, expect, until


def test_out_of_files_the_daemon_pauses_and_heals():
    # F08: EMFILE in countersignd.
    with Rig() as one:
        one.make_tpm()
        one.init_service()
        one.start_service()
        one.start_daemon(prefix=("prlimit", "--nofile=64:64"))
        one.start_uplink()
        one.enroll()
        client = one.client()
        session = client.open_session()
        crowd = []
        for _ in range(200):
            plain = socket.socket(socket.AF_UNIX)
            plain.settimeout(0.2)
            try:
                plain.connect(str(one.socket))
            except OSError:
                plain.close()
                break
            crowd.append(plain)
        # Whoever was in before is served or told why not, and no time is
        # burnt in trying to accept the rest.
        try:
            expect(client.authorize(session)["decision"] == "permit")
        except Refused as refused:
            expect(refused.info.get("remedy"), refused)
        before = cpu_seconds(one.daemon.pid)
        time.sleep(2)
        expect(cpu_seconds(one.daemon.pid) - before < 0.5,
               "the daemon spins when it has no files left")
        for plain in crowd:
            plain.close()
        until(lambda: one.daemon_answers(), 20, "new clients again")
        expect(client.authorize(session)["decision"] == "permit")


def test_out_of_files_the_service_heals():
    # F08: EMFILE in countersign-authz.
    with Rig() as one:
        one.make_tpm()
        one.init_service()
        one.start_service(prefix=("prlimit", "--nofile=48:48"))
        one.start_agent()
        one.enroll()
        crowd = []
        for _ in range(120):
            try:
                crowd.append(socket.create_connection(
                    ("127.0.0.1", one.port), 1))
            except OSError:
                break
        time.sleep(1)
        expect(one.service.running(), "the service died")
        for plain in crowd:
            plain.close()
        client = one.client()
        until(lambda: client.authorize(client.open_session())["decision"] ==
              "permit", 30, "healing")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_one_greedy_client_does_not_starve_another():
    # A49: 10,000 requests at once, half-open frames, a peer that never reads.
    with Rig() as one:
        one.all_up()
        greedy = one.client()
        session = greedy.open_session()
        pid = os.fork()
        if pid == 0:
            # Another process, so that quotas are those of another peer.
            try:
                modest_client(one)
                os._exit(0)
            except BaseException as error:  # Its only way to say so.
                print("the modest client:", error, flush=True)
                os._exit(1)
        sent = 0
        greedy.socket.settimeout(5)
        try:
            for _ in range(10_000):
                greedy.send("authorize", session_id=session, name="http:GET",
                            resource="https://api.example/", purpose="greed")
                sent += 1
        except OSError:
            pass  # Cut off or held back: both are fine.
        half = [half_frame(one) for _ in range(50)]
        _, status = os.waitpid(pid, 0)
        expect(os.waitstatus_to_exitcode(status) == 0, "a modest client was "
               "starved or refused while a greedy one had sent", sent)
        expect(one.daemon.running(), "the daemon died")
        for plain in half:
            plain.close()
        greedy.close()
        client = one.client()
        expect(client.authorize(client.open_session())["decision"] ==
               "permit")


def modest_client(one):
    client = one.client(timeout=20)
    session = client.open_session()
    for _ in range(10):
        start = time.monotonic()
        expect(client.authorize(session)["decision"] == "permit")
        took = time.monotonic() - start
        expect(took < 5, "an action took", took, "s")
        time.sleep(0.1)


def half_frame(one):
    plain = socket.socket(socket.AF_UNIX)
    plain.connect(str(one.socket))
    plain.sendall(struct.pack("<I", 1000) + b"{")
    return plain


def test_a_greedy_peer_is_told_to_slow_down():
    # A49: past its quota a peer is answered busy, and nothing else happens.
    with Rig(config={"limits": {"outstanding_per_peer": 8}}) as one:
        one.all_up()
        client = one.client()
        session = client.open_session()
        os.kill(one.service.pid, signal.SIGSTOP)  # So that answers wait.
        try:
            for _ in range(64):
                client.send("authorize", session_id=session, name="http:GET",
                            resource="https://api.example/", purpose="greed")
            busy = 0
            while busy < 56:
                _, verb, answer = client.receive()
                expect(verb == "error" and answer["code"] in
                       ("busy", "rate_limited"), verb, answer)
                busy += 1
        finally:
            os.kill(one.service.pid, signal.SIGCONT)
        decided = [client.receive() for _ in range(8)]
        expect(all(verb == "authorize" and answer["decision"] == "permit"
                   for _, verb, answer in decided), decided)


def test_a_thousand_clients_at_once():
    with Rig(config={"limits": {"connections": 2048}}) as one:
        rig.raise_open_files(5000)
        one.make_tpm()
        one.init_service()
        one.start_service()
        one.start_daemon(prefix=("prlimit", "--nofile=8192:8192"))
        one.start_uplink()
        one.enroll()
        clients = [one.client() for _ in range(1000)]
        session = clients[0].open_session()
        results = []

        def work(part):
            for client in part:
                try:
                    results.append(client.authorize(session)["decision"])
                except Refused as refused:
                    results.append(refused.code)

        threads = [threading.Thread(target=work, args=(clients[i::20],))
                   for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        expect(results.count("permit") == 1000,
               {r: results.count(r) for r in set(results)})
        for client in clients:
            client.close()


if __name__ == "__main__":
    rig.main(globals())
