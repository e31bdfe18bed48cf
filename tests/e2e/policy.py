#!/usr/bin/python3
"""countersign-authz policy: rule files are checked, tested and explained."""
import json

import rig
from rig import Rig, expect

SHIPPED = rig.SOURCE / "docs/deployment/policy"


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    path.chmod(0o644)
    return path


def test_the_shipped_example_decides_as_its_tests_say():
    with Rig() as one:
        policy = write(one.dir, "policy.toml",
                       (SHIPPED / "policy.toml").read_text())
        tests = write(one.dir, "tests.toml",
                      (SHIPPED / "policy-tests.toml").read_text())
        one.authz("policy", "check", policy)
        told = json.loads(one.authz("policy", "test", tests, "--policy",
                                    policy, "--json"))
        expect(told["failed"] == 0 and len(told["examples"]) == 6, told)
        # With one rule less it is another policy, and says where.
        less = write(one.dir, "less.toml", policy.read_text().replace(
            '"file:///etc/*", ', ""))
        code, said = one.authz("policy", "test", tests, "--policy", less,
                               check=False)
        expect(code == 1, code, said)
        expect("rule: expected no-secrets, got none" in said, said)


def test_a_mistake_is_named_with_its_line():
    with Rig() as one:
        bad = write(one.dir, "bad.toml",
                    '[[rule]]\nname = "a"\noutcome = "permit"\nacton = "x"\n')
        code, said = one.authz("policy", "check", bad, check=False)
        expect(code != 0 and f"{bad}:4: unknown key acton" in said, code, said)
        tests = write(one.dir, "t.json", json.dumps({"example": [
            {"name": "x", "outcome": "permit", "request": {
                "subject": {"id": "a"}, "action": {"name": "b"},
                "resource": {"id": "c"}, "contxt": {}}}]}))
        good = write(one.dir, "good.toml", "")
        code, said = one.authz("policy", "test", tests, "--policy", good,
                               check=False)
        expect(code != 0 and "example 'x': request.contxt is unknown" in said, said)


def test_an_action_of_the_past_is_explained():
    with Rig() as one:
        one.all_up()
        client = one.client()
        decided = client.authorize(client.open_session())
        told = json.loads(one.authz(
            "policy", "explain", decided.get("ledger_index", 0), "--json",
            "--config", one.toml))
        expect(told["outcome"] == "permit" and
               told["rule"] == "everything-else", told)
        expect([(r["rule"], r["condition"], r["wanted"])
                for r in told["passed_over"]] ==
               [("never", "action", "deny:*"),
                ("ask-first", "action", "approve:*")], told)


if __name__ == "__main__":
    rig.main(globals())
