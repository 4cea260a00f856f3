#!/bin/bash
# Looks for known vulnerabilities in what the programs call. The database is on the
# network: where that cannot be reached, this says so and leaves it at that.
set -uo pipefail
out=$("$@" ./... 2>&1)
code=$?
if [ $code -ne 0 ] && grep -qiE 'fetching vulnerabilities|no such host|connection refused|i/o timeout|proxyconnect|tls: |403 Forbidden' <<<"$out"; then
  echo "the vulnerability database cannot be reached; nothing was checked"
  exit 0
fi
echo "$out"
exit $code
