#!/usr/bin/python3
"""installers/quickstart does what it says, as root and as anybody."""
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

import rig
from rig import expect


def processes():
    """Command lines of everything that runs, by pid."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[entry.name] = (entry / "cmdline").read_bytes().replace(
                    b"\0", b" ").decode(errors="replace")
            except OSError:
                pass
    return found


def quickstart(folder, *more, prefix=()):
    return subprocess.run(
        [*prefix, str(rig.SOURCE / "installers/quickstart"), "--dir",
         str(folder), "--build-dir", str(rig.BIN.parent), *more],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=240)


def check(done, folder):
    expect(done.returncode == 0, done.stdout[-3000:], done.stderr[-3000:])
    result = json.loads((folder / "result.json").read_text())
    expect(set(result) == {"device_id", "session_id", "action_digest",
                           "decision", "ledger_index", "bundle", "grant",
                           "receipt"}, result)
    expect(result["decision"] == "permit", result)
    for name in ("bundle", "grant", "receipt"):
        expect((folder / result[name]).stat().st_size > 100, name)
    verified = subprocess.run(
        [str(rig.BIN / "countersign"), "verify",
         str(folder / result["bundle"]), "--trust", str(folder / "trust"),
         "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False)
    expect(verified.returncode == 0, verified.stdout)
    for words in ("accepted with grant and DPoP proof", "again: refused",
                  "without a proof: refused", "another server: refused"):
        expect(words in done.stdout.replace("at another", "another"), words,
               "is not in", done.stdout)
    check_secrecy(folder, (folder / result[name]
                           for name in ("grant", "receipt")))
    left = {p: c for p, c in processes().items() if str(folder) in c}
    expect(not left, "still running:", left)


def check_secrecy(folder, tokens):
    """No token is in a file that others may read."""
    tokens = [token.read_bytes().strip() for token in tokens]
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_mode & 0o044:
            expect(not any(token in path.read_bytes() for token in tokens),
                   path, "shows a token")


def test_quickstart_as_root_separates_accounts():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="countersign-qs."))
    folder.chmod(0o755)
    out = folder / "it's here"  # A name that a shell has to be given quoted.
    try:
        done = quickstart(out)
        check(done, out)
        if os.geteuid() == 0:
            owners = {pwd.getpwuid((out / name).stat().st_uid).pw_name
                      for name in ("agent/state", "authz")}
            expect(owners == {"countersign", "countersign-authz"}, owners)
    finally:
        shutil.rmtree(folder)


def test_quickstart_under_one_account():
    if os.geteuid() != 0:
        raise rig.Skip("the test before this one was that")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="countersign-qs."))
    # Not nobody: that is how the kernel shows users of other namespaces.
    somebody = pwd.getpwnam("daemon")
    os.chown(folder, somebody.pw_uid, somebody.pw_gid)
    # The source tree may be where only root can go.
    tree = folder / "tree"
    shutil.copytree(rig.SOURCE / "installers", tree / "installers")
    shutil.copytree(rig.SOURCE / "tests/fakes", tree / "tests/fakes")
    shutil.copytree(rig.BIN, tree / "build/bin")
    out = folder / "out"
    out.mkdir()
    os.chown(out, somebody.pw_uid, somebody.pw_gid)
    try:
        done = subprocess.run(
            ["setpriv", f"--reuid={somebody.pw_uid}",
             f"--regid={somebody.pw_gid}", "--clear-groups",
             str(tree / "installers/quickstart"), "--dir", str(out),
             "--build-dir", str(tree / "build")],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, timeout=240,
            env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TMPDIR": "/tmp"})
        check(done, out)
        expect("under daemon" in done.stdout, done.stdout)
    finally:
        shutil.rmtree(folder)


def test_quickstart_keeps_running_and_stops_when_asked():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="countersign-qs."))
    try:
        done = quickstart(folder, "--keep")
        expect(done.returncode == 0, done.stdout[-3000:], done.stderr[-3000:])
        status = subprocess.run(
            [str(folder / "bin/countersign"), "--socket",
             str(folder / "run/agent/agent.sock"), "status", "--json"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False)
        expect(status.returncode == 0, status.stdout, status.stderr)
        expect(json.loads(status.stdout)["enrolled"], status.stdout)
        subprocess.run([str(folder / "stop")], check=True,
                       stdin=subprocess.DEVNULL)
        left = {p: c for p, c in processes().items() if str(folder) in c}
        expect(not left, "still running:", left)
    finally:
        subprocess.run([str(folder / "stop")], check=False)
        shutil.rmtree(folder)


def check_refusal(folder, sentence, *more):
    """A quickstart below `folder`, whose build has no programs, fails with
    that sentence and leaves nothing behind that runs."""
    (folder / "bin").mkdir()
    done = subprocess.run(
        [str(rig.SOURCE / "installers/quickstart"), "--dir",
         str(folder / "out"), "--build-dir", str(folder), *more],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=120)
    expect(done.returncode == 1, done.returncode)
    expect(sentence in done.stderr, done.stderr)
    left = {p: c for p, c in processes().items() if str(folder) in c}
    expect(not left, "still running:", left)


def test_quickstart_says_clearly_what_failed():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="countersign-qs."))
    try:
        folder.chmod(0o755)
        check_refusal(folder, "lacks countersignd")
    finally:
        shutil.rmtree(folder)


def test_quickstart_names_a_missing_tpm():
    if os.path.exists("/dev/tpmrm0"):
        raise rig.Skip("this machine has a TPM")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="countersign-qs."))
    try:
        folder.chmod(0o755)
        check_refusal(folder, "there is no /dev/tpmrm0", "--tpm", "device")
    finally:
        shutil.rmtree(folder)


def test_quickstart_refuses_a_folder_that_its_accounts_may_not_enter():
    if os.geteuid() != 0:
        raise rig.Skip("only root runs it under several accounts")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="countersign-qs."))
    try:
        check_refusal(folder, "may not enter")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    rig.main(globals())
