#!/bin/bash
# Gives each Service of type LoadBalancer an address, as a cloud would. kube-proxy
# answers on it, and this machine's route to the node covers it.
. "$(dirname "$0")/env.sh"
fields='{.metadata.namespace}{" "}{.metadata.name}{" "}{.spec.type}{" "}{.status.loadBalancer.ingress[0].ip}{"\n"}'
next_address() {
  local used n
  used=$("$bin/kubectl" get services -A -o 'jsonpath={.items[*].status.loadBalancer.ingress[*].ip}')
  for n in $(seq 1 254); do
    case " $used " in *" $lb_prefix.$n "*) ;; *) echo "$lb_prefix.$n" && return ;; esac
  done
}
while true; do
  "$bin/kubectl" get services -A --watch -o "jsonpath=$fields" | while read -r namespace name type ip; do
    [ "$type" = LoadBalancer ] && [ -z "$ip" ] || continue
    "$bin/kubectl" -n "$namespace" patch service "$name" --subresource=status --type=merge \
      -p "{\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"$(next_address)\"}]}}}" || true
  done
  sleep 1
done
