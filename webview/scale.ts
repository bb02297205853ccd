/** From values to places on a picture, and the marks on its axes. */

export interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

export function linearScale(values: readonly number[], from: number, to: number, count: number): Scale {
  let [low, high] = extent(values);
  if (low === high) [low, high] = low === 0 ? [-1, 1] : [low - Math.abs(low) / 2, high + Math.abs(high) / 2];
  const margin = (high - low) * 0.04;
  [low, high] = [low - margin, high + margin];
  const step = niceStep((high - low) / Math.max(1, count));
  const first = Math.ceil(low / step);
  const ticks = Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) => (first + index) * step);
  return { at: value => from + ((value - low) / (high - low)) * (to - from), ticks };
}

/** For values above 0; others have no place on it. */
export function logScale(values: readonly number[], from: number, to: number, count: number): Scale {
  const positive = values.filter(value => value > 0);
  let [low, high] = extent(positive.length > 0 ? positive : [1]).map(Math.log10) as [number, number];
  if (high - low < 0.1) [low, high] = [low - 0.5, high + 0.5];
  const margin = (high - low) * 0.04;
  [low, high] = [low - margin, high + margin];
  return {
    at: value => from + ((Math.log10(value) - low) / (high - low)) * (to - from),
    ticks: logTicks(low, high, count),
  };
}

function logTicks(low: number, high: number, count: number): number[] {
  const decades = high - low;
  const factors = decades > count ? [1] : decades > 1.5 ? [1, 3] : [1, 2, 3, 5, 7];
  const every = Math.max(1, Math.ceil(decades / Math.max(1, count)));
  const ticks: number[] = [];
  for (let decade = Math.floor(low); decade <= Math.ceil(high); decade++) {
    if (decade % every !== 0) continue;
    for (const factor of factors) {
      const value = Number(`${factor}e${decade}`);
      if (Math.log10(value) >= low && Math.log10(value) <= high) ticks.push(value);
    }
  }
  return ticks;
}

/** Values that are names: each has a place of its own. */
export function bandScale(count: number, from: number, to: number): (index: number) => number {
  const width = (to - from) / Math.max(1, count);
  return index => from + (index + 0.5) * width;
}

function extent(values: readonly number[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 1];
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = rough / power;
  return (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10) * power;
}
