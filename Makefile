# signetfs: GNU make, out-of-tree build.  `make help` lists the targets.
#
# Options (make NAME=VALUE):
#   O=DIR          build directory                              (build)
#   CC=CC          compiler                                     (gcc)
#   WERROR=1       warnings are errors                          (0)
#   SANITIZE=LIST  address,undefined or thread                  (none)
#   LTO=1          link-time optimisation                       (0)
#   IPSEC_MB=0|1   fast AES-GCM through intel-ipsec-mb          (1 where the header is installed)
#   PREFIX=DIR     where install puts things                    (/usr/local)
#   DESTDIR=DIR    staging root for packagers                   (none)
#   HELPERS=DIR    where install puts mount(8)'s helpers        (/sbin for PREFIX /usr and /usr/local, else PREFIX/sbin)
#   T=NAME         check-unit, check-integration, soak: only this one (all)

O       ?= build
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
PREFIX  ?= /usr/local
PYTHON  ?= /usr/bin/python3
VERSION := 0.1.0

PACKAGES := build-essential pkg-config libfuse3-dev fuse3 libssl-dev libsqlite3-dev libinih-dev libcurl4-openssl-dev libmicrohttpd-dev \
            libjansson-dev uthash-dev
FAST_PACKAGES := libipsec-mb-dev
TEST_PACKAGES := libcmocka-dev python3-pytest python3-pytest-xdist python3-boto3 python3-cryptography awscli sqlite3 git rsync attr acl tar btrfs-progs fio dbench stress-ng postgresql strace chromium python3-prometheus-client
# Wanted as commands: nodesource's nodejs brings an npm of its own, and Debian's package cannot stand beside it.
TEST_TOOLS := node=nodejs npm=npm
SOAK_PACKAGES := dpkg-dev debhelper fakeroot texinfo
LIBS := fuse3 libcrypto sqlite3 inih libcurl libmicrohttpd jansson

ROOMS := kms/base kms/store kms/rootkey kms/policy kms/engine kms/wire kms/customer kms keycache fs/format fs/vault fs/reencrypt fs/restore fs/fsck fs/report fs/fuse fs/drill fs/cli

PKG_CFLAGS := $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(LIBS) 2>/dev/null) -lm

IPSEC_MB ?= $(if $(wildcard /usr/include/intel-ipsec-mb.h),1,0)
ifeq ($(IPSEC_MB),1)
  FEATURES += -DHAVE_IPSEC_MB=1
  PKG_LIBS += -lIPSec_MB
endif

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion \
            -Wno-sign-conversion -Wvla -Wundef -Wformat=2 $(if $(filter 1,$(WERROR)),-Werror)
HARDENING := -fstack-protector-strong -fPIE $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)
OPTIMISE := -O2 -g $(if $(filter 1,$(LTO)),-flto=auto) $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer)
SIGNETFS_CFLAGS := -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFUSE_USE_VERSION=314 -DSIGNETFS_VERSION='"$(VERSION)"' \
            -I. $(PKG_CFLAGS) $(FEATURES) $(WARNINGS) $(HARDENING) $(OPTIMISE) $(CFLAGS)
SIGNETFS_LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--as-needed -pthread $(OPTIMISE) $(LDFLAGS)

SOURCES   := $(foreach r,$(ROOMS),$(wildcard $(r)/*.c))
OBJECTS   := $(SOURCES:%.c=$(O)/%.o)
MAIN      := $(O)/fs/cli/main.o
SUPPORT   := $(patsubst %.c,$(O)/%.o,$(wildcard tests/support/*.c))
TESTS     := $(patsubst tests/unit/%.c,$(O)/tests/unit/%,$(wildcard tests/unit/test_*.c))
ARCHIVE   := $(O)/libsignetfs.a

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all
all: $(O)/signetfs ## build the one binary, build/signetfs

# The stamp changes when the flags do, so every object is rebuilt exactly then.
FLAGS_TEXT := $(CC) $(SIGNETFS_CFLAGS) $(SIGNETFS_LDFLAGS) $(PKG_LIBS)
$(O)/flags: FORCE | $(O)
	@printf '%s\n' '$(subst ','\'',$(FLAGS_TEXT))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(FLAGS_TEXT))' > $@
$(O):
	@mkdir -p $@
.PHONY: FORCE
FORCE:

$(O)/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	@printf '  CC    %s\n' $<
	@$(CC) $(SIGNETFS_CFLAGS) -MMD -MP -c -o $@ $<

$(ARCHIVE): $(filter-out $(MAIN),$(OBJECTS))
	@printf '  AR    %s\n' $@
	@rm -f $@ && ar rcs $@ $^

$(O)/signetfs: $(MAIN) $(ARCHIVE)
	@printf '  LINK  %s\n' $@
	@$(CC) $(SIGNETFS_LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(O)/tests/unit/%: $(O)/tests/unit/%.o $(SUPPORT) $(ARCHIVE)
	@printf '  LINK  %s\n' $@
	@$(CC) $(SIGNETFS_LDFLAGS) -o $@ $(filter %.o,$^) $(ARCHIVE) $(PKG_LIBS) -lcmocka

# signetfs with things broken on purpose (tests/mutants/mutants.c): the lines that begin with WRAP name the functions that are replaced.
MUTANTS := $(O)/tests/mutants/signetfs
$(MUTANTS): $(O)/tests/mutants/mutants.o $(MAIN) $(ARCHIVE)
	@printf '  LINK  %s\n' $@
	@$(CC) $(SIGNETFS_LDFLAGS) $(shell sed -n '/^WRAP/s/[^,]*, \([a-z_]*\),.*/-Wl,--wrap=\1/p' tests/mutants/mutants.c) -o $@ $^ $(PKG_LIBS)

# The benchmark's pass-through: the adapter over a plain directory (tests/bench/*.c replaces fs/vault), no cryptography.
PASSTHROUGH := $(O)/tests/bench/passthrough
$(PASSTHROUGH): $(patsubst %.c,$(O)/%.o,$(filter-out tests/bench/kms_%.c,$(wildcard tests/bench/*.c))) $(ARCHIVE)
	@printf '  LINK  %s\n' $@
	@$(CC) $(SIGNETFS_LDFLAGS) -o $@ $(filter %.o,$^) $(ARCHIVE) $(PKG_LIBS)

# Programs of one file each: load on a KMS.
$(O)/tests/bench/kms_%: $(O)/tests/bench/kms_%.o $(ARCHIVE)
	@printf '  LINK  %s\n' $@
	@$(CC) $(SIGNETFS_LDFLAGS) -o $@ $^ $(PKG_LIBS)

# Fuzzers, with clang's libFuzzer: each for FUZZ_TIME seconds from its seeds, as many at once as there are processors.
FUZZ_TIME ?= 60
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
$(O)/tests/fuzz/fuzz_%: $(O)/tests/fuzz/fuzz_%.o $(ARCHIVE)
	@printf '  LINK  %s\n' $@
	@$(CC) $(SIGNETFS_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS)

.PHONY: fuzzers fuzz
fuzzers: $(FUZZERS:%=$(O)/tests/fuzz/fuzz_%)
fuzz: ## fuzz parsers with libFuzzer, FUZZ_TIME=60 seconds each (needs clang)
	@$(MAKE) --no-print-directory O=$(O)-fuzz CC=clang SANITIZE=address,undefined,fuzzer-no-link fuzzers
	@printf '%s\n' $(FUZZERS) | xargs -P $(shell nproc) -I{} sh -c 'd=$(O)-fuzz/corpus/{}; mkdir -p $$d; \
	  if $(O)-fuzz/tests/fuzz/fuzz_{} -max_total_time=$(FUZZ_TIME) -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 \
	  -artifact_prefix=$(O)-fuzz/crash-{}- $$d tests/fuzz/seeds/{} >$$d.log 2>&1; \
	  then printf "ok   fuzz_{}: %s inputs\n" $$(sed -n "s/stat::number_of_executed_units: *//p" $$d.log); \
	  else tail -40 $$d.log; printf "FAIL fuzz_{}\n"; exit 1; fi'

.PHONY: objs
objs: $(OBJECTS) ## compile only, no link (ROOMS="kms/base fs/vault" for some rooms)

-include $(OBJECTS:.o=.d) $(TESTS:=.d) $(SUPPORT:.o=.d)

# ---- Checks -----------------------------------------------------------------------------------------------------

.PHONY: units
units: $(TESTS) ## build the unit test programs

.PHONY: check check-all
check: ## everything a change must pass: layers, unit and integration tests; installs what they need
	@$(MAKE) --no-print-directory deps-test
	@$(MAKE) --no-print-directory check-all
check-all: check-layers $(O)/signetfs $(MUTANTS) $(TESTS)
	@$(PYTHON) tests/run.py --build $(O) $(if $(T),--only $(T)) unit integration

.PHONY: check-unit
check-unit: $(if $(T),$(O)/tests/unit/$(T),$(TESTS)) ## unit tests (T=test_base_err: one program)
	@$(PYTHON) tests/run.py --build $(O) $(if $(T),--only $(T)) unit

.PHONY: check-integration
check-integration: $(O)/signetfs $(MUTANTS) ## integration tests with real programs (T=test_mount_basic: one file)
	@$(PYTHON) tests/run.py --build $(O) $(if $(T),--only $(T)) integration

.PHONY: soak
soak: deps-soak $(O)/signetfs ## hours of what `make check` does in minutes: real programs, differential and random testers (T=…)
	@$(PYTHON) tests/run.py --build $(O) $(if $(T),--only $(T)) soak

.PHONY: check-asan
check-asan: ## unit and integration tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory O=$(O)-asan SANITIZE=address,undefined $(O)-asan/signetfs $(O)-asan/tests/mutants/signetfs units
	@$(PYTHON) tests/run.py --build $(O)-asan $(if $(T),--only $(T)) unit integration

.PHONY: check-tsan
check-tsan: ## unit and integration tests under ThreadSanitizer
	@$(MAKE) --no-print-directory O=$(O)-tsan SANITIZE=thread $(O)-tsan/signetfs $(O)-tsan/tests/mutants/signetfs units
	@$(PYTHON) tests/run.py --build $(O)-tsan $(if $(T),--only $(T)) unit integration

.PHONY: check-tsan-unit
check-tsan-unit: ## unit tests alone under ThreadSanitizer
	@$(MAKE) --no-print-directory O=$(O)-tsan SANITIZE=thread units
	@$(PYTHON) tests/run.py --build $(O)-tsan $(if $(T),--only $(T)) unit

.PHONY: check-valgrind
check-valgrind: $(TESTS) ## the vault's, formats' and key cache's unit tests under valgrind
	@$(PYTHON) tests/run.py --build $(O) --valgrind $(if $(T),--only $(T),--only test_vault --only test_format --only test_keycache) unit

.PHONY: check-layers
check-layers: ## includes point down the layers, third-party headers stay at home
	@$(PYTHON) tests/check_layers.py

STYLED = $(wildcard $(addsuffix /*.[ch],$(ROOMS) tests/unit tests/support tests/bench tests/fuzz tests/mutants))
.PHONY: check-style
check-style: ## clang-format and cppcheck find nothing
	@clang-format --dry-run --Werror $(STYLED)
	@cppcheck --quiet --std=c11 --language=c --enable=warning,portability --inline-suppr --error-exitcode=1 \
	  --suppress=missingIncludeSystem -D_GNU_SOURCE -DSIGNETFS_VERSION='"x"' -I. $(SOURCES)

.PHONY: format
format: ## clang-format everything in place
	@clang-format -i $(STYLED)

.PHONY: bench
bench: $(O)/signetfs $(if $(wildcard tests/bench/*.c),$(PASSTHROUGH)) ## compare with the peers that are installed; results in build/bench
	@$(PYTHON) tests/bench/run.py --build $(O)

.PHONY: bench-kms
bench-kms: $(O)/signetfs $(O)/tests/bench/kms_load ## the KMS: calls a second beside moto's server, and what grows with the number of keys; results in build/bench
	@$(PYTHON) tests/bench/kms_speed.py --build $(O)
	@$(PYTHON) tests/bench/kms_scale.py --build $(O)

.PHONY: bench-scale
bench-scale: $(O)/signetfs ## trees of ten thousand, a hundred thousand and a million files: time for each file, memory; results in build/bench
	@$(PYTHON) tests/bench/scale.py --build $(O)

# ---- Set-up ------------------------------------------------------------------------------------------------------

.PHONY: deps
deps: ## install the Debian packages that building and running need
	@contrib/install-packages $(PACKAGES) -- $(FAST_PACKAGES)

.PHONY: deps-test
deps-test: deps ## and those that the tests need
	@contrib/install-packages $(TEST_PACKAGES) -- $(TEST_TOOLS)

.PHONY: deps-soak
deps-soak: deps-test ## and those that only the soak tests need
	@contrib/install-packages $(SOAK_PACKAGES)

.PHONY: quickstart
quickstart: ## set everything up and work in a mounted, encrypted directory (DIR=~/signetfs-demo)
	@DIR='$(DIR)' BUILD='$(abspath $(O))' contrib/quickstart

# mount(8) and umount(8) look into /sbin and nowhere else.
HELPERS ?= $(if $(filter /usr /usr/local,$(PREFIX)),/sbin,$(PREFIX)/sbin)
HELPER_NAMES := mount.signetfs mount.fuse.signetfs umount.signetfs umount.fuse.signetfs
MAN1 = $(wildcard doc/man/*.1)
MAN5 = $(wildcard doc/man/*.5)
MAN8 = $(wildcard doc/man/*.8)
.PHONY: install
install: $(O)/signetfs ## install below DESTDIR/PREFIX
	install -D -m 755 $(O)/signetfs $(DESTDIR)$(PREFIX)/bin/signetfs
	install -d $(DESTDIR)$(HELPERS)
	for h in $(HELPER_NAMES); do ln -sf $(PREFIX)/bin/signetfs $(DESTDIR)$(HELPERS)/$$h || exit 1; done
	install -D -m 644 contrib/completions/signetfs.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/signetfs
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/local|$(PREFIX)|' contrib/systemd/signetfs-kms.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/signetfs-kms.service
	install -m 644 contrib/systemd/signetfs-kms.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/
	for m in $(MAN1); do install -D -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man1/$${m##*/} || exit 1; done
	for m in $(MAN5); do install -D -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man5/$${m##*/} || exit 1; done
	for m in $(MAN8); do install -D -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man8/$${m##*/} || exit 1; done

.PHONY: uninstall
uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/lib/systemd/system/signetfs-kms.service $(DESTDIR)$(PREFIX)/lib/systemd/system/signetfs-kms.socket
	rm -f $(DESTDIR)$(PREFIX)/bin/signetfs $(HELPER_NAMES:%=$(DESTDIR)$(HELPERS)/%) \
	      $(DESTDIR)$(PREFIX)/share/bash-completion/completions/signetfs
	rm -f $(MAN1:doc/man/%=$(DESTDIR)$(PREFIX)/share/man/man1/%) $(MAN5:doc/man/%=$(DESTDIR)$(PREFIX)/share/man/man5/%) \
	      $(MAN8:doc/man/%=$(DESTDIR)$(PREFIX)/share/man/man8/%)

.PHONY: clean
clean: ## remove the build directories
	rm -rf $(O) $(O)-*

.PHONY: help
help: ## this list
	@sed -n 's/^# \{0,1\}//p' Makefile | sed -n '3,13p'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "  make %-18s %s\n", $$1, $$2 }' | sed 's/make   /make /'
