#!/usr/bin/python3
"""Users who sign in at a real identity provider, and what stops them."""
import base64
import json
import pathlib
import subprocess
import time
import sys

import rig
from rig import BIN, Refused, Rig, expect, free_port, until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "login"))
from identity_provider import IdentityProvider  # noqa: E402

CONFIG = """\
[users]
verification = "{verification}"
[oidc]
issuer = "https://localhost:{port}"
client_id = "countersign"
ca_file = "../ca.pem"
scopes = ["openid", "profile"]
keys_refetch_s = 1
"""


class SignedUp:
    """A Rig whose users come from a provider."""

    def __init__(self, verification="oidc", keys=(("first", "RS256"),)):
        self.port = free_port()
        self.keys = keys
        self.rig = Rig(service=CONFIG.format(verification=verification,
                                             port=self.port))

    def __enter__(self):
        self.rig.__enter__()
        try:
            self.rig.make_tpm()
            self.rig.init_service()
            self.provider = IdentityProvider(self.rig, self.port, self.keys)
            self.rig.start_service()
            self.rig.start_agent()
            self.rig.enroll()
        except BaseException:
            self.rig.__exit__(*sys.exc_info())
            raise
        return self.rig, self.provider

    def __exit__(self, *error):
        self.rig.__exit__(*error)


def login(one, provider, account="alice"):
    return one.cli("login", env=provider.environment(account), timeout=60)


def claims_of(jwt):
    part = jwt.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def ended(client, session):
    """The reason for which an action is refused, once it is."""
    def ask():
        try:
            answer = client.authorize(session)
        except Refused as error:
            return error.info.get("detail") or error.reason
        reason = answer.get("reason", {}).get("reason")
        return reason if answer["decision"] == "deny" else None
    return until(ask, 20, "the end of the session")


def test_a_login_verifies_the_user_of_sessions():
    with SignedUp() as (one, provider):
        client = one.client()
        try:
            client.open_session()
            raise rig.Failure("a session without a login")
        except Refused as error:
            expect(error.reason == "user_not_verified", error)
            expect("countersign login" in error.info["remedy"], error.info)
        code, answer = login(one, provider)
        expect(code == 0, answer)
        expect(answer["display_name"] == "alice@example.com", answer)
        expect(answer["subject"].startswith("idp:"), answer)
        expect(answer["method"] == "oidc", answer)
        session = client.open_session()
        listed = client.call("list_sessions")["sessions"][0]
        expect(listed["user_verification"] == "oidc", listed)
        expect(listed["login"]["subject"] == answer["subject"], listed)
        expect(int(listed["expires_at_ms"]) <= int(answer["expires_at_ms"]) + 2000,
               listed, answer)
        decision = client.authorize(session,
                                    grant_audience="https://api.example")
        expect(decision["decision"] == "permit", decision)
        grant = claims_of(decision["grant"])
        expect(grant["sub"] == answer["subject"], grant)
        # The ledger names nobody; the evidence beside it does.
        entries = json.dumps(one.audit_list())
        expect("alice" not in entries, entries)
        kinds = [row[0] for row in one.sql(
            "SELECT count(*) FROM ledger_entries WHERE instr(entry, ?)",
            b"alice")]
        expect(kinds == [0], kinds)
        code, status = one.cli("status")
        expect(code == 0 and status["login"]["display_name"] ==
               "alice@example.com", status)
        # It outlives the daemon.
        one.daemon.stop()
        one.uplink.stop()
        one.start_agent()
        code, status = one.cli("status")
        expect(status["login"]["subject"] == answer["subject"], status)
        client = one.client()
        session = client.open_session()
        # Signing out ends the session at once, and the service knows.
        code, out = one.cli("logout")
        expect(code == 0 and out["was_signed_in"], out)
        try:
            client.authorize(session)
            raise rig.Failure("an action after logout")
        except Refused as error:
            expect(error.code == "session_revoked", error)
        expect(one.sql("SELECT end_reason FROM logins") == [("logged_out",)])
        code, output = one.audit_verify()
        expect(code == 0, output)
        code, answer = one.cli("logout")
        expect(code == 0 and not answer["was_signed_in"], answer)


def test_logging_out_at_the_provider_ends_the_session():
    with SignedUp() as (one, provider):
        expect(login(one, provider)[0] == 0)
        client = one.client()
        session = client.open_session()
        expect(client.authorize(session)["decision"] == "permit")
        provider.browser().end_session(provider.issuer)
        until(lambda: one.sql("SELECT end_reason FROM logins") ==
              [("provider_logout",)], 5, "the provider's logout")
        expect(one.sql("SELECT end_reason FROM sessions") ==
               [("provider_logout",)])
        reason = ended(client, session)
        expect("provider_logout" in reason or reason == "session_ended",
               reason)
        # The daemon has forgotten the login by then.
        until(lambda: one.cli("status")[1]["login"] is None, 10,
              "the end of the login on the laptop")
        expect(one.audit_verify()[0] == 0)


def test_every_algorithm_and_a_rotated_key():
    with SignedUp(keys=(("first", "RS256"),)) as (one, provider):
        expect(login(one, provider)[0] == 0)
        for keys in ((("second", "ES256"), ("first", "RS256")),
                     (("third", "EdDSA"),), (("fourth", "PS256"),)):
            # An unknown key is looked for no more often than keys_refetch_s.
            time.sleep(1.1)
            provider.start(keys)
            code, answer = login(one, provider)
            expect(code == 0, keys, answer)


def test_a_device_code_signs_in_on_another_screen():
    with SignedUp() as (one, provider):
        process = subprocess.Popen(
            [str(BIN / "countersign"), "login", "--device-code", "--json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
            env={"COUNTERSIGN_SOCKET": str(one.socket), "PATH": "/usr/bin"})
        line = process.stderr.readline()
        whole = process.stderr.readline()
        expect("enter the code" in line, line, whole)
        text = provider.browser().enter_device_code(
            whole.split("Or: ")[1].strip())
        expect("Sign-in Success" in text, text[-300:])
        out, err = process.communicate(timeout=60)
        expect(process.returncode == 0, out, err)
        expect(json.loads(out)["method"] == "oidc-device", out)
        session = one.client().call("open_session", purpose="x")["session"]
        expect(session["user_verification"] == "oidc-device", session)


def test_hostile_claims_stay_text():
    with SignedUp("either") as (one, provider):
        code, answer = login(one, provider, "mallory'); DROP TABLE logins;--")
        expect(code == 0, answer)
        expect("\n" not in answer["display_name"], answer)
        expect("\x1b" not in answer["display_name"], answer)
        groups, = one.sql("SELECT groups FROM logins")[0]
        expect(groups == "'; DELETE FROM sessions;--\n", groups)
        expect("\x1b" not in one.service.output())
        expect(one.audit_verify()[0] == 0)


def test_a_refusal_and_an_outage_are_clear_and_lose_nothing():
    with SignedUp("either") as (one, provider):
        code, answer = login(one, provider, "nobody")
        expect(code != 0 and answer["error"]["reason"] == "provider_refused",
               answer)
        expect(answer["error"]["detail"] == "access_denied", answer)
        expect(login(one, provider)[0] == 0)
        client = one.client()
        session = client.open_session()
        provider.stop()
        # Nothing but signing in needs the provider.
        expect(client.authorize(session)["decision"] == "permit")
        expect(client.open_session())
        expect(one.cli("logout")[0] == 0)
        # And without a login, "either" takes the word of the laptop.
        opened = client.call("open_session", purpose="x")["session"]
        expect(not opened["user_verification"].startswith("oidc"), opened)


if __name__ == "__main__":
    rig.main(globals())
