#!/usr/bin/env bash
# Stands for your own script: a PATCH for each line of a file.
set -euo pipefail
token=$(curl --silent --fail "$OCSYNC_URL/oauth/token" --data grant_type=client_credentials \
  --data client_id=emulator --data "client_secret=$EXAMPLE_SECRET" |
  sed 's/.*"access_token": *"\([^"]*\)".*/\1/')
while IFS=, read -r product record quantity; do
  curl --silent --fail --output /dev/null --request PATCH \
    "$OCSYNC_URL/v1/products/$product/inventoryrecords/$record" \
    --header "Authorization: Bearer $token" --header "Content-Type: application/json" \
    --data "{\"QuantityAvailable\": $quantity}"
  echo "$product $record: $quantity"
done < "$1"
