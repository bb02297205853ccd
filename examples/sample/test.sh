#!/bin/sh
# The fit must be good, and a rate that is too high must be noticed.
set -eu
cd "$(dirname "$0")"
if sh train.sh 0.08 40 >/dev/null; then
  echo 'test: a rate that is too high went unnoticed'
  exit 1
fi
sh train.sh 0.05 200 | tail -n 1
echo 'test: good'
