.DEFAULT_GOAL := help
CONTROLLER_GEN := go run sigs.k8s.io/controller-tools/cmd/controller-gen@v0.23.0

.PHONY: help
help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-10s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build every program into bin/
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

.PHONY: generate
generate: ## Write generated files
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt crd:maxDescLen=400 paths=./api/... output:crd:artifacts:config=deploy/crds
	go run ./internal/schema/gen
	go run ./internal/operator/gen

.PHONY: test
test: ## Run every test stage; what continuous integration runs
	./test/run.sh

.PHONY: clean
clean: ## Remove what the build wrote
	rm -rf bin dist
