#!/usr/bin/env bash
# For cron: lift what outlived its lease or its window, and say what somebody should look at.
# It is silent when all is well, so that cron sends no mail.
#   */15 * * * *  OCSYNC_URL=... /srv/shop/forgotten-pause/run.sh
set -euo pipefail
cd "$(dirname "$0")"
export EXAMPLE_SECRET=${EXAMPLE_SECRET:-emulator} OCSYNC_PROFILE=shop OCSYNC_NO_INPUT=1
ocsync profile show shop > /dev/null 2>&1 ||
  ocsync profile add shop --api-url "$OCSYNC_URL" --client-id emulator \
    --secret-env EXAMPLE_SECRET --quiet > /dev/null

expired=0
ocsync expire || expired=$? # tells each that it lifts, and what keeps it from lifting

code=0
said=$(ocsync status --max-age "${MAX_AGE:-4h}" --exit-code 2>&1) || code=$?
case $code in
0) ;;
2) echo "somebody should look at these pauses:" && echo "$said" ;;
75) echo "OrderCloud did not answer; the next call tries again" ;;
*) echo "$said" ;;
esac
[ "$code" = 0 ] || exit "$code"
exit "$expired"
