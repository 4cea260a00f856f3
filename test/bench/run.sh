#!/bin/bash
# Compares goma-gateway with nginx, HAProxy and Caddy: run.sh [FLAG...]. The flags
# are those of the program in this folder, -help lists them. What is missing is
# installed: Debian's packages, and Caddy as a Go module into a cache.
set -euo pipefail
cd "$(dirname "$0")/../.."
caddy_version=v2.11.4
cache=${GOMA_BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/goma-bench}
out=$PWD/dist/bench

need() { # COMMAND:PACKAGE...
  local missing=()
  for pair in "$@"; do command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "installing ${missing[*]}" >&2
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

need nginx:nginx haproxy:haproxy wrk:wrk h2load:nghttp2-client taskset:util-linux strace:strace
mkdir -p "$cache/bin" "$out"
[ -x "$cache/bin/caddy-$caddy_version" ] || {
  echo "building Caddy $caddy_version" >&2
  GOBIN=$cache/bin go install "github.com/caddyserver/caddy/v2/cmd/caddy@$caddy_version"
  mv "$cache/bin/caddy" "$cache/bin/caddy-$caddy_version"
}
ln -sf "$cache/bin/caddy-$caddy_version" "$out/caddy"
if [ -n "${GOMA_GATEWAY:-}" ]; then # another build than that of this tree
  ln -sf "$(realpath "$GOMA_GATEWAY")" "$out/goma-gateway"
else
  rm -f "$out/goma-gateway"
  CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X gateway.jkaninda.dev/goma/internal/version.Version=$(git describe --tags --always --dirty)" \
    -o "$out/goma-gateway" ./cmd/goma-gateway
fi
CGO_ENABLED=0 go build -o "$out/origin" ./test/bench/origin
go build -o "$out/bench" ./test/bench
CADDY_VERSION=$caddy_version PATH=$out:$PATH exec "$out/bench" -origin "$out/origin" -json "$out/results.json" "$@"
