#!/usr/bin/env node
// Runs the tests of faults so many times, and writes what they measured into RELIABILITY.md, between its marks:
//
//     node broker/tests/faults/table.mjs REPETITIONS COMMAND…
//
// Each COMMAND is one line for the shell. Tests print a line `measured {"fault":…,"ms":…}` for each fault of faults.json,
// and `figures {"slow":…}` for slow readers.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

const [repetitions, ...commands] = process.argv.slice(2);
const faults = JSON.parse(readFileSync(new URL('faults.json', import.meta.url), 'utf8'));
const page = fileURLToPath(new URL('../../../RELIABILITY.md', import.meta.url));

/** Milliseconds by the name of the fault. */
const measured = new Map(faults.map(({ name }) => [name, []]));
const figures = new Map([['without', []], ['with', []]]);

for (let repetition = 1; repetition <= Number(repetitions); repetition += 1) {
  for (const command of commands) {
    console.error(`${repetition}/${repetitions}: ${command}`);
    const { stdout, status } = spawnSync(command, { shell: true, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 28, env: { ...process.env, DUET_FAULTS: '1' } });
    for (const line of stdout.split('\n')) {
      // Node's reporter indents what a test prints, and puts a mark before it.
      const [, kind, json] = /\b(measured|figures) (\{.*\})$/.exec(line) ?? [];
      if (kind === 'measured') {
        const { fault, ms } = JSON.parse(json);
        measured.get(fault).push(ms);
      }
      if (kind === 'figures') {
        const { slow, ...figure } = JSON.parse(json);
        figures.get(slow).push(figure);
      }
    }
    if (status !== 0) {
      console.error(stdout.split('\n').slice(-60).join('\n'));
      throw new Error(`not as promised: ${command}`);
    }
  }
}

function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)];
}

/** A time, as exactly as it is known. */
function shown(ms) {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 0)} s`;
}

const rows = faults.map(({ name, what, seen, until, promise, test }) => {
  const times = measured.get(name);
  const [usual, worst] = times.length > 0 ? [shown(median(times)), shown(Math.max(...times))] : ['not measured', ''];
  return `| ${what} | ${seen} | ${until} | ${usual} | ${worst} | ${shown(promise)} | [\`${test.split('/').at(-1)}\`](${test}) |`;
});
const slow = [...figures].map(([who, runs]) => {
  const of = (name) => `${shown(median(runs.map((run) => run[name])))} (${shown(Math.max(...runs.map((run) => run[name])))})`;
  return `| ${who} them | ${of('p50')} | ${of('p99')} | ${runs.reduce((sum, { signals }) => sum + signals, 0)} |`;
});
const tables = {
  faults: [
    `${repetitions} ${Number(repetitions) === 1 ? 'run' : 'runs'} on ${cpus().length} × ${cpus()[0]?.model.trim()}, release build, tests and broker on the same machine:`,
    '',
    '| what fails | what the others see | time from … to … | median | worst | promise | test |',
    '|---|---|---|---:|---:|---:|---|',
    ...rows,
  ],
  'slow readers': ['| signals of others | p50, median (worst) of the runs | p99, median (worst) | signals |', '|---|---:|---:|---:|', ...slow],
};

let text = readFileSync(page, 'utf8');
for (const [name, lines] of Object.entries(tables)) {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const at = [text.indexOf(begin), text.indexOf(end)];
  if (at.includes(-1)) throw new Error(`${page} has no ${begin} … ${end}`);
  text = `${text.slice(0, at[0] + begin.length)}\n\n${lines.join('\n')}\n\n${text.slice(at[1])}`;
}
writeFileSync(page, text);
console.log([...tables.faults, '', ...tables['slow readers']].join('\n'));

const missing = faults.filter(({ name }) => measured.get(name).length === 0).map(({ name }) => name);
if (missing.length > 0) throw new Error(`nothing has measured ${missing.join(', ')}`);
