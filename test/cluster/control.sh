# shellcheck shell=bash disable=SC2154
# The control plane.

control_plane() {
  etcd_server
  api_server
  controllers
}

etcd_server() { # without fsync: nobody needs this data after a crash
  local client=http://127.0.0.1:2379 peer=http://127.0.0.1:2380
  launch etcd etcd --name=one --data-dir="$state/etcd" --unsafe-no-fsync --log-level=warn \
    --listen-client-urls=$client --advertise-client-urls=$client \
    --listen-peer-urls=$peer --initial-advertise-peer-urls=$peer --initial-cluster=one=$peer
  await etcd 30 curl -fs $client/readyz
}

api_server() {
  local more=()
  # Services are reached by the addresses of their endpoints: the API server is
  # outside of the node, where kube-proxy does not help.
  [ "$mode" = control ] || more=(--advertise-address="$host_ip" --enable-aggregator-routing=true)
  launch kube-apiserver kube-apiserver --v=1 --bind-address="$api_ip" "${more[@]}" \
    --etcd-servers=http://127.0.0.1:2379 --service-cluster-ip-range="$service_cidr" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$pki/sa.key" --service-account-signing-key-file="$pki/sa.key" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key" \
    --proxy-client-cert-file="$pki/front-proxy.crt" --proxy-client-key-file="$pki/front-proxy.key" \
    --requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra-
  await kube-apiserver 90 kubectl get --raw /readyz
}

controllers() { # autoscaling acts within seconds, not minutes, for the tests' sake
  local hpa=--horizontal-pod-autoscaler
  launch kube-controller-manager kube-controller-manager --v=1 --kubeconfig="$pki/controller-manager.kubeconfig" \
    --bind-address=127.0.0.1 --leader-elect=false --use-service-account-credentials --allocate-node-cidrs=false \
    --service-account-private-key-file="$pki/sa.key" --root-ca-file="$pki/ca.crt" \
    --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
    $hpa-sync-period=5s $hpa-initial-readiness-delay=5s $hpa-cpu-initialization-period=15s $hpa-downscale-stabilization=20s
  launch kube-scheduler kube-scheduler --v=1 --kubeconfig="$pki/scheduler.kubeconfig" --bind-address=127.0.0.1 --leader-elect=false
  await kube-controller-manager 60 kubectl -n default get serviceaccount default
}
