# shellcheck shell=bash disable=SC2154
# Keys, certificates and kubeconfigs. What is there already is kept.

curve=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

certificate() { # NAME SUBJECT [SAN]
  local names=()
  [ -z "${3-}" ] || names=(-addext "subjectAltName=$3")
  [ -s "$pki/$1.crt" ] || openssl req -x509 -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -days 365 "${curve[@]}" \
    -subj "$2" -keyout "$pki/$1.key" -out "$pki/$1.crt" "${names[@]}" \
    -addext basicConstraints=critical,CA:FALSE -addext extendedKeyUsage=serverAuth,clientAuth 2>/dev/null
}

account() { # NAME SUBJECT: a kubeconfig with a certificate of its own
  certificate "$1" "$2"
  cat >"$pki/$1.kubeconfig" <<END
apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: "https://$api_ip:6443", certificate-authority: $pki/ca.crt}}]
users: [{name: $1, user: {client-certificate: $pki/$1.crt, client-key: $pki/$1.key}}]
contexts: [{name: test, context: {cluster: test, user: $1}}]
END
}

keys() {
  [ -s "$pki/sa.key" ] || openssl genrsa -out "$pki/sa.key" 2048 2>/dev/null
  [ -s "$pki/ca.crt" ] || openssl req -x509 -days 3650 "${curve[@]}" -subj /CN=test-cluster \
    -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
  local service=kubernetes names=DNS:localhost
  for name in $service $service.default $service.default.svc $service.default.svc.cluster.local; do names+=,DNS:$name; done
  for ip in 127.0.0.1 "$host_ip" "$kubernetes_ip"; do names+=,IP:$ip; done
  certificate apiserver /CN=kube-apiserver "$names"
  certificate kubelet-client /CN=kube-apiserver-kubelet-client
  certificate front-proxy /CN=front-proxy-client
  certificate kubelet "/O=system:nodes/CN=system:node:$node" "IP:$node_ip,DNS:$node"
  account admin /O=system:masters/CN=admin
  account controller-manager /CN=system:kube-controller-manager
  account scheduler /CN=system:kube-scheduler
  account kubelet "/O=system:nodes/CN=system:node:$node"
  account kube-proxy /CN=system:kube-proxy
}
