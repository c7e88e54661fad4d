# The commands of developers and check runs. Each target is independent: it installs
# the packages that it needs (on Debian-like systems, as root), and two concurrent
# runs do not disturb each other.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
GO          ?= go
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMANDS    := $(notdir $(wildcard cmd/*))
TIMEOUT     ?= 10m
SUITES      ?= bookworm trixie
# Directory for the outcome of each test; not stored if empty.
RESULTS     ?=
# Failed tests that are run a second time, at most. The check run sets it; an unsteady test
# is then printed as such, and does not fail the run.
AGAIN       ?= 0

# Downloads and trees that are kept between runs. bin has programs that were extracted
# from a package without installing it.
export BERTH_CACHE ?= /var/cache/berth
export PATH := $(PATH):$(BERTH_CACHE)/bin

# Tests are compiled with the programs' flags, so that one build cache serves both.
export CGO_ENABLED := 0
export GOFLAGS := $(shell $(GO) env GOFLAGS) -trimpath

# A test fails if one of these features is missing, because every Debian has them, and is
# skipped if another one is. make vm-test runs with all of them.
export BERTH_TEST_REQUIRE ?= root,macvlan,types

.PHONY: help build release deps generate lint vet generated rules test vm-test vm-nodes web-test engines ipvlan axe system check fresh bench demo demo-web pictures clean

help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t12

# QUICK are the programs that an engine starts for each container and waits for. Go's runtime
# samples allocations from the start of a program, which costs each start of
# them 5 pages. A //go:debug line cannot switch that off, so the linker sets it.
# scripts/release.sh has the same.
QUICK     := ./cmd/berth-hook ./cmd/berth-cni ./cmd/berth-netavark
HOOK_LINK := -X runtime.godebugDefault=memprofilerate=0

# grpcnotrace excludes the debugging pages of gRPC: because of their templates the
# linker would keep every exported method, a fifth of berthd. scripts/release.sh uses
# it too. With the tag hook, a program has no loader of BPF programs.
build: ## static binaries in bin/
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -tags grpcnotrace -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ $(addprefix ./cmd/,$(COMMANDS))
	CGO_ENABLED=0 $(GO) build -trimpath -tags hook -ldflags '-s -w -X main.version=$(VERSION) $(HOOK_LINK)' -o bin/ $(QUICK)
	install -m755 engine/resident/client/berth-hook-client-$$($(GO) env GOARCH) bin/berth-hook-client

release: ## tarballs and Debian packages in dist/, for amd64 and arm64, the same bytes anywhere
	@GO='$(GO)' scripts/release.sh dist '$(VERSION)'

deps: ## install the Debian packages that tests need
	@scripts/deps.sh test

generate: ## compile bpf/c to BPF objects and their Go
	@scripts/deps.sh generate
	$(GO) generate ./...

lint: vet ## gofmt, vet, staticcheck, the import rule
	$(GO) test ./test/lint

# These tags add files and take none away. The tag hook does: package bpf without its loader.
vet:
	@scripts/gofmt.sh
	$(GO) vet -tags engines,browser ./...
	$(GO) tool staticcheck -tags engines,browser ./...
	$(GO) vet -tags hook $(QUICK)

generated: ## check that the committed BPF objects match the sources
	@scripts/generated.sh

rules: deps ## test Prometheus' rules in deploy/prometheus
	$(GO) test -count=1 ./test/rules

# go vet has run already, so go test need not run it again. The slowest packages come
# first; they wait more than they compute.
test: deps vet generated ## run every test that this machine can run, as root
	@$(GO) run ./test/tally $(if $(RESULTS),-results $(RESULTS)/test.json) -again $(AGAIN) -where "$$(uname -r)" -- \
		-vet=off -p=3 -timeout=$(TIMEOUT) ./test/e2e ./test/release ./...

vm-test: ## the live tests under Debian's kernels 6.1 and 6.12, emulated; VM='-kernel 6.1,@forky ./hook' for some
	@scripts/deps.sh vm
	@$(GO) run ./test/vm $(if $(RESULTS),-results $(RESULTS)) -again $(AGAIN) $(VM)

vm-nodes: ## two nodes of a cluster on one LAN with VLANs, emulated, with kernels 6.1 and 6.12
	@$(MAKE) --no-print-directory vm-test VM='-nodes $(VM)'

system: ## the Debian package on Debian 12 and 13 with systemd, emulated; SYSTEM='-suite trixie' for one
	@scripts/deps.sh system
	@$(GO) run ./test/system $(if $(RESULTS),-results $(RESULTS)) $(if $(filter-out 0,$(AGAIN)),-again) $(SYSTEM)

check: ## the check run: demo and test in a bare Debian, vm-test, vm-nodes, engines, system
	@.ci/run

fresh: $(SUITES:%=fresh-%) ## make demo and make test in bare Debian trees: fresh-bookworm, fresh-trixie

fresh-%:
	@scripts/deps.sh tree
	@scripts/fresh.sh $* 'make demo && make test'

# axe-core examines the page too, if scripts/axe.sh has it or can get it.
web-test: ## the page of berth-web in Debian's Chromium
	@scripts/deps.sh web
	@export BERTH_AXE; BERTH_AXE=$$(scripts/axe.sh); \
	$(GO) run ./test/tally $(if $(RESULTS),-results $(RESULTS)/web.json) -again $(AGAIN) -where Chromium -- \
		-vet=off -timeout=$(TIMEOUT) -tags browser -run "Browser$${BERTH_AXE:+|Axe}" ./cmd/berth-web/... ./cmd/berthd

axe: ## examine the page of demo-web with axe-core, which npm downloads
	@scripts/deps.sh demo
	@scripts/deps.sh web
	@scripts/deps.sh axe
	@$(MAKE) --no-print-directory --silent build
	@AXE=1 scripts/pictures.sh docs/images

engines: ## the end-to-end tests on the engines of newer Debians; ENGINES='-suite forky docker' for some
	@scripts/deps.sh tree
	@$(GO) run ./test/engines $(if $(RESULTS),-results $(RESULTS)) -again $(AGAIN) $(ENGINES)

# The kernel at hand may have no ipvlan.
ipvlan: ## networks of docker, podman and nerdctl with ipvlan, in an emulated machine
	@scripts/deps.sh system
	@$(MAKE) --no-print-directory engines ENGINES='-suite forky -timeout 20m $(ENGINES) ipvlan ipvlan-observed'

bench: ## against CNI, a bridge, an empty TC program, and no agent; BENCH='-part attach' for some, BENCH='-part frame -against DIR' (or probe) for two builds
	@scripts/deps.sh bench
	@cd test/bench/cni && $(GO) mod download
	@$(GO) run ./test/bench $(BENCH)

demo: ## show a guided tour in network namespaces, in under a minute
	@scripts/deps.sh demo
	@$(MAKE) --no-print-directory --silent build
	@$(GO) run ./test/demo --bin bin

PAGE ?= 127.0.0.1:9478

demo-web: ## show a LAN with talking containers on the page of berth-web, until Ctrl-C
	@scripts/deps.sh demo
	@$(MAKE) --no-print-directory --silent build
	@$(GO) run ./test/demo --bin bin --page $(PAGE)

pictures: ## make the pictures of docs/ from the page of demo-web
	@scripts/deps.sh demo
	@scripts/deps.sh web
	@$(MAKE) --no-print-directory --silent build
	@scripts/pictures.sh docs/images

clean: ## remove the outputs of build and release
	rm -rf bin dist
