#!/usr/bin/env bash
for ((count = 1; ; count++)); do
  echo "bash counts $count"
  sleep 1
done
