#!/usr/bin/env bash
# For cron or CI: send the files that others put into incoming/, and explain the exit code.
#   15 3 * * *  OCSYNC_URL=... /srv/shop/nightly-inventory/run.sh
set -euo pipefail
cd "$(dirname "$0")"
export EXAMPLE_SECRET=${EXAMPLE_SECRET:-emulator} OCSYNC_PROFILE=shop OCSYNC_NO_INPUT=1
ocsync profile show shop > /dev/null 2>&1 ||
  ocsync profile add shop --api-url "$OCSYNC_URL" --client-id emulator \
    --secret-env EXAMPLE_SECRET --quiet > /dev/null

# A file is staged whole or not at all. Its quantities are absolute: staged twice does no harm.
mkdir -p taken
for file in incoming/*.csv; do
  [ -e "$file" ] || continue
  ocsync stage import "$file" --kind inventory
  mv "$file" taken/
done

code=0
ocsync resume inventory --verify --on-conflict skip --lock-timeout 5m --max-changes 10000 ||
  code=$?
case $code in
0) echo "all changes were sent and verified" ;;
3) echo "some changes were refused; they are staged again, and inventory stays paused: ocsync stage list" ;;
5) echo "sent, but verification found differences: ocsync history" ;;
6) echo "some records do not exist, or were changed by others; they are staged again, and inventory stays paused: ocsync plan --diff" ;;
7) echo "another command is running, or someone else paused or unpaused inventory: ocsync status" ;;
75) echo "OrderCloud cannot be reached now; the next run continues" ;;
*) echo "failed with exit code $code" ;;
esac
exit "$code"
