i=0
while true; do
  i=$((i + 1))
  echo "tick $i"
  sleep 0.2
done
