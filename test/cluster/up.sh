#!/bin/bash
# Starts a real Kubernetes from plain processes; see README.md.
#   up.sh control   API server, etcd, controller manager, scheduler: objects, no pods
#   up.sh           all of that and a node that runs pods
# What runs already is left alone. The last line is KUBECONFIG=PATH.
. "$(dirname "$0")/env.sh"
mode=${1:-node}
case $mode in control | node) ;; *)
  echo "usage: up.sh [control|node]" >&2
  exit 2
  ;;
esac
"$here/build.sh" "$mode"
PATH=$bin:$PATH
mkdir -p "$run" "$logs" "$conf/cni" "$state/opt" "$pki"
before=$(cat "$state/mode" 2>/dev/null || echo "$mode")
if [ "$before" != "$mode" ]; then
  echo "the cluster runs in mode $before; run down.sh first" >&2
  exit 1
fi
echo "$mode" >"$state/mode"
api_ip=127.0.0.1
[ "$mode" = control ] || api_ip=$host_ip
export KUBECONFIG=$pki/admin.kubeconfig
. "$here/pki.sh"
. "$here/control.sh"
. "$here/node.sh"

# The API server of a node listens on the node's network, so that comes first.
[ "$mode" = control ] || network
keys
control_plane
[ "$mode" = control ] || real_node
echo "KUBECONFIG=$KUBECONFIG"
