// Measures coupond on this machine and prints the README's table. script/bench runs it.
import { accessSync, constants, existsSync, statfsSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import * as bulk from './bulk.mjs';
import * as bulkReport from './bulk_report.mjs';
import { describeMachine } from './machine.mjs';
import * as postgres from './postgres.mjs';
import * as postgresReport from './postgres_report.mjs';
import { run, temporaryFolder } from './processes.mjs';
import { progress, root } from './progress.mjs';
import * as sqlite from './sqlite.mjs';
import * as sqliteReport from './sqlite_report.mjs';

const help = `Measures coupond on this machine, with the load generator beside it, and prints a
table in Markdown.

  script/bench                          build, then measure everything with SQLite: about five
                                        minutes, and with --full five to ten more
  script/bench --postgres               the same with PostgreSQL 15 and Redis 7, which it starts for
                                        itself, against pgbench: about five minutes
  script/bench --bulk                   codes by the million: made, taken in and out, with SQLite and
                                        PostgreSQL, and redeeming beside that: about six minutes
  script/bench --quick                  does it work? in a minute or two; no figures to quote
  script/bench --phase redeem           only that; again for more: redeem, limited, open,
                                        lock, assign, random, validate, pools, lists, statistics,
                                        verify, uploads, starts, memory, baseline;
                                        with --postgres: redeem, assign, random, lock, alone
                                        (locks in PostgreSQL too), latency (one connection),
                                        processes (two), row (batches of one), pgbench;
                                        with --bulk: generate, import, export, beside, postgres,
                                        many (ten times as many)
  script/bench --json results.json      also every figure, for machines

  --full             compare random assignment, lists and statistics at 10,000,000 codes, not at
                     1,000,000; takes 12 GB of disk; not with --postgres
  --codes N          how many codes to begin with (1000000; with --quick 100000)
  --seconds N        how long each command is measured (10, with --postgres 8, with --quick 1)
  --connections N    only with so many connections (64 and 256; with --postgres mostly 256)
  --folder FOLDER    where data is kept meanwhile (build/bench): a disk, not memory; as root with
                     --postgres one that the user postgres may pass through
  --binary FILE      measure this coupond, build nothing; with --postgres, bench_one_row is looked
                     for beside it and left out where it is not
  --help

The table goes to stdout, progress to stderr. It ends with 1 where a request was not answered as
expected, or an answer is not in the database afterwards. A floor that is missed is marked in the
table.
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
                postgres: flag,
                bulk: flag,
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
    if (values.bulk && values.postgres) usage('--bulk measures PostgreSQL as well');
    const database = values.bulk
        ? { ...bulk, ...bulkReport }
        : values.postgres
          ? { ...postgres, ...postgresReport }
          : { ...sqlite, ...sqliteReport };
    for (const phase of values.phase ?? []) {
        if (database.phases.includes(phase)) continue;
        usage(`no phase ${phase}; there are ${database.phases.join(', ')}`);
    }
    if (values.full && (values.postgres || values.bulk)) usage('--full is for SQLite');
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
        database,
        postgres: values.postgres ?? false,
        quick,
        full: values.full ?? false,
        json: values.json,
        codes,
        seconds: number('seconds', quick ? 1 : values.postgres ? 8 : 10, 1, 600),
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

const rowProgram = 'bench_one_row'; // coupond with batches of one

/** The server as it is released. */
async function build(targets) {
    progress('building');
    const limits = { withinMs: 3_600_000, cwd: root }; // the presets are there
    await run('cmake', ['--preset', 'release'], limits);
    await run('cmake', ['--build', '--preset', 'release', '--target', ...targets], limits);
    return path.join(root, 'build/release/coupond');
}

const chosen = options();
const folder = temporaryFolder(chosen.folder);
const { bavail, bsize } = statfsSync(folder);
const needed = chosen.database.neededBytes(chosen);
if (bavail * bsize < needed) {
    usage(`${folder} has too little room; ${(needed / 1e9).toFixed(0)} GB are needed`);
}
const results = { codes: chosen.codes, quick: chosen.quick, commands: [] };
try {
    // Before the build, which is a load of its own.
    const loadAverage = os.loadavg();
    const alsoRow = chosen.postgres && chosen.wants('row');
    chosen.binary ??= await build(['coupond', ...(alsoRow ? [rowProgram] : [])]);
    if (alsoRow) {
        const program = path.join(path.dirname(chosen.binary), rowProgram);
        if (existsSync(program)) chosen.rowBinary = program;
        else progress(`${program} is not there: nothing is measured with batches of one`);
    }
    results.machine = { ...describeMachine(root, folder, chosen.binary), loadAverage };
    if (chosen.given) results.machine.revision = `of unknown revision, ${chosen.binary}`;
    if (results.machine.filesystem === 'tmpfs') usage(`${folder} is in memory, not on a disk`);
    await chosen.database.measure(chosen, results, folder);
} catch (error) {
    process.stderr.write(`script/bench: ${error.stack}\n`);
    process.exit(1);
}
progress('done');
process.stdout.write(chosen.database.markdown(results));
if (chosen.json) writeFileSync(chosen.json, `${JSON.stringify(results, null, 4)}\n`);
const failed = chosen.database.failures(results);
if (failed > 0) {
    process.stderr.write(`script/bench: ${failed} requests were not answered as they must be\n`);
    process.exit(1);
}
process.exit(0);
