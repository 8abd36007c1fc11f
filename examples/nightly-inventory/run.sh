#!/bin/sh
# For cron or CI: take what others put into the folder, and let the exit code speak.
set -u
export EXAMPLE_SECRET=emulator
export OCSYNC_NO_INPUT=1
ocsync profile list | grep -q nightly ||
  ocsync profile add nightly --api-url "$OCSYNC_URL" --client-id emulator --secret-env EXAMPLE_SECRET

ocsync expire || exit # a pause that somebody forgot

echo '{"ref": "inventory/tent/shelf-1", "op": "adjust", "fields": {"QuantityAvailable": 5}}' |
  ocsync stage import - --format jsonl || exit

ocsync resume --verify --lock-timeout 5m
case $? in
0) echo "everything arrived" ;;
3) echo "some of it failed; it is back in the journal" && exit 3 ;;
5) echo "sent, but not there as sent" && exit 5 ;;
75) echo "no way to OrderCloud now; the next run goes on from here" && exit 75 ;;
*) exit 1 ;;
esac

ocsync status --max-age 4h --exit-code || echo "somebody should look at the pauses"
