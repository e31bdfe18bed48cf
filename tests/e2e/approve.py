#!/usr/bin/python3
"""The user's word: who may give it, for what, and that it counts once."""
import base64
import json
import os
import pty
import shutil
import subprocess
import sys

import rig
from rig import (BIN, LocalClient, Refused, Rig, Skip, expect, hex_of, snake,
                 until)

POLICY = """\
[[rule]]
name = "ask-the-user"
outcome = "approval_required"
approval = "prompt"
action = ["prompt:*"]
audiences = ["*"]

[[rule]]
name = "ask-a-key"
outcome = "approval_required"
action = ["webauthn:*"]
"""

AUDIENCE = "https://api.example"


class Agent:
    """A process of its own that owns its session: the test is its parent, and
    so stands outside of what it may use."""

    def __init__(self, one):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--as-agent", str(one.socket)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def tell(self, how, verb, **fields):
        """What `verb` gives when asked by the agent itself, by a "child" of
        it, or by the "relay" at fields["program"] that it starts."""
        self.process.stdin.write(json.dumps([how, verb, fields]) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if isinstance(answer, dict) and "refused" in answer:
            raise Refused(answer["refused"])
        return answer

    def open_session(self, how="itself", **fields):
        return self.tell(how, "open_session", purpose="testing",
                         **fields)["session"]["session_id"]

    def authorize(self, session, name="prompt:delete", how="itself", **fields):
        return self.tell(how, "authorize", session_id=session, name=name,
                         resource=AUDIENCE + "/things", purpose="testing",
                         grant_audience=AUDIENCE, **fields)


def call(path, verb, fields):
    try:
        return LocalClient(path).call(verb, **fields)
    except Refused as refused:
        return {"refused": refused.info}


def as_agent(path):
    client = LocalClient(path)
    for line in sys.stdin:
        how, verb, fields = json.loads(line)
        if how == "itself":
            try:
                answer = client.call(verb, **fields)
            except Refused as refused:
                answer = {"refused": refused.info}
        else:
            program = fields.pop("program", None)
            # A copy of the interpreter does not find its library by itself.
            env = {"PYTHONHOME": "/usr"} if program else {}
            done = subprocess.run(
                [program or sys.executable, __file__, "--once", path, verb,
                 json.dumps(fields)],
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                check=False, env={**os.environ, **env})
            answer = json.loads(done.stdout)
        print(json.dumps(answer), flush=True)


def word(session, answer, approve=True):
    return {"session_id": session, "request_digest": answer["request_digest"],
            "approve": approve}


def refusal(act):
    try:
        answer = act()
    except Refused as refused:
        return refused.reason
    raise rig.Failure(f"it was not refused: {answer}")


def test_an_approval_from_outside_counts_once():
    with Rig(policy=POLICY) as one, Agent(one.all_up()) as agent:
        session = agent.open_session()
        asked = agent.authorize(session)
        expect(asked["decision"] == "approval_required", asked)
        expect(asked["approval_grade"] == "prompt", asked)
        digest = hex_of(asked["request_digest"])

        code, waiting = one.cli("approve")
        expect(code == 0 and [p["request_digest"] for p in waiting["pending"]]
               == [digest], waiting)
        expect(waiting["pending"][0]["executable"] ==
               os.path.realpath(sys.executable), waiting)
        code, approved = one.cli("approve", digest, "--yes")
        expect(code == 0 and approved["approved"], approved)

        permit = agent.authorize(session, want_bundle=True)
        expect(permit["decision"] == "permit", permit)
        expect(permit["request_digest"] == asked["request_digest"], permit)
        again = agent.authorize(session)
        expect(again["decision"] == "approval_required", again)

        claims = permit["grant"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(claims + "=="))
        expect(claims["authorization_details"][0]["approval"] == {
            "grade": "prompt", "approver": f"os:{os.getuid()}",
            "reference": approved["reference"]}, claims)

        bundle = one.dir / "bundle"
        bundle.write_bytes(base64.b64decode(permit["bundle"]))
        code, verified = one.cli("verify", bundle, "--trust",
                                 one.store / "trust")
        expect(code == 0, verified)
        expect(verified["facts"]["approval"] == f"prompt by os:{os.getuid()}",
               verified["facts"])
        shown = one.authz("audit", "show", permit["ledger_index"], "--config",
                          one.toml)
        expect(approved["reference"] in shown, shown)
        expect("not that a person did" in shown, shown)
        code, out = one.audit_verify()
        expect(code == 0, out)


def test_what_asks_cannot_approve():
    with Rig(policy=POLICY) as one, Agent(one.all_up()) as agent:
        session = agent.open_session()
        asked = agent.authorize(session)
        for how in ("itself", "child"):
            for approve in (True, False):
                reason = refusal(lambda: agent.tell(
                    how, "approve", **word(session, asked, approve)))
                expect(reason == "approver_not_apart", how, reason)
        expect(agent.authorize(session)["decision"] == "approval_required")
        one.client().call("approve", **word(session, asked))
        expect(agent.authorize(session)["decision"] == "permit")


def test_a_stronger_grade_is_not_given_here():
    with Rig(policy=POLICY) as one, Agent(one.all_up()) as agent:
        session = agent.open_session()
        asked = agent.authorize(session, "webauthn:delete")
        expect(asked["approval_grade"] == "webauthn", asked)
        reason = refusal(
            lambda: one.client().call("approve", **word(session, asked)))
        expect(reason == "not_found", reason)
        again = agent.authorize(session, "webauthn:delete")
        expect(again["decision"] == "approval_required", again)


def test_another_users_word_is_not_heard():
    if os.getuid() != 0:
        raise Skip("needs root, to be two users")
    with Rig(policy=POLICY) as one, Agent(one.all_up()) as agent:
        session = agent.open_session()
        asked = agent.authorize(session)
        os.chmod(one.dir, 0o755)
        for verb, fields in (("approve", word(session, asked)),
                             ("list_sessions", {})):
            done = subprocess.run(
                ["/usr/bin/python3", "-c", RAW_CALL, str(one.socket), verb,
                 json.dumps(fields)],
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                check=False, user=12345, group=12345, extra_groups=[])
            expect(done.returncode == 0, done.stderr)
            answer = snake(json.loads(done.stdout))
            if verb == "approve":
                expect(answer["error"]["reason"] == "session_unknown", answer)
            else:
                expect(answer["list_sessions"] == {}, answer)
                expect(one.client().call(verb)["pending"])
        expect(agent.authorize(session)["decision"] == "approval_required")


# Fed to the interpreter, since another user may not read this folder.
RAW_CALL = """
import base64, json, socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
def frame():
    size, = struct.unpack("<I", s.recv(4, socket.MSG_WAITALL))
    return s.recv(size, socket.MSG_WAITALL)
hello = frame()
at = hello.index(b"\\x0a\\x10")
nonce = base64.b64encode(hello[at + 2:at + 18]).decode()
out = json.dumps({"request_id": "1", "nonce": nonce,
                  sys.argv[2]: json.loads(sys.argv[3])}).encode()
s.sendall(struct.pack("<I", len(out)) + out)
answer = json.loads(frame())
print(json.dumps(answer))
"""


def test_a_relay_approves_only_in_the_session_that_it_opened():
    with Rig(policy=POLICY) as one:
        relay = one.dir / "relay"
        shutil.copy("/usr/bin/python3", relay)
        os.chmod(relay, 0o755)
        one.config = {"relays": [str(relay)]}
        one.all_up()
        relayed = {"how": "relay", "program": str(relay)}
        with Agent(one) as browser:
            session = browser.open_session(**relayed)
            asked = browser.authorize(session, **relayed)
            expect(asked["decision"] == "approval_required", asked)
            # The browser itself has a way around its window.
            reason = refusal(lambda: browser.tell("itself", "approve",
                                                  **word(session, asked)))
            expect(reason == "approver_not_apart", reason)
            browser.tell("relay", "approve", program=str(relay),
                         **word(session, asked))
            expect(browser.authorize(session, **relayed)["decision"] ==
                   "permit")
        with Agent(one) as agent:  # Starts a relay to speak for it.
            session = agent.open_session()
            asked = agent.authorize(session)
            reason = refusal(lambda: agent.tell(
                "relay", "approve", program=str(relay),
                **word(session, asked)))
            expect(reason == "approver_not_apart", reason)


def test_a_word_is_forgotten_after_two_minutes():
    clock = {"LD_PRELOAD":
             "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
             "FAKETIME_NO_CACHE": "1"}
    with Rig(policy=POLICY) as one:
        path = one.dir / "clock"
        path.write_text("+0\n")
        one.make_tpm()
        one.init_service()
        one.start_service()
        one.start_daemon(env={**clock, "FAKETIME_TIMESTAMP_FILE": str(path)})
        one.start_uplink()
        one.enroll()
        with Agent(one) as agent:
            session = agent.open_session()
            asked = agent.authorize(session)
            one.client().call("approve", **word(session, asked))
            path.write_text("+121\n")
            expect(agent.authorize(session)["decision"] ==
                   "approval_required")
            path.write_text("+242\n")
            reason = refusal(
                lambda: one.client().call("approve", **word(session, asked)))
            expect(reason == "not_found", reason)


def in_a_shell(one, script):
    """A shell that opens a session for itself and runs `script` in it."""
    return subprocess.Popen(
        ["sh", "-c", 'export COUNTERSIGN_SESSION=$(countersign session open '
         '--purpose testing)\n' + script],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "COUNTERSIGN_SOCKET": str(one.socket),
             "PATH": f"{BIN}:{os.environ['PATH']}"})


AUTHORIZE = ("countersign authorize --name prompt:delete --resource "
             "https://api.example/things --purpose testing")


def test_the_command_line_waits_for_the_word():
    with Rig(policy=POLICY) as one:
        one.all_up()

        def pending():
            return one.cli("approve")[1]["pending"]
        for choice, exit_code in (("--yes", 0), ("--deny", 10)):
            shell = in_a_shell(one, AUTHORIZE + " --wait-approval 60")
            until(pending, 30, "an action that waits")
            code, answer = one.cli("approve", pending()[0]["request_digest"],
                                   choice)
            expect(code == 0, answer)
            out, _ = shell.communicate(timeout=60)
            expect(shell.returncode == exit_code, choice, out)
        # Nobody says anything; then the shell tries to say it itself.
        shell = in_a_shell(
            one, AUTHORIZE + """ --wait-approval 1
            [ $? = 11 ] || exit 1
            countersign approve --yes $(countersign approve |
                sed -n 's/^Digest *//p')""")
        out, _ = shell.communicate(timeout=60)
        expect(shell.returncode == 10, out)
        expect("outside the session" in out, out)


def test_a_person_is_asked_at_a_terminal():
    with Rig(policy=POLICY) as one, Agent(one.all_up()) as agent:
        session = agent.open_session()
        for typed, decision in ((b"\n", "approval_required"),
                                (b"y\n", "permit")):
            digest = hex_of(agent.authorize(session)["request_digest"])
            ours, theirs = pty.openpty()
            person = subprocess.Popen(
                [BIN / "countersign", "--socket", one.socket, "approve",
                 digest], stdin=theirs, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True)
            os.write(ours, typed)
            out, _ = person.communicate(timeout=60)
            os.close(ours)
            os.close(theirs)
            expect(person.returncode == 0, out)
            expect("prompt:delete" in out and "[y/N]" in out, out)
            expect(agent.authorize(session)["decision"] == decision, out)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--as-agent"]:
        as_agent(sys.argv[2])
    elif sys.argv[1:2] == ["--once"]:
        print(json.dumps(call(sys.argv[2], sys.argv[3],
                              json.loads(sys.argv[4]))))
    else:
        rig.main(globals())
