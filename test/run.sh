#!/bin/bash
# Runs the test stages in order, with a line for each, and stops at the first
# failure: run.sh [STAGE...]. What they need is a Go module, or installed here.
set -euo pipefail
cd "$(dirname "$0")/.."
all=(format vet lint generate charts unit examples peers apiserver cluster)
stages=("${@:-${all[@]}}")

# need COMMAND:PACKAGE...: installs the Debian packages whose command is missing. Servers
# among them are not started: tests start their own.
need() {
  local missing=() pair
  for pair in "$@"; do PATH=$PATH:/usr/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  apt-get update -qq && services_off install "${missing[@]}"
}

install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }

# services_off COMMAND...: no package starts its service meanwhile.
services_off() {
  local policy=/usr/sbin/policy-rc.d result=0
  [ ! -e "$policy" ] || { "$@"; return; }
  printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
  "$@" || result=$?
  rm -f "$policy"
  return "$result"
}

format() {
  local unformatted
  unformatted=$(git ls-files -z '*.go' | xargs -0 gofmt -l)
  [ -z "$unformatted" ] || { echo "not formatted: run gofmt -w on: $unformatted" >&2; return 1; }
}

vet() { go vet ./... && go vet -tags "apiserver e2e examples peers" ./test/...; }

lint() { make --no-print-directory lint; }

# Generated files must be what `make generate` writes.
generate() {
  make --no-print-directory generate
  git diff --exit-code -- api deploy docs/reference || { echo "generated files are stale: run make generate and commit" >&2; return 1; }
}

# Helm is in a module of its own.
charts() { (cd internal/tools/helm && go vet ./... && go test -count=1 ./...); }

# -race needs a C compiler.
unit() { need gcc:gcc cc:libc6-dev git:git && CGO_ENABLED=1 go test -race -timeout 20m ./...; }

# The command line on every example, as a user would run it.
examples() { go test -tags examples -count=1 -timeout 15m ./test/examples/...; }

# The gateway beside the real servers and clients that it talks to, which the tests start.
peers() {
  need redis-server:redis-server slapd:slapd ldapsearch:ldap-utils git:git sshd:openssh-server ssh:openssh-client \
    promtool:prometheus node:nodejs npm:npm curl:curl nghttp:nghttp2-client h2load:nghttp2-client gcc:gcc cc:libc6-dev
  go test -tags peers -count=1 -timeout 20m ./test/peers/... ./test/protocols/... ./test/soak
}

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
