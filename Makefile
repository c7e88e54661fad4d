# What a person or a check run calls. Each target stands by itself: it installs
# what it needs (Debian and its kin, as root), and two runs at once do not
# disturb each other.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
GO          ?= go
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMANDS    := $(notdir $(wildcard cmd/*))
TIMEOUT     ?= 10m
SUITES      ?= bookworm trixie
# Where programs keep the outcome of each test; nowhere if empty.
RESULTS     ?=

# Downloads and trees that are kept between runs. bin has programs that were
# taken out of a package without installing it.
export BERTH_CACHE ?= /var/cache/berth
export PATH := $(PATH):$(BERTH_CACHE)/bin

# Tests are compiled as the programs are, so that one build cache serves both.
export CGO_ENABLED := 0
export GOFLAGS := $(shell $(GO) env GOFLAGS) -trimpath

# A test that needs one of these fails if it is missing, as every Debian has them.
# Kernels of machines that run tests lack others: make vm-test has them all.
export BERTH_TEST_REQUIRE ?= root,macvlan,types

.PHONY: help build release deps generate lint vet generated rules test vm-test engines system check fresh bench demo clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t12

# grpcnotrace leaves out the debugging pages of gRPC: with their templates the
# linker keeps every exported method, a fifth of berthd. scripts/release.sh too.
build: ## static binaries in bin/
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -tags grpcnotrace -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ $(addprefix ./cmd/,$(COMMANDS))

release: ## tarballs and Debian packages in dist/, for amd64 and arm64, the same bytes anywhere
	@GO='$(GO)' scripts/release.sh dist '$(VERSION)'

deps: ## the Debian packages that testing takes
	@scripts/deps.sh test

generate: ## BPF objects and their Go from bpf/*.c
	@scripts/deps.sh generate
	$(GO) generate ./...

lint: vet ## gofmt, vet, staticcheck, the import rule
	$(GO) test ./test/lint

# The tag engines adds files and takes none away.
vet:
	@scripts/gofmt.sh
	$(GO) vet -tags engines ./...
	$(GO) tool staticcheck -tags engines ./...

generated: ## are the committed BPF objects those of the sources?
	@scripts/generated.sh

rules: deps ## are Prometheus' rules in deploy/prometheus sound, and do they fire?
	$(GO) test -count=1 ./test/rules

# go vet has run already, so go test need not run it again. The packages that
# take longest come first; they wait more than they compute.
test: deps vet generated ## everything that has to hold and can run here, as root
	@$(GO) run ./test/tally $(if $(RESULTS),-results $(RESULTS)/test.json) -where "$$(uname -r)" -- \
		-vet=off -p 3 -timeout $(TIMEOUT) ./test/e2e ./test/release ./...

vm-test: ## the live tests under Debian's kernels 6.1 and 6.12, emulated; VM='-kernel 6.1,@forky ./hook' for some
	@scripts/deps.sh vm
	@$(GO) run ./test/vm $(if $(RESULTS),-results $(RESULTS)) $(VM)

system: ## the Debian package on Debian 12 and 13 with systemd, emulated; SYSTEM='-suite trixie' for one
	@scripts/deps.sh system
	@$(GO) run ./test/system $(SYSTEM)

check: ## the check run: demo and test in a bare Debian, vm-test, engines, system
	@.ci/run

fresh: $(SUITES:%=fresh-%) ## make demo and make test in bare Debian trees: fresh-bookworm, fresh-trixie

fresh-%:
	@scripts/deps.sh tree
	@scripts/fresh.sh $* 'make demo && make test'

engines: ## the end-to-end tests on the engines of newer Debians; ENGINES='-suite forky docker' for some
	@scripts/deps.sh tree
	@$(GO) run ./test/engines $(if $(RESULTS),-results $(RESULTS)) $(ENGINES)

bench: ## against CNI, a bridge, an empty TC program, and no agent; BENCH='-part attach' for some
	@scripts/deps.sh bench
	@$(GO) run ./test/bench $(BENCH)

demo: ## a guided tour in namespaces of its own, under a minute
	@scripts/deps.sh demo
	@$(MAKE) --no-print-directory --silent build
	@$(GO) run ./test/demo --bin bin

clean: ## remove what build made
	rm -rf bin dist
