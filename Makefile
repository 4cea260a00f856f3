.DEFAULT_GOAL := help
SHELL := /bin/bash

CONTROLLER_GEN := go run sigs.k8s.io/controller-tools/cmd/controller-gen@v0.23.0
GOLANGCI_LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK := go run golang.org/x/vuln/cmd/govulncheck@v1.9.0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
ARCHES ?= $(shell go env GOARCH)
# Of the images; the charts of a VERSION name it.
TAG ?= latest
PROGRAMS := goma goma-gateway goma-k8s-provider goma-operator
IMAGES := dist/images
LDFLAGS := -s -w -X gateway.jkaninda.dev/goma/internal/version.Version=$(VERSION)

.PHONY: help
help: ## Show the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-14s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build every program into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o bin/ $(addprefix ./cmd/,$(PROGRAMS))

.PHONY: generate
generate: ## Write generated files
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt crd:maxDescLen=400 paths=./api/... output:crd:artifacts:config=deploy/crds
	go run ./internal/schema/gen
	go run ./internal/tools/apidocs
	cd internal/tools/helm && go run .

.PHONY: lint
lint: ## Run the linters and look for known vulnerabilities
	$(GOLANGCI_LINT) run ./...
	./test/vulnerabilities.sh $(GOVULNCHECK)

.PHONY: test
test: ## Run every test stage; what continuous integration runs
	./test/run.sh

.PHONY: e2e
e2e: ## Run the tests on a real cluster, which is started and stopped
	./test/run.sh cluster

.PHONY: soak
soak: ## Change routes under load for two minutes, with the race detector; SOAK=1h for longer
	GOMA_SOAK=$(or $(SOAK),2m) CGO_ENABLED=1 go test -tags peers -count=1 -timeout 0 -v ./test/soak

.PHONY: bench
bench: ## Compare the gateway with nginx, HAProxy and Caddy; BENCH="-scenarios get1k -rounds 3" for a part
	./test/bench/run.sh $(BENCH)

.PHONY: microbench
microbench: ## Run the benchmarks of the data plane's packages
	go test -run '^$$' -bench . -benchmem ./internal/gateway/... ./internal/wire/...

.PHONY: images
images: ## Write the images as archives into dist/images, with bills of materials; ARCHES="amd64 arm64" for both
	mkdir -p $(IMAGES)/sbom
	set -e; for arch in $(ARCHES); do \
		CGO_ENABLED=0 GOOS=linux GOARCH=$$arch go build -trimpath -ldflags "$(LDFLAGS)" -o $(IMAGES)/bin/$$arch/ \
			./cmd/goma-gateway ./cmd/goma-k8s-provider ./cmd/goma-operator ./test/backend; \
	done
	go build -o $(IMAGES)/bin/mkimage ./internal/tools/mkimage
	$(MKIMAGE) -tag jkaninda/goma-gateway:$(TAG) -out $(IMAGES)/goma-gateway.tar \
		$(IMAGES)/bin/{arch}/goma-gateway:/usr/local/bin/goma =/goma:/usr/local/bin/goma =/usr/local/bin/goma-gateway:goma \
		/etc/goma/extra/ /etc/letsencrypt/ $(AUTHORITIES)
	$(MKIMAGE) -tag jkaninda/goma-k8s-provider:$(TAG) -out $(IMAGES)/goma-k8s-provider.tar \
		$(IMAGES)/bin/{arch}/goma-k8s-provider:/usr/local/bin/goma-k8s-provider
	$(MKIMAGE) -tag jkaninda/goma-operator:$(TAG) -out $(IMAGES)/goma-operator.tar \
		$(IMAGES)/bin/{arch}/goma-operator:/manager
	$(MKIMAGE) -tag goma.test/backend:latest -out $(IMAGES)/backend.tar \
		$(IMAGES)/bin/{arch}/backend:/backend

MKIMAGE = $(IMAGES)/bin/mkimage -arch $(subst $(space),$(comma),$(strip $(ARCHES))) -version $(VERSION) -sbom $(IMAGES)/sbom
comma := ,
space := $(subst ,, )

# The certificate authorities that the build machine trusts, if it has any.
AUTHORITIES := $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),/etc/ssl/certs/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt)

.PHONY: charts
charts: ## Write the Helm charts of VERSION (such as v1.2.3) as archives into dist/charts
	mkdir -p dist/charts
	cd internal/tools/helm && go run . package $(VERSION) $(CURDIR)/dist/charts

.PHONY: cluster-up
cluster-up: ## Start a real Kubernetes on this machine
	./test/cluster/up.sh

.PHONY: cluster-down
cluster-down: ## Stop it
	./test/cluster/down.sh

.PHONY: clean
clean: ## Remove what the build wrote
	rm -rf bin dist
