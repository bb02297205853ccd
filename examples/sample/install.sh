#!/bin/sh
# Installs vendor/greet-1.0.0.tgz without the network: sh install.sh [folder]
set -eu
cd "$(dirname "$0")"
prefix=${1:-$HOME/.local}
mkdir -p "$prefix/lib/greet" "$prefix/bin"
tar -xzf vendor/greet-1.0.0.tgz -C "$prefix/lib/greet" --strip-components=1 --no-same-owner
ln -sf ../lib/greet/greet.sh "$prefix/bin/greet"
echo "installed $("$prefix/bin/greet" --version) as $prefix/bin/greet"
