#!/usr/bin/env python3
"""make_event_log.py PATH: the same as make-event-log, with Python alone.

Writes a small TCG event log (crypto agile, sha256 bank) to PATH and prints a
line `PCR SHA256` for each measurement, in order, to extend a software TPM
with:

    make_event_log.py log.bin | while read pcr hash; do
      tpm2_pcrextend "$pcr:sha256=$hash"; done

Written apart from event_log_builder.cc; a test holds the two equal.
"""
import hashlib
import struct
import sys

NO_ACTION, SEPARATOR, POST_CODE, S_CRTM_VERSION = 3, 4, 1, 8
VARIABLE_DRIVER_CONFIG, VARIABLE_BOOT = 0x80000001, 0x80000002
BOOT_SERVICES_APPLICATION, ACTION = 0x80000003, 0x80000007
SHA256 = 0x000B
GLOBAL_VARIABLE = bytes.fromhex("61dfe48bca93d211aa0d00e098032b8c")


def utf16(text):
    return text.encode("utf-16-le")


def variable(name, value):
    return (GLOBAL_VARIABLE + struct.pack("<QQ", len(name), len(value))
            + utf16(name) + value)


def measured():
    """(pcr, type, data, what is hashed), in order."""
    def plain(pcr, kind, data):
        return pcr, kind, data, data

    yield plain(0, S_CRTM_VERSION, utf16("Countersign software TPM 1"))
    yield plain(0, POST_CODE, b"POST CODE")
    yield plain(1, VARIABLE_BOOT, variable("BootOrder", b"\0\0"))
    yield plain(7, VARIABLE_DRIVER_CONFIG, variable("SecureBoot", b"\1"))
    yield plain(7, VARIABLE_DRIVER_CONFIG, variable("PK", b""))
    yield plain(7, VARIABLE_DRIVER_CONFIG, variable("KEK", b""))
    yield plain(4, ACTION, b"Calling EFI Application from Boot Option")
    for pcr in range(8):
        yield plain(pcr, SEPARATOR, b"\0\0\0\0")
    yield (4, BOOT_SERVICES_APPLICATION, b"\\EFI\\BOOT\\BOOTX64.EFI",
           b"a boot loader")
    yield plain(5, ACTION, b"Exit Boot Services Invocation")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: make_event_log.py PATH")
    spec_id = (b"Spec ID Event03\0" + struct.pack("<IBBBB", 0, 0, 2, 0, 2)
               + struct.pack("<IHHB", 1, SHA256, 32, 0))
    log = struct.pack("<II20sI", 0, NO_ACTION, b"", len(spec_id)) + spec_id
    for pcr, kind, data, hashed in measured():
        digest = hashlib.sha256(hashed).digest()
        log += struct.pack("<IIIH32sI", pcr, kind, 1, SHA256, digest, len(data))
        log += data
        print(pcr, digest.hex())
    with open(sys.argv[1], "wb") as file:
        file.write(log)


main()
