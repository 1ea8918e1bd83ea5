// What is promised of faults, and how long it took; `make faults` makes RELIABILITY.md's table of it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** @type {{ name: string, promise: number }[]} */
const faults = JSON.parse(readFileSync(new URL('../../../broker/tests/faults/faults.json', import.meta.url), 'utf8'));

/**
 * Prints how long it took, and fails where that is longer than what is promised.
 *
 * @param {string} fault
 * @param {number} ms
 */
export function measured(fault, ms) {
  const row = faults.find(({ name }) => name === fault);
  assert.ok(row, `faults.json has no ${fault}`);
  if (process.env['DUET_FAULTS']) console.log(`measured ${JSON.stringify({ fault, ms })}`);
  assert.ok(ms <= row.promise, `${fault}: ${ms} ms, and ${row.promise} ms are promised`);
}
