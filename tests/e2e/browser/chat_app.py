#!/usr/bin/python3
"""A small AI chat behind a gateway that lets in only what is proven, once.

    chat_app.py --listen HOST:PORT --issuer URL --ca FILE [--online]

All that the gateway knows of Countersign: a request carries a receipt, a
compact JWS in Sec-Device-Proof, for exactly this method, address and body, and
each receipt counts once. It is checked with python3-jwcrypto, which shares no
code with Countersign, under the keys that the issuer publishes; with --online
by the issuer's POST /v1/receipts/verify instead. Below /open/ nothing is
needed.

Checks, in order; the first that fails is the answer's "reason":
  no_proof, bad_signature, wrong_type, wrong_issuer, wrong_audience, expired,
  other_request (method or address), other_body, proof_used.
"""
import argparse
import base64
import contextlib
import hashlib
import http.server
import json
import pathlib
import re
import ssl
import sys
import threading
import time
import urllib.parse
import urllib.request

from jwcrypto import jwk, jws
from jwcrypto.common import JWException

PAGES = pathlib.Path(__file__).resolve().parent / "pages"
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript",
         ".css": "text/css"}
MAX_BODY = 4 << 20
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")


class Refused(Exception):
    """Holds the reason."""


def normal(text, may_stand):
    """`text` of a path or query with RFC 3986's one spelling of escapes."""
    def one(match):
        piece = match[0]
        if len(piece) == 3:
            character = chr(int(piece[1:], 16))
            return character if UNRESERVED.match(character) else piece.upper()
        if UNRESERVED.match(piece) or piece in may_stand:
            return piece
        return "".join(f"%{b:02X}" for b in piece.encode("latin-1"))
    return re.sub(r"%[0-9A-Fa-f]{2}|[\s\S]", one, text)


def resource_of(origin, target):
    path, mark, query = target.partition("?")
    return (origin + normal(path, "!$&'()*+,;=:@/")
            + (mark and "?" + normal(query, "!$&'()*+,;=:@/?")))


class Gateway:
    """Judges requests; keeps what it saw."""

    def __init__(self, origin, issuer, tls, online=False):
        self.origin = origin
        self.issuer = issuer
        self.tls = tls
        self.online = online
        self.keys = None
        self.used = {}  # jti -> expiry
        self.seen = []  # One dictionary a request, in order of arrival.
        self.lock = threading.Lock()
        self.clock = time.time

    def issuer_key(self, kid):
        if self.keys is None or self.keys.get_key(kid) is None:
            with urllib.request.urlopen(f"{self.issuer}/v1/jwks",
                                        context=self.tls, timeout=5) as answer:
                self.keys = jwk.JWKSet.from_json(answer.read(65536))
        key = self.keys.get_key(kid)
        if key is None:
            raise Refused("bad_signature")
        return key

    def claims(self, receipt):
        try:
            unverified = jws.JWS()
            unverified.deserialize(receipt)
            key = self.issuer_key(unverified.jose_header.get("kid", ""))
            signed = jws.JWS()
            signed.allowed_algs = ["ES256"]
            signed.deserialize(receipt, key)
            claims = json.loads(signed.payload)
        except (JWException, ValueError) as error:
            raise Refused("bad_signature") from error
        if signed.jose_header.get("typ") != "countersign-receipt+jwt":
            raise Refused("wrong_type")
        return claims

    def judge(self, method, target, body, receipt):
        """The receipt's claims; raises Refused."""
        if not receipt:
            raise Refused("no_proof")
        if self.online:
            return self.judge_online(method, target, body, receipt)
        claims = self.claims(receipt)
        if claims["iss"] != self.issuer:
            raise Refused("wrong_issuer")
        if claims["aud"] != self.origin:
            raise Refused("wrong_audience")
        if not claims["iat"] - 5 <= self.clock() < claims["exp"]:
            raise Refused("expired")
        if (claims["htm"] != method
                or claims["htu"] != resource_of(self.origin, target)):
            raise Refused("other_request")
        if claims.get("body") != "unbound" and (
                claims["request_sha256"] != hashlib.sha256(body).hexdigest()):
            raise Refused("other_body")
        with self.lock:
            now = self.clock()
            self.used = {j: t for j, t in self.used.items() if t > now}
            if claims["jti"] in self.used:
                raise Refused("proof_used")
            self.used[claims["jti"]] = claims["exp"]
        return claims

    def judge_online(self, method, target, body, receipt):
        question = json.dumps({
            "receipt": receipt, "audience": self.origin, "method": method,
            "uri": resource_of(self.origin, target),
            "request_sha256":
                base64.b64encode(hashlib.sha256(body).digest()).decode(),
        }).encode()
        request = urllib.request.Request(
            f"{self.issuer}/v1/receipts/verify", data=question,
            headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, context=self.tls,
                                    timeout=5) as answer:
            verdict = json.loads(answer.read(65536))
        if not verdict.get("valid"):
            raise Refused(verdict.get("error", {}).get("reason", "invalid"))
        return {"online": True, **verdict}


def handler_of(gateway):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def reply(self, status, data=b"", kind="application/json", **headers):
            if isinstance(data, (dict, list)):
                data = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Cache-Control", "no-store")
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def handle_request(self):
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 <= length <= MAX_BODY:
                self.reply(413)
                return
            body = self.rfile.read(length)
            receipt = self.headers.get("Sec-Device-Proof", "")
            path = urllib.parse.urlsplit(self.path).path
            seen = {"method": self.command, "path": path, "target": self.path,
                    "receipt": receipt, "at": time.time(),
                    "headers": self.headers.items(),
                    "destination": self.headers.get("Sec-Fetch-Dest", ""),
                    "authorization": self.headers.get("Authorization", ""),
                    "dpop": self.headers.get("DPoP", ""), "reason": ""}
            if not path.startswith("/open/"):
                try:
                    seen["claims"] = gateway.judge(
                        self.command, self.path, body, receipt)
                except Refused as refused:
                    seen["reason"] = str(refused)
            with gateway.lock:
                gateway.seen.append(seen)
            if seen["reason"]:
                self.reply(401, {"accepted": False, "reason": seen["reason"]})
                return
            self.serve(path, body)

        do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = handle_request

        def serve(self, path, body):
            name = path.removeprefix("/open").strip("/") or "index.html"
            if path == "/chat":
                text = body.decode(errors="replace")
                self.reply(200, {"accepted": True,
                                 "reply": f"You said “{text}”. I agree."})
            elif path == "/events":
                self.reply(200, b"data: hello\n\n", "text/event-stream")
            elif path == "/socket":
                self.websocket()
            elif path.endswith("/redirect"):
                query = urllib.parse.parse_qs(
                    urllib.parse.urlsplit(self.path).query)
                self.reply(int(query.get("status", ["302"])[0]),
                           Location=query["to"][0])
            elif re.fullmatch(r"[a-z_]+\.(html|js|css)", name) and (
                    PAGES / name).is_file():
                page = PAGES / name
                self.reply(200, page.read_bytes(), TYPES[page.suffix])
            elif path.startswith("/open/"):
                self.reply(200, b"<!doctype html><title>blank</title>",
                           TYPES[".html"])
            else:
                self.reply(200, {"accepted": True, "path": path})

        def websocket(self):
            key = self.headers.get("Sec-WebSocket-Key", "").encode()
            accept = base64.b64encode(
                hashlib.sha1(key + WEBSOCKET_GUID).digest()).decode()
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", accept)
            self.end_headers()
            self.wfile.write(b"\x81\x05hello")  # A text.
            # Whoever closes first, before the other has looked, may be taken
            # for one who never spoke: the client's close comes first.
            with contextlib.suppress(OSError):
                self.rfile.read(2)
                self.wfile.write(b"\x88\x00")
            self.close_connection = True

        def log_message(self, form, *values):
            pass  # A log of addresses is what a gateway must not keep.

    return Handler


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # A browser that left.
            super().handle_error(request, client_address)


def serve(gateway, host, port):
    server = Server((host, port), handler_of(gateway))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    for name in ("listen", "issuer", "ca"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--online", action="store_true")
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(":")
    gateway = Gateway(f"http://localhost:{port}", options.issuer,
                      ssl.create_default_context(cafile=options.ca),
                      options.online)
    Server((host, int(port)), handler_of(gateway)).serve_forever()


if __name__ == "__main__":
    sys.exit(main())
