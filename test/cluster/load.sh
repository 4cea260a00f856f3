#!/bin/bash
# Imports image archives into the node: load.sh FILE.tar...
. "$(dirname "$0")/env.sh"
for archive in "$@"; do containers images import --local "$(realpath "$archive")" >/dev/null; done
