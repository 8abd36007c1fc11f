#!/usr/bin/env bash
# For cron: unpause targets whose --for time has passed or whose window has died, and report pauses
# that need attention. It prints nothing when all is well, so that cron sends no mail.
#   */15 * * * *  OCSYNC_URL=... /srv/shop/forgotten-pause/run.sh
set -euo pipefail
cd "$(dirname "$0")"
export EXAMPLE_SECRET=${EXAMPLE_SECRET:-emulator} OCSYNC_PROFILE=shop OCSYNC_NO_INPUT=1
ocsync profile show shop > /dev/null 2>&1 ||
  ocsync profile add shop --api-url "$OCSYNC_URL" --client-id emulator \
    --secret-env EXAMPLE_SECRET --quiet > /dev/null

expired=0
ocsync expire || expired=$? # prints each target that it unpauses, and each that it cannot

code=0
said=$(ocsync status --max-age "${MAX_AGE:-4h}" --exit-code 2>&1) || code=$?
case $code in
0) ;;
2) echo "these pauses need attention:" && echo "$said" ;;
75) echo "OrderCloud did not respond; the next call tries again" ;;
*) echo "$said" ;;
esac
[ "$code" = 0 ] || exit "$code"
exit "$expired"
