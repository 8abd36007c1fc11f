#!/bin/sh
# A stocktake: counted quantities, each with what the book said when it was counted.
set -eu
cd "$(dirname "$0")"
export EXAMPLE_SECRET=emulator
ocsync profile add stocktake --api-url "$OCSYNC_URL" --client-id emulator --secret-env EXAMPLE_SECRET

ocsync pause inventory --reason "stocktake" --for 2h
ocsync stage import stocktake.csv --kind inventory
ocsync stage adjust inventory/tent/shelf-2 QuantityAvailable-=1 # one was found broken
ocsync plan
ocsync plan --diff
ocsync resume --verify
