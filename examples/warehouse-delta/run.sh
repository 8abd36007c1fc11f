#!/usr/bin/env bash
# A stock file that comes whole each day: only what differs from the day before is sent.
set -euo pipefail
cd "$(dirname "$0")"
export EXAMPLE_SECRET=${EXAMPLE_SECRET:-emulator} OCSYNC_PROFILE=shop
ocsync profile show shop > /dev/null 2>&1 ||
  ocsync profile add shop --api-url "$OCSYNC_URL" --client-id emulator \
    --secret-env EXAMPLE_SECRET --quiet > /dev/null

ocsync stage import tuesday.csv --against monday.csv --new skip --gone gone.txt
ocsync plan
ocsync resume --verify
ocsync delete --file gone.txt --dry-run # a person decides; nothing is deleted here
