#!/usr/bin/env python3
"""Run the unit programs, the integration tests or the soak tests and close with one line: N passed, N failed, N skipped.

usage: run.py --build DIR [--only NAME]... [--valgrind] {unit,integration,soak}...
"""

import argparse
import concurrent.futures
import glob
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

UNIT_LIMIT = 900  # seconds for one program; a hang is a failure, with its name
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=0:exitcode=98:second_deadlock_stack=1",
}
VALGRIND = ["valgrind", "--quiet", "--error-exitcode=97", "--leak-check=full", "--errors-for-leak-kinds=definite"]


def wanted(name, only):
    return not only or any(name.startswith(o) for o in only)


def run_unit(program, prefix, env):
    """(passed, failed, skipped) of one cmocka program; a crash or a sanitizer's exit counts as one failure more."""
    start = time.monotonic()
    try:
        done = subprocess.run(prefix + [program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env,
                              timeout=UNIT_LIMIT * (10 if prefix else 1))
        text, code = done.stdout.decode(errors="replace"), done.returncode
    except subprocess.TimeoutExpired as late:
        text, code = (late.stdout or b"").decode(errors="replace") + "\ntimed out", 96
    def total(pattern):
        return sum(int(n) for n in re.findall(pattern, text))

    passed = total(r"\[  PASSED  \] (\d+) test")
    skipped = total(r"\[  SKIPPED \] (\d+) test")
    failed = total(r"(\d+) FAILED TEST")
    if code != 0 and failed == 0:
        failed = 1
    if passed + failed + skipped == 0:
        failed = 1  # a program that ran no test proves nothing
    name = os.path.basename(program)
    said = [f"{'ok  ' if failed == 0 else 'FAIL'} {name}: {passed} passed, {failed} failed, {skipped} skipped"
            f" ({time.monotonic() - start:.1f} s)"]
    if failed:
        said.append(text if len(text) < 20000 else text[:4000] + "\n[...]\n" + text[-16000:])
        said.append(f"{name} ended with {code}; again with: {program}")
    said += ["     " + line for line in re.findall(r"^skip: .*$", text, re.M)]
    print("\n".join(said), flush=True)  # at once: programs run side by side
    return passed, failed, skipped


def unit(args, env):
    totals = [0, 0, 0]
    known = {os.path.basename(p)[:-2] for p in glob.glob("tests/unit/test_*.c")}
    programs = [p for p in sorted(glob.glob(os.path.join(args.build, "tests/unit/test_*")))
                if os.path.basename(p) in known and wanted(os.path.basename(p), args.only)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for counts in pool.map(lambda p: run_unit(p, VALGRIND if args.valgrind else [], env), programs):
            totals = [a + b for a, b in zip(totals, counts)]
    return totals


def parallel():
    """pytest's options that share the files out among the processors, where python3-pytest-xdist is installed."""
    return ["-n", str(os.cpu_count()), "--dist", "loadfile"] if importlib.util.find_spec("xdist") else []


def run_pytest(args, env, folder, options):
    """(passed, failed, skipped) of the test files in @folder."""
    files = [f for f in sorted(glob.glob(f"{folder}/test_*.py")) if wanted(os.path.basename(f), args.only)]
    if not files:
        return [0, 0, 0]
    env = dict(env, SIGNETFS=os.path.abspath(os.path.join(args.build, "signetfs")), PYTHONDONTWRITEBYTECODE="1")
    # A place of this run's own: another run's pytest would close the common one to the ordinary users that tests act as.
    base = tempfile.mkdtemp(prefix="tests-")
    run = subprocess.Popen([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-ra", "--basetemp", f"{base}/t",
                            *options, *files], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    last = ""
    for raw in run.stdout:
        line = raw.decode(errors="replace")
        sys.stdout.write(line)
        sys.stdout.flush()
        if re.search(r"\d+ (passed|failed|skipped|error)", line):
            last = line
    code = run.wait()
    if code == 0:
        shutil.rmtree(base, ignore_errors=True)
    else:
        print(f"what the tests left is in {base}")

    def count(word):
        found = re.search(r"(\d+) " + word, last)
        return int(found.group(1)) if found else 0

    failed = count("failed") + count("error")
    return [count("passed"), failed if failed or code == 0 else 1, count("skipped")]


def integration(args, env):
    return run_pytest(args, env, "tests/integration", ["-q", "--durations=10", *parallel()])


def soak(args, env):
    """Long tests; each is named as it starts."""
    return run_pytest(args, env, "tests/soak", ["-v", "--durations=0"])


KINDS = {"unit": unit, "integration": integration, "soak": soak}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--valgrind", action="store_true")
    parser.add_argument("kinds", nargs="+", choices=list(KINDS))
    args = parser.parse_args()
    env = dict(os.environ, **{k: v for k, v in SANITIZER_ENV.items() if k not in os.environ})
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
        env.pop(name, None)  # the makes that tests run are nobody's children
    totals = [0, 0, 0]
    for kind in args.kinds:
        for i, n in enumerate(KINDS[kind](args, env)):
            totals[i] += n
    print("{} passed, {} failed, {} skipped".format(*totals))
    return 1 if totals[1] or totals[0] == 0 else 0


sys.exit(main())
