#!/usr/bin/env bash
# Runs every fuzz target of the project for the given time each, one after another: testdata/fuzz.sh 60s [PATTERN].
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-60s}
pattern=${2:-.}
failed=0
while IFS=: read -r file line; do
  name=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/' <<<"$line")
  dir=./$(dirname "$file")
  [[ "$dir/$name" =~ $pattern ]] || continue
  echo "== $dir $name $time"
  if ! out=$(GOMEMLIMIT=4GiB go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$dir" 2>&1); then
    echo "$out"
    failed=1
  fi
done < <(grep -rE '^func Fuzz' --include='*_test.go' --exclude-dir=node_modules . | sed 's|^\./||')
exit $failed
