#!/usr/bin/python3
"""Decision points that nobody here wrote: Cerbos over AuthZEN 1.0, and Open
Policy Agent over its own API. The rule file permits everything, so that each
denial is theirs, or comes of their absence."""
import json
import os
import shutil
import subprocess
import urllib.request

import rig
from rig import Program, Refused, Rig, Skip, expect, free_port, until

HERE = rig.SOURCE / "tests/e2e/decision_point"
BUILT = rig.SOURCE / "build/decision_point"

PERMIT_ALL = """\
[[rule]]
name = "ask-the-point"
outcome = "permit"
audiences = ["*"]
grant_ttl_s = 120
"""


def run(command, folder, **env):
    done = subprocess.run(command, cwd=folder, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, env={**os.environ, **env})
    if done.returncode != 0:
        raise Skip(" ".join(command[:2]) + ": " +
                   done.stderr.strip().split("\n")[0])


def cerbos():
    """Its server, installed once beside the build."""
    program = BUILT / "node_modules/@cerbos/cerbos-linux-x64/cerbos-linux-x64"
    if not program.exists():
        BUILT.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, BUILT)
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], BUILT)
    return program


def opa():
    """Its server, compiled once beside the build: some 80 s of processor."""
    program = BUILT / "opa"
    sources = [HERE / "opa" / name for name in ("main.go", "go.mod", "go.sum")]
    if not program.exists() or any(
            s.stat().st_mtime > program.stat().st_mtime for s in sources):
        if shutil.which("go") is None:
            raise Skip("there is no go")
        BUILT.mkdir(parents=True, exist_ok=True)
        run(["go", "build", "-trimpath", "-o", program, "."], HERE / "opa",
            CGO_ENABLED="0", GOTOOLCHAIN="local", GOFLAGS="-mod=readonly")
    return program


def http(url, body=None, method=None):
    request = urllib.request.Request(url, data=body, method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.read().decode()


def answers(url):
    try:
        return http(url) is not None
    except OSError:
        return False


def start_cerbos(folder, port):
    config = folder / "cerbos.json"
    config.write_text(json.dumps({
        "server": {"httpListenAddr": f"127.0.0.1:{port}",
                   "grpcListenAddr": f"unix:{folder}/cerbos.sock"},
        "storage": {"driver": "disk",
                    "disk": {"directory": str(HERE / "cerbos")}},
        "telemetry": {"disabled": True}}))
    program = Program("cerbos", [cerbos(), "server", f"--config={config}"],
                      folder / "cerbos.log")
    until(lambda: program.running() and
          answers(f"http://127.0.0.1:{port}/_cerbos/health"), 30,
          "Cerbos' first answer")
    return program


def start_opa(folder, port):
    program = Program("opa", [opa(), f"127.0.0.1:{port}"], folder / "opa.log")
    url = f"http://127.0.0.1:{port}"
    until(lambda: answers(url + "/health"), 30, "OPA's first answer")
    http(url + "/v1/policies/countersign",
         (HERE / "opa/countersign.rego").read_bytes(), "PUT")
    return program


def ask(client, session, name="http:POST",
        resource="https://api.example/things"):
    """(decision, reason, detail)"""
    try:
        answer = client.authorize(session, name, resource)
        why = answer.get("reason", {})
        return (answer["decision"], why.get("reason", ""),
                why.get("detail", ""))
    except Refused as refused:
        kind = ("approval_required" if refused.code == "approval_required"
                else "deny")
        return kind, refused.reason, refused.info.get("detail", "")


def check_outage(one, client, session, point, start):
    """Killed midway it permits nothing and is named; back, it permits."""
    point.kill9()
    decision, reason, detail = ask(client, session)
    expect((decision, reason) == ("deny", "decision_point_unreachable"),
           decision, reason, detail)
    again = start()
    one.programs.append(again)
    until(lambda: ask(client, session)[0] == "permit", 15,
          "a permit once the decision point is back")


def check_audit(one, decision):
    """The newest decision with that outcome is made again from what is kept."""
    entries = json.loads(one.authz("audit", "list", "--since", "1h", "--json",
                                   "--config", one.toml))["entries"]
    index = [e["index"] for e in entries if e.get("decision") == decision][-1]
    shown = json.loads(one.authz("audit", "show", index, "--json", "--config",
                                 one.toml))
    (line,) = [line for line in shown["valid_then"]
               if line["check"] == "policy"]
    expect(line["result"] == "holds" and "decision point" in line["proof"],
           line)
    return index


def test_cerbos_decides_over_authzen():
    port = free_port()
    with Rig(policy=PERMIT_ALL,
             service=f'[decision_point]\nurl = "http://127.0.0.1:{port}"') as one:
        point = start_cerbos(one.dir, port)
        one.programs.append(point)
        one.all_up()
        client = one.client()
        session = client.open_session()
        expect(ask(client, session)[0] == "permit", ask(client, session))
        decision, reason, _ = ask(client, session, "http:DELETE")
        expect((decision, reason) == ("deny", "decision_point_denied"),
               decision, reason)
        decision, _, _ = ask(client, session, resource="https://evil.example/")
        expect(decision == "deny", decision)
        # Several at once: what gathers while the TPM quotes is one batch, and
        # Cerbos offers evaluations.
        asked = [client.send("authorize", session_id=session, name=name,
                             resource="https://api.example/things",
                             purpose="testing")
                 for name in ["http:POST", "http:GET"] * 10]
        got = {}
        while len(got) < len(asked):
            number, kind, value = client.receive()
            got[number] = "deny" if kind == "error" else value["decision"]
        expect([got[n] for n in asked] == ["permit", "deny"] * 10, got)
        metrics = http(f"http://127.0.0.1:{port}/_cerbos/metrics")
        expect("AccessEvaluationBatch" in metrics, "no batch was sent")
        for outcome in ("permit", "deny"):
            check_audit(one, outcome)
        check_outage(one, client, session, point,
                     lambda: start_cerbos(one.dir, port))


def test_open_policy_agent_decides_over_its_own_api():
    port = free_port()
    with Rig(policy=PERMIT_ALL, service=f"""
[decision_point]
url = "http://127.0.0.1:{port}/v1/data/countersign/decision"
style = "opa"
""") as one:
        point = start_opa(one.dir, port)
        one.programs.append(point)
        one.all_up()
        client = one.client()
        session = client.open_session()
        expect(ask(client, session)[0] == "permit", ask(client, session))
        index = check_audit(one, "permit")
        decision, reason, detail = ask(client, session, "http:PUT")
        expect((decision, reason) == ("deny", "decision_point_denied") and
               "nobody allowed this" in detail, decision, reason, detail)
        check_audit(one, "deny")
        decision, _, _ = ask(client, session, "http:DELETE")
        expect(decision == "approval_required", decision)
        check_audit(one, "approval_required")
        shown = json.loads(one.authz("policy", "explain", index, "--json",
                                     "--config", one.toml))
        expect(shown["outcome"] == "permit" and
               shown["rule"] == "ask-the-point", shown)
        check_outage(one, client, session, point,
                     lambda: start_opa(one.dir, port))


if __name__ == "__main__":
    rig.main(globals())
