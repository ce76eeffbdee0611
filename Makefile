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
#   T=NAME         check-unit, check-integration: only this one (all)

O       ?= build
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
PREFIX  ?= /usr/local
PYTHON  ?= /usr/bin/python3
VERSION := 0.1.0

PACKAGES := libfuse3-dev fuse3 libssl-dev libsqlite3-dev libinih-dev libcurl4-openssl-dev libmicrohttpd-dev \
            libjansson-dev uthash-dev
FAST_PACKAGES := libipsec-mb-dev
TEST_PACKAGES := libcmocka-dev python3-pytest python3-boto3 awscli sqlite3 git rsync attr acl tar
LIBS := fuse3 libcrypto sqlite3 inih libcurl libmicrohttpd jansson

ROOMS := kms/base kms/store kms/rootkey kms/engine kms/wire kms keycache fs/format fs/vault fs/fuse fs/cli

PKG_CFLAGS := $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(LIBS) 2>/dev/null)

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

.PHONY: objs
objs: $(OBJECTS) ## compile only, no link (ROOMS="kms/base fs/vault" for some rooms)

-include $(OBJECTS:.o=.d) $(TESTS:=.d) $(SUPPORT:.o=.d)
