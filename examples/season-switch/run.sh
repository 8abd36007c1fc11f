#!/bin/sh
# A catalog opens for two buyers: one consolidated update instead of five resyncs.
set -eu
cd "$(dirname "$0")"
export EXAMPLE_SECRET=emulator
ocsync profile add summer --api-url "$OCSYNC_URL" --client-id emulator --secret-env EXAMPLE_SECRET

ocsync pause catalog-wide --reason "summer opens"
ocsync stage import opening.jsonl
ocsync plan --out opening.plan
ocsync resume --plan opening.plan --verify # refuses if anything was staged since the review
rm opening.plan
