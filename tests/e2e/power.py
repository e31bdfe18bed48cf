#!/usr/bin/python3
"""The power goes out: what was not on the disk is gone, what was
acknowledged is not."""
import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import time

import rig
from crash import Load, check_books
from rig import Rig, expect, until

RANDOM = random.Random(3)
CUTS = 8


def run(*command):
    subprocess.run([str(c) for c in command], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


class Disk:
    """An ext4 file system in a file. Cutting its power keeps what had been
    written through to the file and loses what the kernel still held back."""

    def __init__(self, folder):
        self.image, self.at = folder / "disk.img", folder / "disk"
        self.at.mkdir()
        run("truncate", "-s", "64M", self.image)
        # No journal thread of its own pace: commits come from fsync alone.
        run("mkfs.ext4", "-q", "-F", self.image)
        self.mount()

    def mount(self):
        rig.mount("-o", "loop,commit=300,noatime", self.image, self.at)

    def cut(self, programs):
        """What the disk holds at one instant becomes the disk."""
        kept = self.image.with_suffix(".kept")
        for program in programs:
            program.signal(signal.SIGSTOP)
        digest = None
        while digest != (digest := self.digest()):
            shutil.copyfile(self.image, kept)
        for program in programs:
            program.kill9()
        run("umount", self.at)
        kept.replace(self.image)
        self.mount()

    def digest(self):
        with open(self.image, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def remove(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            run("umount", "-l", self.at)


def test_a_power_cut_loses_nothing_that_was_acknowledged():
    # F03: laptop and service lose power together, again and again; the TPM
    # starts anew as well.
    with Rig() as one:
        disk = Disk(one.dir)
        try:
            one.store, one.state = disk.at / "store", disk.at / "state"
            one.all_up()
            os.sync()  # What this test itself wrote, such as the policy.
            load = Load(one)
            for _ in range(CUTS):
                time.sleep(RANDOM.uniform(0.3, 1.2))
                disk.cut([one.daemon, one.service])
                one.uplink.kill9()
                run(rig.SWTPM, "reboot", one.dir / "tpm")
                run(rig.SWTPM, "extend", one.dir / "tpm")
                one.start_service()
                one.start_agent()
            before = len(load.permits)
            until(lambda: len(load.permits) > before + 20, 90,
                  "permits again")
            load.stop()
            expect(before > 0, "nothing was permitted between the cuts")
            check_books(one, load.permits)
        finally:
            for program in one.programs:
                program.kill9()
            disk.remove()


if __name__ == "__main__":
    rig.main(globals())
