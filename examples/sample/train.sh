#!/bin/sh
# Fits height = slope × age + intercept to data/shoots.csv by gradient descent and writes model.json.
#   sh train.sh [learning rate] [epochs]
# With PACE in the environment it rests so many seconds after every line, for those who want to watch.
set -eu
cd "$(dirname "$0")"
rate=${1:-0.05}
epochs=${2:-40}
pace=${PACE:-0}

awk -F, -v rate="$rate" -v epochs="$epochs" -v pace="$pace" '
  NR > 1 { age[++count] = $1; height[count] = $2 }
  END {
    for (epoch = 1; epoch <= epochs; epoch++) {
      loss = bySlope = byIntercept = 0
      for (i = 1; i <= count; i++) {
        error = slope * age[i] + intercept - height[i]
        loss += error * error / count
        bySlope += 2 * error * age[i] / count
        byIntercept += 2 * error / count
      }
      slope -= rate * bySlope
      intercept -= rate * byIntercept
      if (epoch % 10 == 0 || epoch == 1) {
        printf "epoch %3d  loss %.4g\n", epoch, loss
        fflush()
        if (pace > 0) system("sleep " pace)
      }
    }
    printf "rate %s: loss %.4g, height = %.4g × age + %.4g\n", rate, loss, slope, intercept
    printf "{ \"rate\": %s, \"slope\": %.4f, \"intercept\": %.4f, \"loss\": %.6f }\n", rate, slope, intercept, loss > "model.json"
    exit loss < 1 ? 0 : 1
  }
' data/shoots.csv
