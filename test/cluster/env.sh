# shellcheck shell=bash
# Paths, addresses and processes of the test cluster; sourced by the other scripts.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

# What is built is kept in the cache; what runs, and its data, is in the state.
cache=${GOMA_CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/goma-cluster}
state=${GOMA_CLUSTER_STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/goma-cluster}
bin=$cache/bin
pki=$state/pki
conf=$state/conf
logs=$state/log
run=$state/run

# All addresses are of 198.18.0.0/15, which RFC 2544 sets aside for tests of
# network devices: no real network has them. They exist on this machine alone.
host_ip=198.18.0.1         # this end of the pair of devices to the node
node_ip=198.18.0.2         # the node's end, where NodePorts are
cluster_net=198.18.64.0/18 # pods, Services and load balancers, by one route
pod_cidr=198.18.64.0/20
service_cidr=198.18.80.0/20
kubernetes_ip=198.18.80.1
dns_ip=198.18.80.10
lb_prefix=198.18.96

node=node-1
device=goma0
cgroup=goma-cluster

# A process is known by its pid together with when it began, so that another one
# with the same pid is never taken for ours, let alone stopped.
began() { awk '{ sub(/.*\) /, ""); if ($1 != "Z") print $20 }' "/proc/$1/stat" 2>/dev/null || true; }
remember() { echo "$2 $(began "$2")" >"$run/$1.pid"; }
running() { # NAME: prints the pid while the process lives
  local pid since
  read -r pid since 2>/dev/null <"$run/$1.pid" || return 1
  [ -n "$since" ] && [ "$(began "$pid")" = "$since" ] && echo "$pid"
}

launch() { # NAME COMMAND...: in the background, unless it runs already
  local name=$1
  shift
  running "$name" >/dev/null && return
  setsid "$@" >>"$logs/$name.log" 2>&1 </dev/null &
  remember "$name" $!
}

await() { # NAME SECONDS COMMAND...: until the command succeeds, else the log of NAME
  local name=$1 deadline=$((SECONDS + $2))
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      echo "$name did not become ready; its log ends with:" >&2
      tail -n 25 "$logs/$name.log" >&2 || true
      return 1
    fi
    sleep 0.2
  done
}

# nsenter leaves a process in the cgroups that it came from, but the kubelet and
# containerd must be in those of the node.
enter_cgroups() { for f in /sys/fs/cgroup/*/"$cgroup"/cgroup.procs; do echo "$BASHPID" >"$f"; done; }
in_node() { nsenter -t "$(running node)" -m -n -p -C -- "$@"; }
launch_in_node() (
  enter_cgroups
  name=$1
  shift
  launch "$name" nsenter -t "$(running node)" -m -n -p -C -- "$@"
)
containers() { CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=1 in_node "$bin/ctr" -a "$run/containerd.sock" -n k8s.io "$@"; }
