#!/bin/bash
# The first process of the node. The namespaces are new, so /sys has to be mounted
# anew to show their devices and cgroups. Then it becomes the command it is given.
set -eu
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
while IFS=: read -r _ names _; do
  [ -n "$names" ] || continue # the line of v2
  folder=/sys/fs/cgroup/${names#name=}
  option=$names
  [ "$folder" = "/sys/fs/cgroup/$names" ] || option=none,$names
  mkdir "$folder"
  mount -t cgroup -o "$option" cgroup "$folder"
done </proc/self/cgroup
# Containers have to see what the kubelet mounts after they have begun.
mount --make-rshared /
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
exec "$1"
