#!/usr/bin/env bash
# A supplier's stock list, with its own columns, marks and encoding, by a mapping.
set -euo pipefail
cd "$(dirname "$0")"
export EXAMPLE_SECRET=${EXAMPLE_SECRET:-emulator} OCSYNC_PROFILE=shop
ocsync profile show shop > /dev/null 2>&1 ||
  ocsync profile add shop --api-url "$OCSYNC_URL" --client-id emulator \
    --secret-env EXAMPLE_SECRET --quiet > /dev/null

# The mapping began as: ocsync stage map inventory list.csv stock.toml
ocsync stage import list.csv --map stock.toml --dry-run
ocsync stage import list.csv --map stock.toml
ocsync resume --verify
