#!/usr/bin/env bash
# Changes built on a sandbox go to production: compare, stage, plan, send, verify.
set -euo pipefail
cd "$(dirname "$0")"
export EXAMPLE_SECRET=${EXAMPLE_SECRET:-emulator}
export PRODUCTION_SECRET=${PRODUCTION_SECRET:-emulator} # each profile has its own secret

add_profile() {
  ocsync profile show "$1" > /dev/null 2>&1 ||
    ocsync profile add "$1" --api-url "$2" --client-id emulator --secret-env "$3" --quiet > /dev/null
}
add_profile sandbox "$OCSYNC_URL" EXAMPLE_SECRET
add_profile shop "$PRODUCTION_URL" PRODUCTION_SECRET

kinds=(catalog category product price-schedule catalog-product category-product)
between=(--from sandbox --to shop --ignore xp.erp) # a number that each marketplace has its own of
rm -f gone.txt

ocsync compare "${kinds[@]}" "${between[@]}" --stage --gone gone.txt
ocsync plan --diff --profile shop
ocsync resume --verify --profile shop
ocsync compare "${kinds[@]}" "${between[@]}"
if [[ -e gone.txt ]]; then
  ocsync delete --file gone.txt --dry-run --profile shop # a person decides; nothing is deleted here
fi
ocsync verify --since 1d --exit-code --profile shop # from cron too: has anyone changed it?
