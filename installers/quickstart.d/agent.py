#!/usr/bin/python3
"""A small AI agent's act: reads an invoice and has it paid.

    agent.py --countersign PROGRAM --invoice FILE --payments URL --other URL
             --ca FILE --out DIR

Runs below `countersign run`, which gave it COUNTERSIGN_SOCKET and
COUNTERSIGN_SESSION. Reading the invoice stands for the model; everything else
is what any agent would do: ask for authorisation of exactly this request, then
send it with the grant and a DPoP proof. Afterwards it tries what must not work.

Writes DIR/{request.json,authorize.json,action.bundle,grant.jwt,receipt.jwt},
and DIR/agent.json: {"TRY": "STATUS REASON"}, HTTP status or exit code.
"""
import argparse
import json
import os
import pathlib
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request


def read_invoice(path):
    """What the model makes of the text."""
    text = path.read_text(encoding="utf-8")
    amount = re.search(r"Total due:\s*([\d.]+)\s*(\w{3})", text)
    return {
        "invoice": re.search(r"Invoice no\.\s*(\S+)", text)[1],
        "to": re.search(r"IBAN\s+([A-Z0-9 ]+)", text)[1].strip(),
        "amount": amount[1],
        "currency": amount[2],
    }


class Agent:
    def __init__(self, options):
        self.options = options
        self.session = os.environ["COUNTERSIGN_SESSION"]
        self.tls = ssl.create_default_context(cafile=options.ca)
        self.tries = {}

    def countersign(self, *arguments):
        """Runs the command; (exit code, its JSON answer)."""
        done = subprocess.run(
            [self.options.countersign, *arguments, "--json"],
            stdout=subprocess.PIPE, text=True, check=False)
        return done.returncode, json.loads(done.stdout or "{}")

    def authorize(self, name, resource, **files):
        arguments = ["authorize", "--session", self.session, "--name", name,
                     "--resource", resource, "--purpose", "pay invoices"]
        for flag, value in files.items():
            arguments += [f"--{flag.replace('_', '-')}", str(value)]
        return self.countersign(*arguments)

    def proof(self, uri, grant_file):
        return self.countersign(
            "dpop", "--session", self.session, "--method", "POST", "--uri",
            uri, "--grant-file", str(grant_file))

    def post(self, uri, body, headers):
        """(HTTP status, the answer's JSON)."""
        request = urllib.request.Request(uri, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, context=self.tls,
                                        timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except urllib.error.URLError as error:
            sys.exit(f"{uri} cannot be reached: {error.reason}")

    def note(self, what, status, answer):
        reason = answer.get("error", answer).get("reason") or ""
        if isinstance(reason, dict):  # A decision that names an error.
            reason = reason["reason"]
        self.tries[what] = f"{status} {reason}".strip()


def main():
    parser = argparse.ArgumentParser()
    for name in ("countersign", "invoice", "payments", "other", "ca", "out"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    out = pathlib.Path(options.out)
    agent = Agent(options)

    payment = read_invoice(pathlib.Path(options.invoice))
    body = json.dumps(payment, sort_keys=True).encode()
    (out / "request.json").write_bytes(body)
    print(f"read invoice {payment['invoice']}: {payment['amount']} "
          f"{payment['currency']} to {payment['to']}")

    parts = urllib.parse.urlsplit(options.payments)
    code, answer = agent.authorize(
        "http:POST", options.payments, request_file=out / "request.json",
        audience=f"{parts.scheme}://{parts.netloc}",
        bundle_out=out / "action.bundle", grant_out=out / "grant.jwt",
        receipt_out=out / "receipt.jwt")
    answer["session_id"] = agent.session
    for token in ("grant", "receipt"):  # Kept in files that are ours alone.
        answer.pop(token, None)
    (out / "authorize.json").write_text(json.dumps(answer, indent=1) + "\n")
    if code != 0:
        sys.exit(f"not authorised (exit code {code}): {json.dumps(answer)}")
    grant = (out / "grant.jwt").read_text().strip()

    code, answer = agent.proof(options.payments, out / "grant.jwt")
    if code != 0:
        sys.exit(f"no DPoP proof (exit code {code}): {json.dumps(answer)}")
    headers = {"Content-Type": "application/json",
               "Authorization": f"DPoP {grant}", "DPoP": answer["proof"]}
    agent.note("paid", *agent.post(options.payments, body, headers))
    agent.note("replayed", *agent.post(options.payments, body, headers))
    agent.note("without-proof", *agent.post(
        options.payments, body,
        {k: v for k, v in headers.items() if k != "DPoP"}))
    agent.note("other-audience", *agent.post(options.other, body, headers))

    # These two never get as far as a server.
    code, answer = agent.proof(options.other, out / "grant.jwt")
    agent.note("proof-for-other-audience", code, answer)
    code, answer = agent.authorize("http:DELETE", options.payments)
    agent.note("not-in-policy", code, answer)
    (out / "agent.json").write_text(json.dumps(agent.tries, indent=1) + "\n")


if __name__ == "__main__":
    main()
