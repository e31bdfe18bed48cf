#!/usr/bin/python3
"""Task grants with OAuth software that no one here wrote.

oauth4webapi, jose, dpop and a status list library speak to the real service;
an Express server takes the grants. The keys stay in the real agent, which
signs each DPoP proof. The programs of this test are in tests/e2e/oauth/.
"""
import contextlib
import json
import os
import shutil
import subprocess

import rig as e2e
from rig import BIN, SOURCE, Rig, Skip, expect, until

HERE = SOURCE / "tests/e2e/oauth"
FOLDER = SOURCE / "build/oauth-tests"


def install():
    """The packages, once beside the build; the scripts as they are now."""
    if shutil.which("node") is None:
        raise Skip("there is no node")
    FOLDER.mkdir(parents=True, exist_ok=True)
    lock = FOLDER / "package-lock.json"
    current = (HERE / "package-lock.json").read_bytes()
    if not (FOLDER / "node_modules/express").exists() or (
            lock.read_bytes() != current):
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, FOLDER)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit",
                               "--no-fund"], cwd=FOLDER, check=False,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Skip("npm ci: " + done.stderr.strip().split("\n")[0])
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, FOLDER)


class Shop(Rig):
    """A Rig with an Express resource server and an open session."""

    def open(self):
        install()
        self.all_up()
        self.audience = f"https://localhost:{e2e.free_port()}"
        self.session = self.cli("session", "open", "--purpose",
                                "testing")[1]["session_id"]
        self.secret = self.add_client("orders").strip()
        server = self.start("resource", "node", FOLDER / "resource.mjs",
                            env=self.environment())
        until(lambda: "ready" in server.output(), 20, "the resource server")
        return self

    def add_client(self, name, *arguments):
        return self.authz("client", "add", name, "--audience", self.audience,
                          *arguments, "--config", self.toml)

    def environment(self):
        return {"ISSUER": self.issuer, "AUDIENCE": self.audience,
                "SECRET": getattr(self, "secret", ""),
                "KEY_FILE": str(self.dir / "client.jwk"),
                "CERT": str(self.dir / "server.pem"),
                "KEY": str(self.dir / "server.key"),
                "NODE_EXTRA_CA_CERTS": str(self.dir / "ca.pem"),
                "COUNTERSIGN": str(BIN / "countersign"),
                "COUNTERSIGN_SOCKET": str(self.socket),
                "COUNTERSIGN_SESSION": getattr(self, "session", "")}

    def node(self, name):
        done = subprocess.run(
            ["node", str(FOLDER / "client.mjs"), name],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, timeout=60, env={**os.environ, **self.environment()})
        expect(done.returncode == 0, name, done.stderr[-2000:])
        return json.loads(done.stdout)


SHOP = None


def shop():
    """One for all tests: they do not get into each other's way."""
    global SHOP
    if SHOP is None:
        made = Shop()
        SHOP = made.__enter__()
        made.open()
    return SHOP


def test_a_stock_client_redeems_a_permitted_action_once():
    seen = shop().node("redeem")
    expect(seen["asked"], "the first proof must be refused for a nonce")
    expect(seen["jti"] == seen["decided"], "another grant than was decided")
    expect(seen["answer"]["token_type"].lower() == "dpop", seen["answer"])
    expect(seen["answer"]["authorization_details"] == seen["details"], seen)
    expect(seen["use"]["status"] == 200, seen["use"])
    expect(seen["use"]["body"]["accepted"] == "17", seen["use"])
    expect("grant_redeemed" in seen["again"]["why"], seen["again"])


def test_the_token_endpoint_refuses_in_oauth_words():
    seen = shop().node("refusals")
    expect(seen["other"]["error"] == "invalid_target", seen["other"])
    expect(seen["noReceipt"]["error"] == "invalid_request", seen["noReceipt"])
    expect(seen["bare"]["status"] == 401, seen["bare"])
    expect(seen["bare"]["body"]["error"] == "invalid_client", seen["bare"])
    # The agent proves its key to no other server's token endpoint.
    expect(seen["foreign"] == "refused", seen["foreign"])


# A37
def test_a_grant_is_of_no_use_without_its_key_or_for_another_action():
    seen = shop().node("otherKey")
    for name in ("forged", "wrongPlace", "replayed", "otherAction"):
        expect(seen[name]["status"] == 401, name, seen[name])
    expect(seen["good"]["status"] == 200, seen["good"])


def test_a_resource_server_introspects_plain_and_signed():
    seen = shop().node("introspection")
    expect(seen["plain"]["type"].startswith("application/json"), seen)
    expect(seen["plain"]["answer"]["active"], seen["plain"])
    expect(seen["signed"]["type"] == "application/token-introspection+jwt",
           seen["signed"]["type"])
    expect(seen["signed"]["answer"] == seen["plain"]["answer"], seen)
    expect(seen["none"]["answer"] == {"active": False}, seen["none"])
    uses = [entry for entry in shop().audit_list()
            if entry.get("detail") == "introspected by orders"]
    expect(uses, "no introspection in the ledger")


def test_a_resource_server_signs_instead_of_keeping_a_secret():
    at = shop()
    jwks = at.dir / "client.jwks.json"
    jwks.write_text(json.dumps(at.node("makeKey")))
    expect(at.add_client("signer", "--jwks", jwks).strip() == "",
           "a client with a key gets no secret")
    expect(at.node("byKey")["answer"]["active"], "not active")
    at.authz("client", "revoke", "signer", "--config", at.toml)
    listed = json.loads(at.authz("client", "list", "--json", "--config",
                                 at.toml))["clients"]
    expect([(c["name"], c["revoked"]) for c in listed] ==
           [("orders", False), ("signer", True)], listed)
    try:
        at.node("byKey")
    except e2e.Failure as refused:
        expect("invalid_client" in str(refused), refused)
    else:
        raise e2e.Failure("a revoked client is answered")


def test_a_revoked_grant_is_in_the_status_list():
    seen = shop().node("revocation")
    expect(seen["before"]["bit"] == 0, seen)
    expect(seen["after"]["bit"] == 1, seen)
    expect(not seen["active"], seen)


def test_a_session_gives_a_grant_back():
    expect(not shop().node("giveBack")["active"], "still active")


def test_the_ledger_holds():
    code, output = shop().audit_verify()
    expect(code == 0, output)


if __name__ == "__main__":
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: SHOP and SHOP.__exit__(None, None, None))
        e2e.main(globals())
