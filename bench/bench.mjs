// Measures coupond on this machine and prints the README's table. script/bench runs it.
import { accessSync, constants, mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Data, longCode } from './data.mjs';
import { describeMachine } from './machine.mjs';
import { Bench, commands, median } from './measure.mjs';
import { run, temporaryFolder } from './processes.mjs';
import { markdown } from './report.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const phases = [...Object.keys(commands), 'pools', 'uploads', 'starts', 'memory', 'baseline'];
const defaultConnections = { limited: [256] };

const help = `Measures coupond on this machine, with the load generator beside it, and prints a
table in Markdown. Takes about five minutes, and with --full five to ten more.

  script/bench                          build, then measure everything
  script/bench --quick                  does it work? in about a minute; no figures to quote
  script/bench --phase redeem           only that; again for more: redeem, limited, lock,
                                        assign, random, pools, uploads, starts, memory, baseline
  script/bench --json results.json      also every figure, for machines

  --full             compare random assignment at 10,000 with that at 10,000,000 free codes, not
                     at 1,000,000; takes 12 GB of disk
  --codes N          how many codes to begin with (1000000; with --quick 100000)
  --seconds N        how long each command is measured (10; with --quick 1)
  --connections N    only with so many connections (64 and 256)
  --folder FOLDER    where data is kept meanwhile (build/bench): a disk, not memory
  --binary FILE      measure this coupond, build nothing
  --help

The table goes to stdout, progress to stderr. It ends with 1 where a request was not answered as
expected, or an answer is not in the file afterwards. A floor that is missed is marked in the table.
`;

function usage(message) {
    process.stderr.write(`script/bench: ${message}; see script/bench --help\n`);
    process.exit(2);
}

function options() {
    const text = { type: 'string' };
    const flag = { type: 'boolean' };
    let values;
    try {
        ({ values } = parseArgs({
            options: {
                help: { ...flag, short: 'h' },
                quick: flag,
                full: flag,
                json: text,
                codes: text,
                seconds: text,
                connections: text,
                folder: text,
                binary: text,
                phase: { ...text, multiple: true },
            },
        }));
    } catch (error) {
        usage(error.message);
    }
    if (values.help) {
        process.stdout.write(help);
        process.exit(0);
    }
    const number = (name, otherwise, least, most) => {
        if (values[name] === undefined) return otherwise;
        const value = Number(values[name]);
        if (!Number.isInteger(value) || value < least || value > most) {
            usage(`--${name} must be a whole number from ${least} to ${most}`);
        }
        return value;
    };
    for (const phase of values.phase ?? []) {
        if (!phases.includes(phase)) usage(`no phase ${phase}; there are ${phases.join(', ')}`);
    }
    const quick = values.quick ?? false;
    const codes = number('codes', quick ? 100_000 : 1_000_000, 20_000, 3_000_000);
    // The k-th request is for code k * 618033 mod codes: each once where they share no factor.
    if (commonFactor(codes)) {
        usage(`--codes ${codes} shares a factor with 618033; take a round number`);
    }
    const binary = values.binary && path.resolve(values.binary);
    try {
        if (binary) accessSync(binary, constants.X_OK);
    } catch {
        usage(`${binary} is not there to be run`);
    }
    return {
        quick,
        full: values.full ?? false,
        json: values.json,
        codes,
        seconds: number('seconds', quick ? 1 : 10, 1, 600),
        warmUpSeconds: quick ? 1 : 2,
        connections: values.connections && [number('connections', 0, 1, 4000)],
        folder: path.resolve(values.folder ?? path.join(root, 'build/bench')),
        binary,
        given: binary !== undefined,
        wants: (phase) => !values.phase || values.phase.includes(phase),
    };
}

function commonFactor(codes) {
    let [a, b] = [618_033, codes];
    while (b !== 0) [a, b] = [b, a % b];
    return a !== 1;
}

const began = Date.now();

function progress(words) {
    const seconds = ((Date.now() - began) / 1000).toFixed(0).padStart(4);
    process.stderr.write(`${seconds} s  ${words}\n`);
}

/** The server as it is released. */
async function build() {
    progress('building');
    const limits = { withinMs: 3_600_000, cwd: root }; // the presets are there
    await run('cmake', ['--preset', 'release'], limits);
    await run('cmake', ['--build', '--preset', 'release', '--target', 'coupond'], limits);
    return path.join(root, 'build/release/coupond');
}

/** The C++ program with the baselines, compiled anew. */
async function compileBaseline() {
    const folder = path.join(root, 'build/bench');
    mkdirSync(folder, { recursive: true });
    const program = path.join(folder, 'baseline');
    const source = path.join(root, 'bench/baseline.cpp');
    await run('c++', ['-std=c++20', '-O2', '-Wall', '-Wextra', '-o', program, source, '-lsqlite3']);
    return program;
}

/** The middle of several runs of the baselines, spread over the whole run. */
function middleOf(baselines) {
    const middle = (name) => ({
        perSecond: median(baselines.map((each) => each[name].perSecond)),
        cpuUs: median(baselines.map((each) => each[name].cpuUs)),
    });
    return {
        append: middle('append'),
        overwrite: middle('overwrite'),
        rows: middle('rows'),
        all: baselines,
    };
}

async function makeData(data, codes, wanted) {
    progress(`uploading ${codes.toLocaleString('en-US')} codes`);
    await data.makeFree('free', codes);
    if (!wanted.assigned && !wanted.locked) return;
    progress('assigning them');
    await data.makeAssigned('assigned', 'free', codes);
    if (!wanted.locked) return;
    progress('locking them');
    await data.makeLocked('locked', 'assigned', codes);
}

/** The folder with many free codes for the comparison of random assignment. */
async function makeMany(data, { full, codes }) {
    if (!full) return { from: 'free', free: codes };
    const free = 10_000_000;
    progress('uploading 10,000,000 codes, which takes minutes');
    await data.makeFree('many', free, longCode);
    return { from: 'many', free };
}

async function measure(chosen, results, folder) {
    const { wants, quick } = chosen;
    const data = new Data(chosen.binary, folder);
    const bench = new Bench(data, chosen);
    const names = Object.keys(commands).filter(wants);
    const baselines = [];
    const program = wants('baseline') ? await compileBaseline() : undefined;
    const takeBaseline = async () => {
        if (!program) return;
        progress('baselines: the disk, and SQLite with one row a transaction');
        baselines.push(await bench.baseline(program, quick ? 1 : 3));
    };

    await makeData(data, chosen.codes, {
        assigned: names.some((name) => commands[name].from === 'assigned'),
        locked: program !== undefined || names.some((name) => commands[name].from === 'locked'),
    });
    await takeBaseline();
    for (const [index, name] of names.entries()) {
        for (const connections of chosen.connections ?? defaultConnections[name] ?? [64, 256]) {
            progress(`${commands[name].title}, ${connections} connections`);
            const result = await bench.command(name, connections);
            const { perSecond, cpuUs, errors } = result;
            results.commands.push(result);
            progress(
                `  ${Math.round(perSecond)}/s, ${cpuUs.toFixed(1)} µs of CPU each, ` +
                    `${errors} errors`,
            );
        }
        if (index === names.length >> 1) await takeBaseline();
    }
    if (program) {
        progress('reads without a database');
        results.read = await bench.read(256);
    }
    if (wants('uploads')) {
        progress('uploads');
        results.uploads = await bench.uploads(quick ? 3 : 5);
    }
    if (wants('starts')) {
        progress('starts');
        results.starts = await bench.starts(5);
    }
    if (wants('memory')) {
        progress('one server through everything');
        results.life = await bench.life();
    }
    await takeBaseline();
    if (wants('pools')) {
        for (const name of ['assigned', 'locked']) data.remove(name);
        const many = await makeMany(data, chosen);
        progress('random assignment with few and with many free codes');
        results.pools = await bench.pools(10_000, many, quick ? 5 : 15);
    }
    if (baselines.length > 0) results.baseline = middleOf(baselines);
    results.peaks = bench.peaks;
    if (wants('memory')) {
        results.peak = bench.peaks.reduce((most, peak) => (peak.bytes > most.bytes ? peak : most));
    }
}

const chosen = options();
const folder = temporaryFolder(chosen.folder);
const { bavail, bsize } = statfsSync(folder);
const neededBytes = (chosen.full ? 12e9 : 0) + chosen.codes * 4_000;
if (bavail * bsize < neededBytes) {
    usage(`${folder} has too little room; ${(neededBytes / 1e9).toFixed(0)} GB are needed`);
}
const results = { codes: chosen.codes, quick: chosen.quick, commands: [] };
try {
    // Before the build, which is a load of its own.
    const loadAverage = os.loadavg();
    chosen.binary ??= await build();
    results.machine = { ...describeMachine(root, folder, chosen.binary), loadAverage };
    if (chosen.given) results.machine.revision = `of unknown revision, ${chosen.binary}`;
    if (results.machine.filesystem === 'tmpfs') usage(`${folder} is in memory, not on a disk`);
    await measure(chosen, results, folder);
} catch (error) {
    process.stderr.write(`script/bench: ${error.stack}\n`);
    process.exit(1);
}
progress('done');
process.stdout.write(markdown(results));
if (chosen.json) writeFileSync(chosen.json, `${JSON.stringify(results, null, 4)}\n`);
const failed = [...results.commands, results.read, results.pools, results.life].reduce(
    (sum, part) => sum + (part?.errors ?? 0),
    0,
);
if (failed > 0) {
    process.stderr.write(`script/bench: ${failed} requests were not answered as they must be\n`);
    process.exit(1);
}
process.exit(0);
