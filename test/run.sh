#!/bin/bash
# Runs every test stage in order, with one line for each; stops at the first
# failure. Everything it needs is a Go module, or installed here.
set -euo pipefail
cd "$(dirname "$0")/.."
stages=(format vet generate unit)
count=${#stages[@]}
number=0

need() { # COMMAND PACKAGE: installs a Debian package when its command is missing
  command -v "$1" >/dev/null && return
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
}

format() {
  local unformatted
  unformatted=$(git ls-files -z '*.go' | xargs -0 gofmt -l)
  [ -z "$unformatted" ] || { echo "not formatted: run gofmt -w on: $unformatted" >&2; return 1; }
}

vet() { go vet ./...; }

# Generated files must be what `make generate` writes.
generate() {
  make --no-print-directory generate
  git diff --exit-code -- api deploy || { echo "generated files are stale: run make generate and commit" >&2; return 1; }
}

# -race needs a C compiler.
unit() { need gcc gcc; need cc libc6-dev; CGO_ENABLED=1 go test -race -timeout 20m ./...; }

for stage in "${stages[@]}"; do
  number=$((number + 1))
  began=$SECONDS
  echo "== [$number/$count] $stage"
  "$stage"
  echo "== [$number/$count] $stage: ok ($((SECONDS - began))s)"
done
