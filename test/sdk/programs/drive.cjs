'use strict';
const { setTimeout: sleep } = require('node:timers/promises');
const { rows } = require('./rows.cjs');

/** Runs a row in the blocking form. */
exports.blocking = async function blocking(row) {
  let answer = { value: undefined };
  for (;;) {
    const { done, value } = 'error' in answer ? row.throw(answer.error) : row.next(answer.value);
    if (done) return;
    try {
      answer = { value: await blockFor(value) };
    } catch (error) {
      answer = { error };
    }
  }
};

/** Only what is a promise by itself is awaited. */
function blockFor(step) {
  if ('awaited' in step) return step.awaited;
  if ('value' in step) return step.value;
  if ('each' in step) return [...step.each];
  if ('until' in step) {
    let text = '';
    for (const chunk of step.until()) {
      text += chunk;
      if (text.includes(step.text)) return text;
    }
    throw new Error(`${step.text} never came: ${text}`);
  }
  return step.get();
}

/** The same row in the awaited form. */
exports.awaiting = async function awaiting(row) {
  let answer = { value: undefined };
  for (;;) {
    const { done, value } = 'error' in answer ? row.throw(answer.error) : row.next(answer.value);
    if (done) return;
    try {
      answer = { value: await awaitFor(value) };
    } catch (error) {
      answer = { error };
    }
  }
};

async function awaitFor(step) {
  if ('awaited' in step) return step.awaited;
  if ('value' in step) return step.value;
  if ('each' in step) {
    const items = [];
    for await (const item of step.each) items.push(item);
    return items;
  }
  if ('until' in step) {
    let text = '';
    for await (const chunk of step.until()) {
      text += chunk;
      if (text.includes(step.text)) return text;
    }
    throw new Error(`${step.text} never came: ${text}`);
  }
  return step;
}

/** All rows, each told as a line of JSON as soon as it is over. */
exports.runRows = async function runRows(sdk, drive) {
  const tools = JSON.parse(process.env.COPPICE_ROWS);
  for (const [name, row] of Object.entries(rows)) {
    const told = { name };
    const report = more => Object.assign(told, more);
    const begun = performance.now();
    try {
      await Promise.race([
        drive(row(sdk, { ...tools, report, results: sdk.results, wait: sdk.wait })),
        sleep(60_000, undefined, { ref: false }).then(() => Promise.reject(new Error('no end after a minute'))),
      ]);
    } catch (error) {
      told.error = error?.stack ?? String(error);
    }
    told.milliseconds = Math.round(performance.now() - begun);
    console.log(JSON.stringify(told));
  }
};
