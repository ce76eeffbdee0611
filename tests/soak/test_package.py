"""A Debian source package, fetched with apt-get and built with dpkg-buildpackage by an ordinary user, in the mount and beside it."""

import os
import re
import subprocess

import pytest

from as_user import USER, needs_root
from conftest import Mounted, needs_fuse
from people import let_in
from programs import needs, run

pytestmark = [needs_fuse, needs_root, needs("apt-get", "dpkg-buildpackage", "dh", "fakeroot")]
PACKAGE, KEYRING = "hello", "/usr/share/keyrings/debian-archive-keyring.gpg"


def source_line():
    """deb-src for where this machine's own release comes from."""
    with open("/etc/os-release") as f:
        codename = re.search(r"^VERSION_CODENAME=(\w+)", f.read(), re.M)
    targets = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Identifier: Packages"],
                             stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    for uri, name, component in map(str.split, targets):
        if codename and name == codename.group(1) and component == "main":
            signed = f"[signed-by={KEYRING}] " if os.path.exists(KEYRING) else ""
            return f"deb-src {signed}{uri} {name} main\n"
    pytest.skip("apt-get knows of no Debian release to take sources from")


def apt(box):
    """apt-get with lists of its own, so that the machine's stay as they are."""
    top = box.path("apt")
    os.makedirs(top + "/lists/partial")
    os.makedirs(top + "/cache/archives/partial")
    with open(top + "/sources.list", "w") as f:
        f.write(source_line())
    words = ["apt-get", "-qq", "-o", f"Dir::Etc::SourceList={top}/sources.list", "-o", "Dir::Etc::SourceParts=/dev/null",
             "-o", f"Dir::State::Lists={top}/lists", "-o", f"Dir::Cache={top}/cache"]
    done = subprocess.run([*words, "update"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    if done.returncode:
        pytest.skip("no package server: " + done.stdout.strip()[-500:])
    subprocess.run(["chmod", "-R", "a+rwX", top], check=True)
    return words


def as_builder(place, *words):
    env = {"PATH": os.environ["PATH"], "HOME": place, "LC_ALL": "C.UTF-8"}
    return run(*words, cwd=place, limit=1800, env=env, user=USER, group=USER, extra_groups=[])


def built(place, words):
    """Fetch, unpack and build; what is in the packages, and what the program says."""
    os.mkdir(place)
    os.chown(place, USER, USER)
    as_builder(place, *words, "source", PACKAGE)
    tree = next(e.path for e in os.scandir(place) if e.is_dir() and e.name.startswith(PACKAGE + "-"))
    as_builder(tree, "dpkg-buildpackage", "-us", "-uc", "-b", "-d", "-j2")
    packages = sorted(e.name for e in os.scandir(place) if e.name.endswith(".deb"))
    lists = [as_builder(place, "dpkg-deb", "--contents", name) for name in packages]
    as_builder(place, "dpkg-deb", "-x", next(p for p in packages if p.startswith(PACKAGE + "_")), "unpacked")
    said = as_builder(place, f"{place}/unpacked/usr/bin/{PACKAGE}")
    as_builder(tree, "debian/rules", "clean")
    return packages, lists, said


def test_package_is_built_in_the_mount_as_beside_it(kms_box):
    words = apt(kms_box)
    m = Mounted(kms_box, "-o", "allow_other")
    os.chmod(m.point, 0o755)
    let_in(m.point)
    beside = built(kms_box.path("plain"), words)
    inside = built(m.path("build"), words)
    assert inside == beside
    assert inside[2] == "Hello, world!\n" and len(inside[0]) >= 1
    m.remount("-o", "allow_other")
    assert as_builder(m.path("build"), m.path("build/unpacked/usr/bin/hello")) == inside[2]
