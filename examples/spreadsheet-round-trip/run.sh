#!/usr/bin/env bash
# The products as a table: export, edit, import what was edited, send it, and undo it.
set -euo pipefail
cd "$(dirname "$0")"
export EXAMPLE_SECRET=${EXAMPLE_SECRET:-emulator} OCSYNC_PROFILE=shop
ocsync profile show shop > /dev/null 2>&1 ||
  ocsync profile add shop --api-url "$OCSYNC_URL" --client-id emulator \
    --secret-env EXAMPLE_SECRET --quiet > /dev/null

ocsync export product products.csv --fields Name,Active --force
# This stands for the edit in a spreadsheet: the expect. columns stay as they are.
sed 's/^tent,Tent for four,/tent,Tent for four people,/' products.csv > edited.csv
ocsync stage import edited.csv
ocsync plan --diff
ocsync resume --verify --no-pause
ocsync rollback
ocsync resume --verify --no-pause
