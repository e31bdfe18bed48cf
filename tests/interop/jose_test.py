#!/usr/bin/env python3
"""Our tokens under another JOSE implementation (jwcrypto), and its under ours.

    jose_test.py JOSE_EXCHANGE

Debian: python3-jwcrypto. Exits 77, which ctest counts as skipped, where that
is not installed.
"""

import base64
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

try:
    from jwcrypto import jwk, jws
except ImportError:
    print("python3-jwcrypto is not installed")
    sys.exit(77)

NOW = 1_900_000_000
URI = "https://files.example/notes/1"
CLAIMS = ('{"iss":"https://authz.example", "aud":"https://files.example",'
          '"exp":1900000300,"name":"Zo\u00eb \\u00e9"}')
EXCHANGE = sys.argv.pop(1)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sha256(data):
    return hashlib.sha256(data).digest()


def verify(token, key):
    """The header and exact payload of a compact JWS that holds under key."""
    opened = jws.JWS()
    opened.allowed_algs = ["ES256"]
    opened.deserialize(token)
    opened.verify(key)
    return opened.jose_header, opened.payload


def sign(key, header, payload):
    token = jws.JWS(payload)
    token.add_signature(key, protected=json.dumps(header))
    return token.serialize(compact=True)


class Exchange(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)
        self.write("claims.json", CLAIMS)

    def read(self, name):
        return (self.dir / name).read_text(encoding="utf-8")

    def write(self, name, text):
        (self.dir / name).write_text(text, encoding="utf-8")

    def exchange(self, verb):
        return subprocess.run([EXCHANGE, verb, str(self.dir)],
                              capture_output=True, text=True, check=False)


class OursUnderTheirs(Exchange):
    def setUp(self):
        super().setUp()
        ran = self.exchange("write")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.keys = jwk.JWKSet.from_json(self.read("jwks.json"))
        self.key = next(iter(self.keys["keys"]))

    def test_the_kid_is_the_thumbprint(self):
        self.assertEqual(self.key["kid"], self.key.thumbprint())

    def test_the_same_key_comes_from_jwk_and_pem(self):
        for name in ("public.pem", "private.pem"):
            key = jwk.JWK.from_pem(self.read(name).encode())
            self.assertEqual(key.thumbprint(), self.key.thumbprint())

    def test_the_token_holds_with_its_exact_claims(self):
        header, payload = verify(self.read("token.jwt"), self.key)
        self.assertEqual(header, {"alg": "ES256", "typ": "at+jwt",
                                  "kid": self.key.thumbprint()})
        self.assertEqual(payload.decode(), CLAIMS)

    def test_a_changed_token_does_not_hold(self):
        header, _, signature = self.read("token.jwt").split(".")
        payload = base64url(b'{"iss":"https://authz.example"}')
        with self.assertRaises(jws.InvalidJWSSignature):
            verify(f"{header}.{payload}.{signature}", self.key)

    def test_the_dpop_proof_holds_under_the_key_it_introduces(self):
        proof = self.read("dpop.jwt")
        header = json.loads(base64.urlsafe_b64decode(
            proof.split(".", maxsplit=1)[0] + "=="))
        own = jwk.JWK(**header["jwk"])
        self.assertFalse(own.has_private)
        self.assertEqual(own.thumbprint(), self.key.thumbprint())
        header, payload = verify(proof, own)
        self.assertEqual(header["typ"], "dpop+jwt")
        self.assertEqual(json.loads(payload), {
            "jti": "jti-1", "htm": "GET", "htu": URI, "iat": NOW,
            "ath": base64url(sha256(self.read("token.jwt").encode()))})

    def test_the_ledgers_verifier_key_is_that_of_its_private_key(self):
        key = jwk.JWK.from_pem(self.read("ledger.pem").encode())
        raw = base64.urlsafe_b64decode(key.export_public(as_dict=True)["x"] + "=")
        name, key_id, data = self.read("ledger.vkey").split("+", maxsplit=2)
        self.assertEqual(base64.b64decode(data), b"\x01" + raw)
        self.assertEqual(
            sha256(name.encode() + b"\n\x01" + raw)[:4].hex(), key_id)


class TheirsUnderOurs(Exchange):
    def setUp(self):
        super().setUp()
        self.key = jwk.JWK.generate(kty="EC", crv="P-256")
        self.public = self.key.export_public(as_dict=True)
        self.write_all()

    def write_all(self, typ="at+jwt", alg="ES256", jti="j", signer=None):
        signer = signer or self.key
        keys = {"keys": [self.public,
                         {"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}
        self.write("jwks.json", json.dumps(keys))
        self.write("private.pem", self.key.export_to_pem(
            private_key=True, password=None).decode())
        token = sign(signer, {"alg": alg, "typ": typ,
                              "kid": self.key.thumbprint()}, CLAIMS)
        self.write("token.jwt", token)
        claims = {"jti": jti, "htm": "GET", "htu": URI, "iat": NOW,
                  "ath": base64url(sha256(token.encode()))}
        self.write("dpop.jwt", sign(
            self.key, {"alg": "ES256", "typ": "dpop+jwt", "jwk": self.public},
            json.dumps(claims)))

    def assert_refused(self, reason):
        ran = self.exchange("read")
        self.assertEqual(ran.returncode, 1)
        self.assertIn(reason, ran.stderr)

    def test_tokens_proofs_and_keys_hold(self):
        for _ in range(20):
            self.key = jwk.JWK.generate(kty="EC", crv="P-256")
            self.public = self.key.export_public(as_dict=True)
            self.write_all()
            ran = self.exchange("read")
            self.assertEqual(ran.returncode, 0, ran.stderr)

    def test_a_token_of_another_type_is_refused(self):
        self.write_all(typ="JWT")
        self.assert_refused("jws_type")

    def test_a_token_by_another_key_is_refused(self):
        self.write_all(signer=jwk.JWK.generate(kty="EC", crv="P-256"))
        self.assert_refused("bad_signature")

    def test_a_token_keyed_with_the_public_key_is_refused(self):
        secret = base64url(self.key.export_to_pem())
        self.write_all(alg="HS256", signer=jwk.JWK(kty="oct", k=secret))
        self.assert_refused("jws_algorithm")

    def test_a_proof_without_jti_is_refused(self):
        self.write_all(jti="")
        self.assert_refused("dpop_invalid")


if __name__ == "__main__":
    unittest.main(verbosity=2)
