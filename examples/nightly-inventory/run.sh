#!/usr/bin/env bash
# For cron or CI: send what others put into incoming/ overnight, and let the exit code speak.
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
0) echo "everything arrived" ;;
3) echo "some of it was refused; it is staged again, and inventory stays paused: ocsync stage list" ;;
5) echo "sent, but not there as sent: ocsync history" ;;
6) echo "some records do not exist, or were changed by others; they are staged again, and inventory stays paused: ocsync plan --diff" ;;
7) echo "another command is at work, or somebody else lifted or made a pause: ocsync status" ;;
75) echo "no way to OrderCloud now; the next run goes on from here" ;;
*) echo "failed with $code" ;;
esac
exit "$code"
