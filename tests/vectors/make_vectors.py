#!/usr/bin/env python3
"""Independent vectors for the wire contract (docs/protocol.md): PAE digests, Merkle roots and paths, TPM Names.

Only hashlib. Run it to rewrite vectors.json; tests may carry the values.
"""
import hashlib, json, os, struct, base64

def sha(b): return hashlib.sha256(b).digest()
def pae(t, body):
    t = t.encode()
    return b"DSSEv1 %d %s %d %s" % (len(t), t, len(body), body)

def leaf(b): return sha(b"\x00" + b)
def node(l, r): return sha(b"\x01" + l + r)
def split(n):
    k = 1
    while k * 2 < n: k *= 2
    return k
def root(leaves):
    if not leaves: return sha(b"")
    if len(leaves) == 1: return leaves[0]
    k = split(len(leaves))
    return node(root(leaves[:k]), root(leaves[k:]))
def path(m, leaves):
    if len(leaves) == 1: return []
    k = split(len(leaves))
    if m < k: return path(m, leaves[:k]) + [root(leaves[k:])]
    return path(m - k, leaves[k:]) + [root(leaves[:k])]
def consistency(m, leaves, whole=True):
    n = len(leaves)
    if m == n: return [] if whole else [root(leaves)]
    k = split(n)
    if m <= k: return consistency(m, leaves[:k], whole) + [root(leaves[k:])]
    return consistency(m - k, leaves[k:], False) + [root(leaves[:k])]

TYPES = {n: f"application/vnd.countersign.{n}.v1+protobuf" for n in
         ("enrollment", "login", "session-binding", "action-request", "action", "action-batch", "ledger-entry")}
out = {"pae": [], "merkle": [], "names": [], "jwk": []}
for name, t in TYPES.items():
    for body in (b"", b"\x0a\x00", bytes(range(256)), b" 1 x"):
        out["pae"].append({"type": t, "body": body.hex(), "pae": pae(t, body).hex(), "digest": sha(pae(t, body)).hex()})
for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 32, 33, 1000):
    bodies = [struct.pack(">Q", i) * (1 + i % 5) for i in range(n)]
    leaves = [leaf(pae(TYPES["action"], b)) for b in bodies]
    picks = sorted({0, n // 2, n - 1})
    out["merkle"].append({
        "size": n, "body(i)": "u64be(i) repeated 1 + i % 5 times, as an action statement",
        "leaf_0": leaves[0].hex(), "root": root(leaves).hex(),
        "paths": {str(i): [h.hex() for h in path(i, leaves)] for i in picks},
        "consistency": {str(m): [h.hex() for h in consistency(m, leaves)] for m in picks if m > 0}})
ek, ak = b"ek-public-area", b"ak-public-area"
nm = lambda pub: b"\x00\x0b" + sha(pub)
qn = lambda parent, name: b"\x00\x0b" + sha(parent + name)
out["names"].append({"ek_public": ek.hex(), "ak_public": ak.hex(), "ek_name": nm(ek).hex(), "ak_name": nm(ak).hex(),
                     "ek_qualified_name": qn(bytes.fromhex("4000000b"), nm(ek)).hex(),
                     "ak_qualified_name": qn(qn(bytes.fromhex("4000000b"), nm(ek)), nm(ak)).hex()})
b64 = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=").decode()
x, y = sha(b"x"), b"\x00" * 2 + sha(b"y")[:30]
jwk = '{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}' % (b64(x), b64(y))
out["jwk"].append({"x": x.hex(), "y": y.hex(), "thumbprint_input": jwk, "jkt": b64(sha(jwk.encode()))})
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors.json"), "w") as f:
    json.dump(out, f, indent=1)
