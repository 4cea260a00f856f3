#!/bin/bash
# Installs the Debian packages and builds the programs of the test cluster.
#   build.sh control   what the control plane needs
#   build.sh           all of it
# A program is built once: it is stamped with everything that it is made from.
. "$(dirname "$0")/env.sh"
what=${1:-node}
kubernetes=1.37.2 containerd=2.4.2 runc=1.5.2

packages() { # COMMAND:PACKAGE...
  local missing=()
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || [ -e "${pair%%:*}" ] || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# program NAME FOLDER PACKAGE LDFLAGS [TAGS [CGO]]
program() {
  local name=$1 folder=$2 package=$3 ldflags=$4 tags=${5-} cgo=${6-0} stamp
  stamp=$(
    cd "$folder"
    # Not the folder's path: two checkouts share what they build.
    { cat go.mod; echo "$name $package $ldflags $tags $cgo"; go version; [ ! -d "$package" ] || cat "$package"/*.go; } | sha256sum
  )
  [ -x "$bin/$name" ] && [ "$(cat "$cache/stamps/$name" 2>/dev/null)" = "$stamp" ] && return
  echo "building $name"
  (
    cd "$folder"
    GOFLAGS="-mod=readonly" CGO_ENABLED=$cgo go build -trimpath -buildvcs=false -tags "$tags" -ldflags "$ldflags" -o "$bin/$name" "$package"
  )
  echo "$stamp" >"$cache/stamps/$name"
}

# Kubernetes has to know its version, or it refuses its own feature gates.
versioned="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  versioned+=" -X $package.gitVersion=v$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=37 -X $package.gitTreeState=clean"
done

control() {
  packages openssl:openssl curl:curl
  program etcd "$here/k8s" go.etcd.io/etcd/server/v3 "-s -w"
  for name in kube-apiserver kube-controller-manager kube-scheduler kubectl; do
    program $name "$here/k8s" k8s.io/kubernetes/cmd/$name "$versioned"
  done
}

node() {
  packages gcc:gcc nft:nftables ip:iproute2 pkg-config:pkg-config envsubst:gettext-base nsenter:util-linux \
    sysctl:procps /usr/include/seccomp.h:libseccomp-dev
  for name in kubelet kube-proxy; do
    program $name "$here/k8s" k8s.io/kubernetes/cmd/$name "$versioned"
  done
  local c=github.com/containerd/containerd/v2
  local c_version="-s -w -X $c/version.Version=v$containerd"
  program containerd "$here/node" $c/cmd/containerd "$c_version" osusergo,netgo,urfave_cli_no_docs
  program containerd-shim-runc-v2 "$here/node" $c/cmd/containerd-shim-runc-v2 "$c_version" osusergo,netgo,no_grpc
  program ctr "$here/node" $c/cmd/ctr "-s -w"
  # Without the tag libpathrs: that is a library in Rust.
  program runc "$here/node" github.com/opencontainers/runc "-s -w -X main.version=$runc" seccomp,osusergo,netgo 1
  for plugin in main/bridge main/loopback ipam/host-local meta/portmap; do
    program "${plugin#*/}" "$here/node" github.com/containernetworking/plugins/plugins/$plugin "-s -w"
  done
  program coredns "$here/k8s" ./coredns "-s -w"
  program metrics-server "$here/k8s" sigs.k8s.io/metrics-server/cmd/metrics-server "-s -w"
  program pause "$root" ./test/cluster/pause "-s -w"
  (cd "$root" && go run ./internal/tools/mkimage -tag cluster.local/pause:1 -out "$cache/pause.tar" "$bin/pause:/pause")
}

mkdir -p "$bin" "$cache/stamps"
control
[ "$what" = control ] || node
