#!/usr/bin/python3
"""The line between laptop and service, cut, slow, forged and silent."""
import http.server
import re
import socket
import ssl
import subprocess
import threading
import time

import rig
from proxies import TlsRelay
from rig import Refused, Rig, expect, until


def refused_authorize(client, session):
    try:
        answer = client.authorize(session)
    except Refused as refused:
        return refused
    raise rig.Failure(f"authorised all the same: {answer}")


def test_lost_enrollment_answers_burn_no_token():
    # F10: the answer to each message of the enrollment is lost once.
    with Rig(proxy=True) as one:
        one.make_tpm()
        one.init_service()
        one.start_service()
        one.start_agent()
        token = one.token()
        lost = 0
        for message in range(4):
            one.proxy.set("cut-answer", skip=message, count=1)
            try:
                answer = one.enroll(token)
            except Refused as refused:
                expect(refused.code == "service_unreachable", refused)
            else:
                lost += one.proxy.hits
                break
            lost += one.proxy.hits
        else:
            one.proxy.set("pass")
            answer = one.enroll(token)
        expect(lost >= 2, "only", lost, "answers were lost")
        one.proxy.set("pass")
        devices = one.sql("SELECT hex(id) FROM devices")
        expect(devices == [(answer["device_id"].upper(),)], devices, answer)
        client = one.client()
        expect(client.authorize(client.open_session())["decision"] ==
               "permit")


def test_every_way_a_network_fails_is_named_and_heals():
    # F21: refused, reset, cut in the body, silent, one byte a second.
    # F22: what comes after goes on by itself.
    with Rig(proxy=True) as one:
        one.all_up()
        client = one.client(timeout=120)
        session = client.open_session()
        for mode in ("reset", "cut-answer", "cut-body"):
            one.proxy.set(mode)
            refused = refused_authorize(client, session)
            expect(refused.code == "service_unreachable", mode, refused)
            expect(refused.info.get("remedy"), mode, "has no remedy")
            one.proxy.set("pass")
            until(lambda: works(client, session), 60, f"healing of {mode}")
        one.service.kill9()
        refused = refused_authorize(client, session)
        expect(refused.code == "service_unreachable", refused)
        one.start_service()
        until(lambda: works(client, session), 60, "healing")


def works(client, session):
    try:
        return client.authorize(session)["decision"] == "permit"
    except Refused as refused:
        expect(refused.code in ("service_unreachable", "busy"), refused)
        time.sleep(0.2)
        return False


def test_silent_and_slow_services_meet_a_deadline():
    # F21: blackhole, one byte a second.
    with Rig(proxy=True) as one:
        one.all_up()
        client = one.client(timeout=150)
        session = client.open_session()
        for mode in ("blackhole", "slow"):
            one.proxy.set(mode)
            start = time.monotonic()
            refused = refused_authorize(client, session)
            expect(refused.code == "service_unreachable", mode, refused)
            expect(time.monotonic() - start < 100, mode, "took",
                   time.monotonic() - start)
            one.proxy.set("pass")
            until(lambda: works(client, session), 60, f"healing of {mode}")


class Portal(http.server.BaseHTTPRequestHandler):
    """Answers everything with a friendly page, or what `status` says."""

    status, headers_more = 200, {}
    seen = []

    def answer(self):
        Portal.seen.append((time.monotonic(), self.path))
        page = b"<html>Please log in to the hotel's network.</html>"
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        self.send_header("Content-Type", "text/html")
        for name, value in self.headers_more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


def portal_in_place_of_service(one, certificate="server"):
    """A server of our own on the service's port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(one.dir / f"{certificate}.pem",
                            one.dir / f"{certificate}.key")
    http.server.ThreadingHTTPServer.allow_reuse_address = True
    server = http.server.ThreadingHTTPServer(("127.0.0.1", one.port), Portal)
    server.socket = context.wrap_socket(server.socket, server_side=True,
                                        do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_a_captive_portal_is_no_answer():
    # F21: 200 with HTML where a signed answer should be.
    with Rig() as one:
        one.all_up()
        client = one.client()
        session = client.open_session()
        one.service.stop()
        Portal.status, Portal.headers_more = 200, {}
        server = portal_in_place_of_service(one)
        refused = refused_authorize(client, session)
        expect(refused.reason == "answer_invalid", refused)
        server.shutdown()
        server.server_close()
        one.start_service()
        until(lambda: works(client, session), 60, "healing")


def test_too_busy_a_service_is_left_alone():
    # F22: 429 and 503 with Retry-After: one request at a time, with pauses.
    with Rig() as one:
        one.all_up()
        client = one.client()
        session = client.open_session()
        one.service.stop()
        Portal.status = 503
        Portal.headers_more = {"Retry-After": "2"}
        Portal.seen.clear()
        server = portal_in_place_of_service(one)
        refused = refused_authorize(client, session)
        expect(refused.code in ("service_unreachable", "busy"), refused)
        # The undelivered batch is sent again, but not in a tight loop.
        time.sleep(6)
        expect(len(Portal.seen) <= 8, len(Portal.seen), "requests in 6 s")
        server.shutdown()
        server.server_close()
        one.start_service()
        until(lambda: works(client, session), 90, "healing")
        until(lambda: one.daemon_answers().get("undelivered_batches", "0") ==
              "0", 60, "delivery of what waited")


def test_wrong_authorities_and_expired_certificates_are_refused():
    # F21: certificate of another CA; expired certificate.
    with Rig() as one:
        one.all_up()
        client = one.client()
        session = client.open_session()
        one.service.stop()
        for name, extra in (("strange", []),
                            ("expired", ["-CA", one.dir / "ca.pem", "-CAkey",
                                         one.dir / "ca.key"])):
            command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                       "ec_paramgen_curve:P-256", "-nodes", "-subj",
                       "/CN=localhost", "-addext",
                       "subjectAltName=DNS:localhost", "-keyout",
                       one.dir / f"{name}.key", "-out",
                       one.dir / f"{name}.pem", "-days", "1", *extra]
            if name == "expired":
                command = ["faketime", "-f", "-10d", *command]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
            server = portal_in_place_of_service(one, name)
            refused = refused_authorize(client, session)
            expect(refused.reason == "tls_failed", name, refused)
            server.shutdown()
            server.server_close()
        one.start_service()
        until(lambda: works(client, session), 60, "healing")


def test_a_proxy_that_wants_a_password_is_named():
    # F21: 407 from the configured proxy.
    class Wants407(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self):
            self.send_response(407)
            self.send_header("Proxy-Authenticate", "Basic")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Wants407)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Rig() as one:
        one.all_up()
        one.uplink.stop()
        one.config = {"service": {
            "proxy": f"http://127.0.0.1:{server.server_address[1]}"}}
        one.write_config()
        one.start_uplink()
        client = one.client()
        try:
            client.open_session()
        except Refused as refused:
            expect(refused.code == "service_unreachable", refused)
            expect(re.search("proxy", str(refused), re.I), refused)
        else:
            raise rig.Failure("a session was opened through a 407")
    server.shutdown()


def test_a_name_that_does_not_resolve_is_named():
    # F21: DNS fails.
    with Rig() as one:
        one.make_tpm()
        one.init_service()
        one.start_service()
        one.start_agent()
        one.issuer = "https://authz.invalid:8443"
        try:
            one.enroll(one.token())
        except Refused as refused:
            expect(refused.code == "service_unreachable", refused)
            expect("authz.invalid" in str(refused), refused)
        else:
            raise rig.Failure("enrolled with a service that does not exist")


def raw_request(one, data, timeout=15):
    """What the service answers to these bytes (may be nothing)."""
    context = one.tls()
    with socket.create_connection(("127.0.0.1", one.port), timeout) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            try:
                for part in data:
                    tls.sendall(part)
            except OSError:
                pass  # It may well hang up on us.
            answer = b""
            try:
                while more := tls.recv(65536):
                    answer += more
                    if b"\r\n\r\n" in answer and len(answer) > 200:
                        break
            except OSError:
                pass
            return answer


def test_hostile_http_is_refused_and_harms_nobody():
    # A30: bombs, endless bodies, header floods, smuggling, injection.
    post = (b"POST /v1/challenges HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/x-protobuf\r\n")
    attacks = {
        "body of 1 GiB": [post + b"Content-Length: 1073741824\r\n\r\n"],
        "gzip": [post + b"Content-Encoding: gzip\r\n"
                 b"Content-Length: 4\r\n\r\n\x1f\x8b\x08\x00"],
        "chunks without end": [
            post + b"Transfer-Encoding: chunked\r\n\r\n",
            *[b"10000\r\n" + b"x" * 65536 + b"\r\n"] * 200],
        "100,000 headers": [post, *[b"X-%d: y\r\n" % n for n in
                                    range(100_000)], b"\r\n"],
        "header line of 64 KiB": [post + b"X-Long: " + b"a" * 65536 +
                                  b"\r\n\r\n"],
        "NUL in a header": [post + b"X-Nul: a\x00b\r\n"
                            b"Content-Length: 0\r\n\r\n"],
        "length and chunks": [
            post + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET /v1/jwks HTTP/1.1\r\n\r\n"],
        "two lengths": [post + b"Content-Length: 5\r\nContent-Length: 6\r\n"
                        b"\r\nhello!"],
        "folded header": [post + b"X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n"],
        "no request at all": [b"\x16\x03\x01 hello\r\n\r\n"],
    }
    with Rig() as one:
        one.all_up()
        size = one.sql("SELECT size FROM ledger_head")[0][0]
        for name, data in attacks.items():
            answer = raw_request(one, data)
            status = answer[9:12]
            expect(not answer or status in (b"400", b"411", b"413", b"415",
                                            b"431", b"501"),
                   name, "was answered", answer[:200])
            # What was smuggled must not be answered as a second request.
            expect(b"HTTP/1.1 2" not in answer, name, answer[:400])
        expect(one.service.running(), "the service died")
        expect(one.sql("SELECT size FROM ledger_head")[0][0] == size,
               "the ledger grew")
        client = one.client()
        expect(client.authorize(client.open_session())["decision"] ==
               "permit")


def test_numbers_out_of_range_are_refused():
    # A31: limits of 2^63 and below zero, forged page tokens, tiles that are
    # not there.
    with Rig() as one:
        one.all_up()
        admin = {"Authorization": "Bearer " + one.token("--admin")}
        status, body = one.https("/v1/devices", headers=admin)
        expect(status == 200, status, body)
        device = one.cli("status")[1]["device_id"]
        for query in ("limit=9223372036854775808", "limit=-1", "limit=0",
                      "limit=1001", "limit=1e3", "limit=", "limit=1&limit=2",
                      "after=..", "after=" + "0" * 33, "after=" + "f" * 4096,
                      "offset=1"):
            status, body = one.https("/v1/devices?" + query, headers=admin)
            expect(status == 400, query, status, body)
        status, body = one.https(f"/v1/devices?after={device}", headers=admin)
        expect(status == 200, status, body)
        for tile in ("0/x9223372036854775808", "64/000", "-1/000",
                     "0/x999/999", "0/000.p/257", "0/000.p/0", "0/..%2f..",
                     "0/" + "x001/" * 500 + "000"):
            status, body = one.https("/v1/log/tile/" + tile)
            expect(status in (400, 404, 414), tile, status, body)
        expect(one.service.running(), "the service died")


def test_idle_and_slow_connections_do_not_delay_others():
    # F20: 2,000 idle connections and a slowloris: a new request < 1 s.
    with Rig(service="[limits]\nconnections = 4096\n") as one:
        one.make_tpm()
        one.init_service()
        one.start_service(prefix=("prlimit", "--nofile=8192:8192"))
        one.start_agent()
        one.enroll()
        idle = []
        rig.raise_open_files(5000)
        try:
            for number in range(2000):
                plain = socket.create_connection(("127.0.0.1", one.port), 10)
                idle.append(plain)
                if number % 10 == 0:  # Some get as far as half a request.
                    tls = one.tls().wrap_socket(plain,
                                                server_hostname="localhost")
                    tls.sendall(b"POST /v1/challenges HTTP/1.1\r\nHost: l")
                    idle[-1] = tls
            client = one.client()
            session = client.open_session()
            for _ in range(5):
                for drip in idle[::10][:50]:
                    try:
                        drip.sendall(b"o")
                    except OSError:
                        pass  # It was timed out, as it should be.
                start = time.monotonic()
                expect(one.https("/v1/jwks")[0] == 200)
                expect(client.authorize(session)["decision"] == "permit")
                took = time.monotonic() - start
                expect(took < 1, "a new request took", took)
        finally:
            for one_idle in idle:
                one_idle.close()


def test_evidence_of_another_connection_is_refused():
    # A19: a relay that presents the evidence on a TLS connection of its own.
    with Rig() as one:
        port = rig.free_port()
        one.issuer = f"https://localhost:{port}"
        one.make_tpm()
        one.init_service()
        one.start_service()
        relay = TlsRelay(port, one.port, one.dir / "server.pem",
                         one.dir / "server.key", one.dir / "ca.pem")
        one.start_agent()
        one.enroll()
        client = one.client()
        try:
            client.open_session()
        except Refused as refused:
            expect(refused.reason == "channel_binding_mismatch", refused)
        else:
            raise rig.Failure("evidence was accepted over another channel")
        expect(one.sql("SELECT count(*) FROM sessions") == [(0,)])
        relay.stop()


if __name__ == "__main__":
    rig.main(globals())
