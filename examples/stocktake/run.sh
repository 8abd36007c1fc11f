#!/usr/bin/env bash
# A stocktake: counted quantities, each with what the book said when it was counted.
set -euo pipefail
cd "$(dirname "$0")"
export EXAMPLE_SECRET=${EXAMPLE_SECRET:-emulator} OCSYNC_PROFILE=shop
ocsync profile show shop > /dev/null 2>&1 ||
  ocsync profile add shop --api-url "$OCSYNC_URL" --client-id emulator \
    --secret-env EXAMPLE_SECRET --quiet > /dev/null

ocsync pause inventory --reason "stocktake" --for 2h
ocsync stage import stocktake.csv --kind inventory
ocsync stage adjust inventory/tent/shelf-2 QuantityAvailable-=1 # one was found broken
ocsync plan
ocsync plan --diff
ocsync resume --verify
