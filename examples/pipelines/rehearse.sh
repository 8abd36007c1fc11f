#!/usr/bin/env bash
# The changes of a pull request, on an emulator that was seeded like the marketplace.
set -euo pipefail
cd "$(dirname "$0")"
port=${EMULATOR_PORT:-8765}
export EMULATOR_SECRET=emulator OCSYNC_PROFILE=rehearsal
ocsync emulator --port "$port" --seed rehearsal.toml --quiet &
trap 'kill $!' EXIT
curl --silent --show-error --fail --retry 60 --retry-delay 1 --retry-connrefused --output /dev/null \
  "http://127.0.0.1:$port/_emulator/health"

ocsync profile add rehearsal --api-url "http://127.0.0.1:$port" --client-id emulator \
  --secret-env EMULATOR_SECRET
for file in changes/*; do ocsync stage import "$file"; done
ocsync plan --diff
ocsync resume --verify
