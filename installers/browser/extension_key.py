"""The key that an extension is signed with, and the id that follows from it."""
import hashlib
import subprocess

DEVELOPMENT_ID = "cfdnpmjhnmppnlkakfnhhinljjgkjeck"  # Of development.pem.


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=data,
                          check=True, capture_output=True).stdout


def public_key(pem):
    """DER SubjectPublicKeyInfo of the private key in the file `pem`."""
    return openssl("rsa", "-in", pem, "-pubout", "-outform", "DER")


def sign(pem, data):
    """RSASSA-PKCS1-v1_5 with SHA-256."""
    return openssl("dgst", "-sha256", "-sign", pem, data=data)


def extension_id(public):
    """Chromium's id: 32 hex digits of the key's hash, written a to p."""
    digits = hashlib.sha256(public).hexdigest()[:32]
    return "".join(chr(ord("a") + int(d, 16)) for d in digits)
