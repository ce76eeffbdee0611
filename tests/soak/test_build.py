"""A kernel-style build: several hundred C files in folders, dependency files, archives, one link; then what is made again, and what not."""

import os

from conftest import needs_fuse
from programs import needs, run, same_trees

pytestmark = [needs_fuse, needs("gcc", "make", "rsync")]
FOLDERS, FILES = 20, 20

MAKEFILE = """
CFLAGS := -O1 -g -MMD -MP -Iinclude
SOURCES := $(wildcard d*/*.c)
ARCHIVES := $(patsubst %/,%.a,$(wildcard d*/))
all: program
program: main.o $(ARCHIVES)
\t$(CC) -o $@ main.o -Wl,--start-group $(ARCHIVES) -Wl,--end-group
.SECONDARY:
.SECONDEXPANSION:
d%.a: $$(addsuffix .o,$$(basename $$(wildcard d$$*/*.c)))
\trm -f $@ && ar rcsD $@ $^
%.o: %.c
\t$(CC) $(CFLAGS) -c -o $@ $<
-include $(SOURCES:.c=.d) main.d
"""


def make_tree(top):
    os.makedirs(top + "/include")
    names = [f"f{d}_{f}" for d in range(FOLDERS) for f in range(FILES)]
    for d in range(FOLDERS):
        os.mkdir(f"{top}/d{d}")
        with open(f"{top}/include/h{d}.h", "w") as h:
            h.write("#include <stdio.h>\n#include <string.h>\n" + "".join(f"long f{d}_{f}(long);\n" for f in range(FILES)))
        for f in range(FILES):
            with open(f"{top}/d{d}/f{f}.c", "w") as c:
                c.write(f'#include "h{d}.h"\n#include "h{(d + 1) % FOLDERS}.h"\nlong f{d}_{f}(long x) {{ return x + {d * FILES + f}; }}\n')
    with open(top + "/main.c", "w") as c:
        c.write("".join(f'#include "h{d}.h"\n' for d in range(FOLDERS)) + "int main(void) { long x = 0;\n"
                + "".join(f"x = {n}(x);\n" for n in names) + 'printf("%ld\\n", x); return 0; }\n')
    with open(top + "/Makefile", "w") as m:
        m.write(MAKEFILE)


def test_build(mounted):
    top, plain = mounted.path("tree"), mounted.box.path("plain")
    total = FOLDERS * FILES
    for tree in (top, plain):
        make_tree(tree)
        assert run("make", "-j4", cwd=tree).count(" -c -o ") == total + 1
        assert run(tree + "/program") == f"{total * (total - 1) // 2}\n"
    assert same_trees(plain, top, "--no-times", "--exclude=*.o", "--exclude=*.a", "--exclude=program") == ""
    assert "Nothing to be done" in run("make", cwd=top)
    mounted.remount()
    assert "Nothing to be done" in run("make", cwd=top)
    os.utime(top + "/include/h3.h")
    assert run("make", "-j4", cwd=top).count(" -c -o ") == 2 * FILES + 1, "those that include it"
    run("strip", "program", cwd=top)
    assert run(top + "/program") == f"{total * (total - 1) // 2}\n"
