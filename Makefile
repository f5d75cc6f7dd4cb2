# make            shows this help
# Everything here needs Go, Node and make only. Databases and browsers for further tests are installed by .ci/run.

SHELL := bash
export CGO_ENABLED := 0
GO      ?= go
VERSION ?= dev
TOOLS   := $(CURDIR)/.cache/tools
LINT    := $(TOOLS)/golangci-lint-v2.15.0
PKG     ?= ./...

.DEFAULT_GOAL := help
.PHONY: help build test lint fuzz bench docs demo clean

help: ## show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-8s %s\n", $$1, $$2}'

build: ## bin/weir, one static binary
	@mkdir -p bin
	$(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/weir ./cmd/weir

test: ## the whole test suite (parts with PostgreSQL, Prometheus and Python run where they are installed)
	@npm ci --silent --no-audit --no-fund --prefix testdata/readers
	@npm ci --silent --no-audit --no-fund --ignore-scripts --prefix testdata/servers
	$(GO) vet ./...
	$(GO) test -timeout 20m ./...

lint: $(LINT) ## golangci-lint with the project's limits
	GOFLAGS=-buildvcs=false $(LINT) run --allow-parallel-runners $(PKG)

$(LINT):
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	@mv $(TOOLS)/golangci-lint $(LINT)

fuzz: ## every fuzz target for FUZZTIME (default 60s) each
	@./testdata/fuzz.sh $${FUZZTIME:-60s}

bench: build ## the promotion and flow benchmarks beside DuckDB, and a family of mapping sets (ROUNDS, RECORDS, FAMILY; PYTHON with duckdb for the flow's peer)
	@npm ci --silent --no-audit --no-fund --prefix bench
	cd bench && $(GO) build -o ../bin/bench . && ../bin/bench promotion -rounds $${ROUNDS:-5} -rows $${RECORDS:-1000000}
	cd bench && ../bin/bench family -records $${FAMILY:-2000}
	cd bench && ../bin/bench flow -rounds $${ROUNDS:-3} -records $${RECORDS:-1000000} -python "$${PYTHON:-}"
	cd bench && ../bin/bench copy -rounds $${ROUNDS:-3}

docs: ## regenerate the reference pages from the code
	$(GO) test ./mapping -run Reference -count=1 -args -update

demo: build ## the whole journey against a local paginated source, no services needed
	@bin/weir demo --data demo/data

clean: ## remove what was built
	rm -rf bin demo/data .cache
