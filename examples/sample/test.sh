#!/bin/sh
# The fit must be good, and a rate that is too high must be noticed.
set -eu
cd "$(dirname "$0")"
sh train.sh 0.05 200 | tail -n 1
! sh train.sh 0.08 40 >/dev/null
echo 'test: good'
