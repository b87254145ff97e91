# Everything that is done to this repository is a target here; a bare `make`
# lists them. Only Go, make and git are needed: tools are built from the pinned
# modules in tools/ into bin/, and work offline once their modules are there.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

GO ?= go
# VCS stamping fails in a checkout owned by another user; the version is given
# by the linker instead.
export GOFLAGS := $(GOFLAGS) -buildvcs=false
BIN := $(CURDIR)/bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

FUZZTIME ?= 60s
TESTFLAGS ?= -race -count=1

##@ Work

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-zA-Z0-9_-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## Build bin/mccd
	$(GO) build -trimpath -ldflags '-X main.release=$(VERSION)' -o $(BIN)/mccd ./cmd/mccd

.PHONY: demo
demo: build ## Three nodes, an origin and a herd on this machine; one node is killed and brought back
	MCCD_BIN=$(BIN)/mccd $(GO) run ./test/demo

# Each measures for minutes, prints a table and writes out/bench-TARGET.json;
# flags of the program go into BENCHFLAGS (docs/benchmarks.md).
BENCHES := bench-hit bench-tls bench-herd bench-follow bench-peer bench-capacity bench-start bench-memory bench-origin
.PHONY: bench $(BENCHES)
bench: $(BENCHES) ## Measure mccd beside nginx, Varnish and Traffic Server: all that follow
bench-hit: ## Delivery of hits, CPU and throughput
bench-tls: ## The same over TLS 1.3, beside nginx
bench-herd: ## 200 clients ask for one cold object
bench-follow: ## First byte, second client and gaps at a slow origin
bench-peer: ## A fill from another node beside HTTP/1.1 over TLS
bench-capacity: ## Do the drives of a cluster add up?
bench-start: ## Time to the first hit of a node with 200,000 chunks
bench-memory: ## Resident memory with 1,000 clients
bench-origin: ## Bytes asked of the origin by bytes asked for
$(BENCHES): build deps-bench
	MCCD_BIN=$(BIN)/mccd $(GO) run ./test/bench -target $(@:bench-%=%) $(BENCHFLAGS)

.PHONY: soak
soak: build ## 24 GiB of objects through 2 GiB of drives with 500 clients for 5 minutes; writes out/soak.*
	MCCD_BIN=$(BIN)/mccd $(GO) run ./test/soak $(SOAKFLAGS)
.PHONY: sim
sim: ## Replay traces against the eviction policy, LRU, FIFO and the ideal, and against a cluster
	$(GO) run ./test/sim

.PHONY: clean
clean: ## Remove bin/ and out/
	rm -rf bin out

##@ Check

.PHONY: test
test: unit e2e ## All tests; those in one process with the race detector

# Packages that run clusters keep two processors busy: of two at once each would
# measure the other. What they share is compiled before, by all processors.
.PHONY: unit
unit: ## All tests but those that start processes of mccd
	@packages=$$($(GO) list ./... | grep -v -e /test/e2e -e '/test/bench$$'); \
	atonce=$$(( ($$(getconf _NPROCESSORS_ONLN) + 1) / 2 )); set -x; \
	$(GO) build -race ./... && $(GO) test $(TESTFLAGS) -p $$atonce -timeout 30m $$packages

# Without the race detector: it would watch the clients alone, not the nodes, and
# take the processor from them. test/testcluster and peer run nodes under it.
.PHONY: e2e
e2e: build deps-test ## Tests of real processes, and a glance at each benchmark (some minutes)
	MCCD_BIN=$(BIN)/mccd $(GO) test -count=1 -timeout 25m ./test/e2e/...
	MCCD_BIN=$(BIN)/mccd $(GO) test -count=1 -timeout 10m ./test/bench

.PHONY: rules
rules: ## Only the rules of the repository: layers, comments, sizes, words
	$(GO) test -count=1 ./test/rules

.PHONY: lint
lint: $(BIN)/golangci-lint $(BIN)/buf ## golangci-lint and buf lint
	$(BIN)/golangci-lint run --allow-parallel-runners --timeout 20m ./...
	$(BIN)/buf lint

.PHONY: windows
windows: ## Build and vet for Windows
	GOOS=windows $(GO) build ./...
	GOOS=windows $(GO) vet ./...

.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME (60s)
	tools/fuzz.sh $(FUZZTIME)

.PHONY: fresh
fresh: $(BIN)/buf $(BIN)/protoc-gen-go $(BIN)/protoc-gen-go-grpc ## Is the committed generated code what the contracts give?
	@tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; \
	PATH=$(BIN):$$PATH $(BIN)/buf generate -o "$$tmp"; \
	(cd "$$tmp" && find . -name '*.pb.go') | while read -r f; do \
		diff -q "$$tmp/$$f" "$$f" >/dev/null || { echo "$$f is not fresh; run make generate" >&2; exit 1; }; done; \
	diff <(cd "$$tmp" && find proto -name '*.pb.go' | sort) <(find proto -name '*.pb.go' | sort)

# The steps in order; each prints its time. All run even when one fails.
CI_STEPS := deps-test deps-bench build rules windows fresh lint unit e2e fuzz

.PHONY: ci
ci: ## What a change must pass: every step above, fuzzing for 10s each, some for more
	@failed=; for step in $(CI_STEPS); do \
		echo "== $$step"; begin=$$SECONDS; \
		if $(MAKE) $$step FUZZTIME=10s; then echo "== $$step: passed in $$((SECONDS - begin)) s"; \
		else echo "== $$step: FAILED after $$((SECONDS - begin)) s"; failed="$$failed $$step"; fi; done; \
	if [ -n "$$failed" ]; then echo "== failed:$$failed (in $$SECONDS s)"; exit 1; fi; \
	echo "== all passed in $$SECONDS s"

##@ Generate

.PHONY: generate
generate: proto ## Everything that is generated: contracts, configuration reference, example, golden texts
	$(GO) test -count=1 ./cmd/mccd ./cmd/mccd/config ./cmd/mccd/node ./gateway -run 'Golden|Generated' -update

.PHONY: proto
proto: $(BIN)/buf $(BIN)/protoc-gen-go $(BIN)/protoc-gen-go-grpc ## Go code from the contracts in proto/
	PATH=$(BIN):$$PATH $(BIN)/buf generate

.PHONY: tidy
tidy: ## go.mod and go.sum list what the code needs
	$(GO) mod tidy

##@ Tools

.PHONY: tools
tools: $(BIN)/golangci-lint $(BIN)/buf $(BIN)/protoc-gen-go $(BIN)/protoc-gen-go-grpc ## Build the pinned tools into bin/

# Each tool has a module of its own, as their requirements conflict.
$(BIN)/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	cd tools/lint && $(GO) build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
$(BIN)/buf: tools/buf/go.mod tools/buf/go.sum
	cd tools/buf && $(GO) build -o $@ github.com/bufbuild/buf/cmd/buf
$(BIN)/protoc-gen-go: tools/protoc/go.mod tools/protoc/go.sum
	cd tools/protoc && $(GO) build -o $@ google.golang.org/protobuf/cmd/protoc-gen-go
$(BIN)/protoc-gen-go-grpc: tools/protoc/go.mod tools/protoc/go.sum
	cd tools/protoc && $(GO) build -o $@ google.golang.org/grpc/cmd/protoc-gen-go-grpc

.PHONY: deps-test
deps-test: ## Debian packages of the programs that tests drive (as root; else those tests are skipped)
	@tools/deps.sh gcc strace aria2c:aria2 wget curl openssl gpg gpg-agent

.PHONY: deps-bench
deps-bench: ## Debian packages of the programs that are measured against
	@tools/deps.sh nginx varnishd:varnish traffic_server:trafficserver
