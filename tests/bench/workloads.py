"""The workloads of the comparison. Each takes a mounted, writable directory and returns a figure of which more is better."""

import json
import os
import shutil
import subprocess
import tarfile
import time

TREE_SOURCES = ["usr/include", "usr/lib/python3", "usr/share/perl", "usr/share/doc"]


def shell(command):
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def drop_caches():
    shell("sync; echo 3 > /proc/sys/vm/drop_caches")


class Workloads:
    """State that the workloads share: the size of the big file in MiB and the tar file of a source-like tree."""

    def __init__(self, size, tar):
        self.size, self.tar = size, tar

    def make_tar(self):
        if not os.path.exists(self.tar):
            present = [s for s in TREE_SOURCES if os.path.isdir("/" + s)]
            shell(f"tar cf {self.tar}.tmp -C / {' '.join(present)} && mv {self.tar}.tmp {self.tar}")
        with tarfile.open(self.tar) as tar:
            return sum(1 for _ in tar), os.path.getsize(self.tar) >> 20

    def fio(self, directory, filename, **options):
        args = ["fio", "--output-format=json", f"--directory={directory}", "--name=w", "--ioengine=psync",
                "--fallocate=none", f"--filename={filename}", f"--size={self.size}M", "--bs=4k", "--norandommap=1",
                "--randrepeat=1", *(f"--{k}={v}" for k, v in options.items())]
        text = subprocess.run(args, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
        return json.loads(text[text.index("{"):])["jobs"][0]

    def seqwrite(self, d):
        start = time.time()
        shell(f"dd if=/dev/zero of={d}/seq bs=1M count={self.size} conv=fsync")
        return self.size / (time.time() - start)

    def need_seq(self, d):
        if not os.path.exists(f"{d}/seq"):
            self.seqwrite(d)

    def seqread_cold(self, d):
        self.need_seq(d)
        drop_caches()
        start = time.time()
        shell(f"dd if={d}/seq of=/dev/null bs=1M")
        return self.size / (time.time() - start)

    def seqread_par2(self, d):
        for i in (0, 1):
            if not os.path.exists(f"{d}/seq{i}"):
                shell(f"dd if=/dev/urandom of={d}/seq{i} bs=1M count={self.size // 2} conv=fsync")
        drop_caches()
        start = time.time()
        shell(f"dd if={d}/seq0 of=/dev/null bs=1M & dd if={d}/seq1 of=/dev/null bs=1M; wait")
        return self.size / (time.time() - start)

    def randread4k(self, d):
        self.need_seq(d)
        drop_caches()
        job = self.fio(d, "seq", rw="randread", io_size=f"{self.size // 8}M", fadvise_hint="random")
        return job["read"]["iops"]

    def randwrite4k(self, d):
        self.need_seq(d)
        job = self.fio(d, "seq", rw="randwrite", io_size=f"{self.size // 8}M", end_fsync=1)
        return job["write"]["io_bytes"] / 4096 / (job["job_runtime"] / 1000)

    def fsync4k(self, d):
        self.need_seq(d)
        return self.fio(d, "seq", rw="randwrite", io_size="4M", fdatasync=1)["write"]["iops"]

    def untar(self, d):
        shutil.rmtree(f"{d}/tree", ignore_errors=True)
        os.mkdir(f"{d}/tree")
        start = time.time()
        shell(f"tar xf {self.tar} -C {d}/tree")
        shell(f"sync -f {d}")
        return 1 / (time.time() - start)

    def need_tree(self, d):
        if not os.path.exists(f"{d}/tree"):
            self.untar(d)

    def timed_on_tree(self, d, command, cold):
        self.need_tree(d)
        if cold:
            drop_caches()
        start = time.time()
        shell(command.format(tree=f"{d}/tree"))
        return 1 / (time.time() - start)

    def lslr_cold(self, d):
        return self.timed_on_tree(d, "ls -lR {tree}", cold=True)

    def lslr_warm(self, d):
        self.timed_on_tree(d, "ls -lR {tree}", cold=False)
        return self.timed_on_tree(d, "ls -lR {tree}", cold=False)

    def md5_cold(self, d):
        return self.timed_on_tree(d, "find {tree} -type f -print0 | xargs -0 md5sum", cold=True)

    def rmrf(self, d):
        return self.timed_on_tree(d, "rm -rf {tree}", cold=False)

    def create(self, d):
        """5,000 files of 4 KiB: created, written, closed."""
        path, block, count = f"{d}/cr", os.urandom(4096), 5000
        shutil.rmtree(path, ignore_errors=True)
        os.mkdir(path)
        start = time.time()
        for i in range(count):
            fd = os.open(f"{path}/file-{i:06d}", os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o644)
            os.write(fd, block)
            os.close(fd)
        rate = count / (time.time() - start)
        shutil.rmtree(path)
        return rate


UNITS = {"seqwrite": "MiB/s", "seqread_cold": "MiB/s", "seqread_par2": "MiB/s", "randread4k": "IOPS",
         "randwrite4k": "IOPS", "fsync4k": "IOPS", "untar": "1/s", "lslr_cold": "1/s", "lslr_warm": "1/s",
         "md5_cold": "1/s", "rmrf": "1/s", "create": "files/s"}
