# shellcheck shell=bash disable=SC2154
# The node: a process tree in namespaces of its own, so that ending its first
# process ends everything, mounts and network with it.

# network makes the namespaces and joins them to this machine by a pair of devices.
network() {
  hierarchies
  (
    enter_cgroups
    launch namespaces unshare --mount --pid --net --cgroup --fork --kill-child --mount-proc bash "$here/sandbox.sh" "$bin/pause"
  )
  await namespaces 15 first_process
  remember node "$(first_process)"
  [ -e "/sys/class/net/$device" ] && return
  ip link add "$device" type veth peer name eth0 netns "$(running node)"
  ip addr add "$host_ip/30" dev "$device"
  ip link set "$device" up
  in_node ip addr add "$node_ip/30" dev eth0
  in_node ip link set eth0 up
  in_node ip route add default via "$host_ip"
  ip route replace "$cluster_net" via "$node_ip"
}

# hierarchies makes a cgroup in each v1 hierarchy; in its own namespace the node
# takes it for the root.
hierarchies() {
  local names d
  while IFS=: read -r _ names _; do
    [ -n "$names" ] || continue # the line of v2
    d=/sys/fs/cgroup/${names#name=}/$cgroup
    mkdir -p "$d"
    [ "$names" = cpuset ] || continue
    # Groups below begin without any CPU unless they copy ours.
    cat "$d/../cpuset.cpus" >"$d/cpuset.cpus"
    cat "$d/../cpuset.mems" >"$d/cpuset.mems"
    echo 1 >"$d/cgroup.clone_children"
  done </proc/self/cgroup
}

# first_process prints the node's process 1 as this machine sees it, once
# sandbox.sh has done its work and become pause.
first_process() {
  local parent child
  parent=$(running namespaces) || return 1
  child=$(tr -d ' ' <"/proc/$parent/task/$parent/children")
  [ "$(cat "/proc/$child/comm")" = pause ] && echo "$child"
}

real_node() {
  export state bin conf pki run node node_ip host_ip pod_cidr dns_ip
  local file
  for file in "$here"/conf/*; do envsubst <"$file" >"$conf/${file##*/}"; done
  mv "$conf/cni.conflist" "$conf/cni/10-pods.conflist"
  launch_in_node containerd containerd --config "$conf/containerd.toml"
  await containerd 30 containers version
  containers images import --local "$cache/pause.tar" >/dev/null
  kubectl apply -f "$conf/objects.yaml" >/dev/null
  launch_in_node kubelet kubelet --v=1 --config="$conf/kubelet.yaml" --kubeconfig="$pki/kubelet.kubeconfig" \
    --hostname-override="$node" --node-ip="$node_ip" --root-dir="$state/kubelet" --cert-dir="$pki"
  launch_in_node kube-proxy kube-proxy --v=1 --config="$conf/kube-proxy.yaml"
  launch_in_node coredns coredns -conf "$conf/Corefile"
  launch metrics-server metrics-server --kubeconfig="$KUBECONFIG" \
    --authentication-kubeconfig="$KUBECONFIG" --authorization-kubeconfig="$KUBECONFIG" \
    --bind-address="$host_ip" --secure-port=4443 --cert-dir="$state/metrics-server" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --metric-resolution=10s --kubelet-request-timeout=5s
  launch balancer bash "$here/balancer.sh"
  await coredns 30 curl -fs "http://$node_ip:8181/ready"
  await metrics-server 60 kubectl wait --for=condition=Available --timeout=1s apiservice/v1beta1.metrics.k8s.io
  await kubelet 60 kubectl wait --for=condition=Ready --timeout=1s "node/$node"
}
