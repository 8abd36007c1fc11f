#!/usr/bin/env bash
# Summer opens for two buyers and winter closes: one consolidated update instead of six resyncs.
set -euo pipefail
cd "$(dirname "$0")"
export EXAMPLE_SECRET=${EXAMPLE_SECRET:-emulator} OCSYNC_PROFILE=shop
ocsync profile show shop > /dev/null 2>&1 ||
  ocsync profile add shop --api-url "$OCSYNC_URL" --client-id emulator \
    --secret-env EXAMPLE_SECRET --quiet > /dev/null

ocsync pause catalog-wide --reason "season switch"
ocsync stage import switch.jsonl
ocsync plan --out switch.plan
# Someone reviews it here. An edit staged after that makes the plan stale: exit 6, nothing sent.
ocsync resume --plan switch.plan --verify
rm switch.plan
