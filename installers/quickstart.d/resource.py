#!/usr/bin/python3
"""A small protected resource: accepts a payment only with a good grant.

    resource.py --listen HOST:PORT --audience URL --issuer URL --ca FILE
                --cert FILE --key FILE

Everything it knows of Countersign are two standards and one claim: the grant
is an RFC 9068 access token with RFC 9396 authorization_details, and it is
presented with a DPoP proof (RFC 9449). It asks the issuer for its public keys
and for nothing else. Tokens are checked with python3-jwcrypto, which shares no
code with Countersign.

Checks, in order; the first that fails is the answer's "reason":
  no_grant, bad_signature, wrong_type, wrong_issuer, wrong_audience, expired,
  other_action (name, resource or SHA-256 of the body), no_proof, bad_proof
  (signature, htm, htu, iat, ath), other_key (cnf.jkt), proof_replayed,
  grant_used.
"""
import argparse
import base64
import hashlib
import http.server
import json
import ssl
import sys
import time
import urllib.request

from jwcrypto import jwk, jws
from jwcrypto.common import JWException

MAX_BODY = 64 * 1024
PROOF_AGE_S = 60


class Refused(Exception):
    """The reason, as a word for programs and a sentence for people."""

    def __init__(self, reason, sentence):
        super().__init__(sentence)
        self.reason = reason


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def verified(token, key, reason):
    """The header and claims of `token` if `key` signed it with ES256."""
    try:
        signed = jws.JWS()
        signed.allowed_algs = ["ES256"]
        signed.deserialize(token, key)
        claims = json.loads(signed.payload)
    except (JWException, ValueError) as error:
        raise Refused(reason, f"The signature does not hold: {error}")
    return signed.jose_header, claims


class Resource:
    def __init__(self, audience, issuer, ca_file):
        self.audience = audience
        self.issuer = issuer
        self.ca_file = ca_file
        self.proofs = {}  # jti of each proof seen -> when to forget it
        self.grants = {}  # jti of each grant used -> its expiry

    def issuer_key(self, kid):
        context = ssl.create_default_context(cafile=self.ca_file)
        with urllib.request.urlopen(self.issuer + "/v1/jwks",
                                    context=context, timeout=5) as answer:
            keys = jwk.JWKSet.from_json(answer.read(MAX_BODY))
        key = keys.get_key(kid)
        if key is None:
            raise Refused("bad_signature", "The issuer has no such key.")
        return key

    def check_grant(self, token, method, uri, body):
        try:
            unverified = jws.JWS()
            unverified.deserialize(token)
            kid = unverified.jose_header.get("kid", "")
        except JWException as error:
            raise Refused("bad_signature", f"Not a token: {error}")
        header, grant = verified(token, self.issuer_key(kid), "bad_signature")
        now = time.time()
        if header.get("typ", "").lower() != "at+jwt":
            raise Refused("wrong_type", "This is not an access token.")
        if grant.get("iss") != self.issuer:
            raise Refused("wrong_issuer", "The grant is of another service.")
        if grant.get("aud") != self.audience:
            raise Refused("wrong_audience",
                          f"The grant is for {grant.get('aud')}.")
        if not grant.get("nbf", grant["iat"]) - 5 <= now < grant["exp"]:
            raise Refused("expired", "The grant is not valid now.")
        digest = hashlib.sha256(body).hexdigest()
        for detail in grant.get("authorization_details", []):
            if (detail.get("type") == "countersign_action"
                    and f"http:{method}" in detail.get("actions", [])
                    and uri in detail.get("locations", [])
                    and detail.get("request_sha256") == digest):
                return grant
        raise Refused("other_action",
                      "The grant is for another request than this one.")

    def check_proof(self, proof, token, grant, method, uri):
        if not proof:
            raise Refused("no_proof", "There is no DPoP proof.")
        try:
            unverified = jws.JWS()
            unverified.deserialize(proof)
            header = unverified.jose_header
            key = jwk.JWK(**header["jwk"])
        except (JWException, KeyError, TypeError, ValueError) as error:
            raise Refused("bad_proof", f"Not a DPoP proof: {error}")
        if header.get("typ") != "dpop+jwt" or key.has_private:
            raise Refused("bad_proof", "Not a DPoP proof.")
        _, claims = verified(proof, key, "bad_proof")
        now = time.time()
        if (claims.get("htm") != method or claims.get("htu") != uri
                or claims.get("ath") != b64url(
                    hashlib.sha256(token.encode()).digest())
                or abs(now - claims.get("iat", 0)) > PROOF_AGE_S):
            raise Refused("bad_proof", "The proof is for another request.")
        if key.thumbprint() != grant.get("cnf", {}).get("jkt"):
            raise Refused("other_key", "The grant is bound to another key.")
        self.proofs = {j: t for j, t in self.proofs.items() if t > now}
        if claims["jti"] in self.proofs:
            raise Refused("proof_replayed", "This proof was used before.")
        self.proofs[claims["jti"]] = now + 2 * PROOF_AGE_S

    def accept(self, authorization, proof, method, uri, body):
        """The grant's claims; raises Refused."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "dpop" or not token:
            raise Refused("no_grant", "Authorization: DPoP GRANT is needed.")
        grant = self.check_grant(token, method, uri, body)
        self.check_proof(proof, token, grant, method, uri)
        now = time.time()
        self.grants = {j: t for j, t in self.grants.items() if t > now}
        # One grant is one payment, however many proofs its holder can make.
        if grant["jti"] in self.grants:
            raise Refused("grant_used", "This grant was used before.")
        self.grants[grant["jti"]] = grant["exp"]
        return grant


def handler_of(resource):
    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 5  # seconds

        def answer(self, status, content):
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            if status == 401:
                self.send_header("WWW-Authenticate",
                                 'DPoP error="invalid_token", algs="ES256"')
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self):
            length = int(self.headers.get("Content-Length", 0))
            if not 0 <= length <= MAX_BODY:
                self.answer(413, {"reason": "too_large"})
                return
            body = self.rfile.read(length)
            try:
                grant = resource.accept(
                    self.headers.get("Authorization", ""),
                    self.headers.get("DPoP", ""), "POST",
                    resource.audience + self.path, body)
            except Refused as refused:
                self.answer(401, {"accepted": False,
                                  "reason": refused.reason,
                                  "message": str(refused)})
                return
            self.answer(200, {"accepted": True, "for": grant["sub"],
                              "by": grant.get("act", {}).get("sub"),
                              "evidence": grant.get("evidence")})

        def log_message(self, form, *values):
            print(form % values, file=sys.stderr, flush=True)

    return Handler


def main():
    parser = argparse.ArgumentParser()
    for name in ("listen", "audience", "issuer", "ca", "cert", "key"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(":")
    resource = Resource(options.audience, options.issuer, options.ca)
    server = http.server.HTTPServer((host, int(port)), handler_of(resource))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)
    # The handshake happens in the handler, under its time limit: one client
    # that stays silent cannot hold up the next for long.
    server.socket = context.wrap_socket(server.socket, server_side=True,
                                        do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main()
