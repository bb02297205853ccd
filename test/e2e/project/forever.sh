#!/bin/sh
# Counts until it is cancelled.
i=0
while true; do
  i=$((i + 1))
  echo "tick $i"
  sleep 1
done
