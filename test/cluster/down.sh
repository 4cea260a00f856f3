#!/bin/bash
# Stops what up.sh started, each process by its pid, and removes devices, cgroups
# and data. What was built stays in the cache.
. "$(dirname "$0")/env.sh"
mkdir -p "$run"

stop() { # SIGNAL NAME: the process and those that it started
  local pid
  pid=$(running "$2") || return 0
  kill "-$1" -- "-$pid" 2>/dev/null || kill "-$1" "$pid" 2>/dev/null || true
}

# etcd is last, since the API server waits for it to end; it has no data to save.
names=(balancer metrics-server coredns kube-proxy kubelet containerd node namespaces kube-scheduler kube-controller-manager kube-apiserver)
for name in "${names[@]}"; do stop TERM "$name"; done
for try in $(seq 100); do
  left=0
  for name in "${names[@]}"; do
    running "$name" >/dev/null || continue
    left=1
    [ "$try" -lt 50 ] || stop KILL "$name"
  done
  [ "$left" = 1 ] || break
  sleep 0.1
done
stop KILL etcd
ip link del "$device" 2>/dev/null || true
for folder in /sys/fs/cgroup/*/"$cgroup"; do
  for _ in $(seq 20); do
    [ -d "$folder" ] || break
    find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
  done
done
rm -rf "$state"
