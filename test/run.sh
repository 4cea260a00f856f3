#!/bin/bash
# Runs the test stages in order, with a line for each, and stops at the first
# failure: run.sh [STAGE...]. What they need is a Go module, or installed here.
set -euo pipefail
cd "$(dirname "$0")/.."
all=(format vet lint generate unit examples apiserver cluster)
stages=("${@:-${all[@]}}")

need() { # COMMAND:PACKAGE...: installs the Debian packages whose command is missing
  local missing=()
  for pair in "$@"; do command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

format() {
  local unformatted
  unformatted=$(git ls-files -z '*.go' | xargs -0 gofmt -l)
  [ -z "$unformatted" ] || { echo "not formatted: run gofmt -w on: $unformatted" >&2; return 1; }
}

vet() { go vet ./... && go vet -tags "apiserver e2e examples" ./test/...; }

lint() { make --no-print-directory lint; }

# Generated files must be what `make generate` writes.
generate() {
  make --no-print-directory generate
  git diff --exit-code -- api deploy || { echo "generated files are stale: run make generate and commit" >&2; return 1; }
}

# -race needs a C compiler.
unit() { need gcc:gcc cc:libc6-dev && CGO_ENABLED=1 go test -race -timeout 20m ./...; }

# The command line on every example, as a user would run it.
examples() { go test -tags examples -count=1 -timeout 15m ./test/examples/...; }

# with_cluster MODE COMMAND...: stops the cluster afterwards, whatever happens.
with_cluster() {
  local mode=$1 kubeconfig result=0
  shift
  kubeconfig=$(test/cluster/up.sh "$mode" | tee >(cat >&2) | sed -n 's/^KUBECONFIG=//p')
  [ -n "$kubeconfig" ] || return 1
  KUBECONFIG=$kubeconfig KUBECTL=${GOMA_CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/goma-cluster}/bin/kubectl "$@" || result=$?
  test/cluster/down.sh
  return "$result"
}

# A real API server, without a node.
apiserver() { with_cluster control go test -tags apiserver -count=1 -timeout 20m ./test/apiserver/...; }

# Real pods.
cluster() { make --no-print-directory images && with_cluster node on_cluster; }
on_cluster() { test/cluster/load.sh dist/images/*.tar && go test -tags e2e -count=1 -timeout 20m -v ./test/e2e/...; }

number=0
for stage in "${stages[@]}"; do
  number=$((number + 1))
  began=$SECONDS
  echo "== [$number/${#stages[@]}] $stage"
  "$stage"
  echo "== [$number/${#stages[@]}] $stage: ok ($((SECONDS - began))s)"
done
