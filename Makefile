# What a person or a check run calls. Each target stands by itself: it installs
# what it needs (Debian and its kin, as root), and two runs at once do not
# disturb each other.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
GO          ?= go
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMANDS    := $(notdir $(wildcard cmd/*))
TIMEOUT     ?= 10m

# What a check run tests under other kernels: attaching. make vm-test tests all.
CHECKED := ./check ./hook ./internal/... ./network

.PHONY: help build release deps generate lint generated rules test vm-test bench demo clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t12

# grpcnotrace leaves out the debugging pages of gRPC: with their templates the
# linker keeps every exported method, a fifth of berthd. scripts/release.sh too.
build: ## static binaries in bin/
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -tags grpcnotrace -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ $(addprefix ./cmd/,$(COMMANDS))

release: ## tarballs and Debian packages in dist/, for amd64 and arm64, the same bytes anywhere
	@GO='$(GO)' scripts/release.sh dist '$(VERSION)'

deps: ## the Debian packages that building the BPF objects and testing take
	@scripts/deps.sh test

generate: deps ## BPF objects and their Go from bpf/*.c
	$(GO) generate ./...

lint: ## gofmt, vet, staticcheck, the import rule
	@scripts/gofmt.sh
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) test ./test/lint

generated: deps ## are the committed BPF objects those of the sources?
	@scripts/generated.sh

rules: deps ## are Prometheus' rules in deploy/prometheus sound, and do they fire?
	$(GO) test -count=1 ./test/rules

test: deps lint generated rules ## everything that has to hold, as root; where CI is set, vm-test too
	BERTH_TEST_REQUIRE=root,macvlan $(GO) test -timeout $(TIMEOUT) ./...
ifdef CI
	@$(MAKE) --no-print-directory vm-test VM='$(CHECKED)'
endif
	@echo 'make test: all of it holds'

vm-test: ## the live tests under Debian's kernels 6.1 and 6.12, emulated; VM='-kernel 6.1 ./hook' for some
	@scripts/deps.sh vm
	@$(GO) run ./test/vm $(VM)

bench: ## against CNI, a bridge, an empty TC program, and no agent; BENCH='-part attach' for some
	@scripts/deps.sh bench
	@$(GO) run ./test/bench $(BENCH)

demo: ## a guided tour in namespaces of its own, under a minute
	@scripts/deps.sh demo
	@$(MAKE) --no-print-directory --silent build
	@$(GO) run ./test/demo --bin bin

clean: ## remove what build made
	rm -rf bin dist
