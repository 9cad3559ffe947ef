// What is measured with PostgreSQL and Redis. Before and after each measurement pgbench does its
// one change a transaction; the ratios are to the mean of both, for the machine is not always
// equally fast.
import { commands, measureCommand, median } from './command.mjs';
import { pgbench } from './pgbench.mjs';
import { PostgresData } from './postgres_data.mjs';
import { Postgres, Redis } from './postgres_servers.mjs';
import { progress, progressOf } from './progress.mjs';

/** `connections`: with how many, unless others are chosen; `inRedis`: where locks are kept. */
const measurements = [
    { phase: 'redeem', name: 'redeem', connections: [256, 64], inRedis: true },
    { phase: 'assign', name: 'assign', connections: [256], inRedis: true },
    { phase: 'random', name: 'random', connections: [256], inRedis: true },
    { phase: 'lock', name: 'lock', connections: [256], inRedis: true },
    { phase: 'alone', name: 'redeem', connections: [256], inRedis: false },
    { phase: 'alone', name: 'lock', connections: [256], inRedis: false },
];
export const phases = [
    ...new Set(measurements.map(({ phase }) => phase)),
    'latency',
    'processes',
    'row',
    'pgbench',
];

function mean(values) {
    return values.reduce((sum, value) => sum + value, 0) / values.length;
}

class Bench {
    baselines = []; // every run of pgbench with 64 clients
    #chosen;
    #postgres;
    #data;
    #folder;

    constructor({ chosen, postgres, data, folder }) {
        this.#chosen = chosen;
        this.#postgres = postgres;
        this.#data = data;
        this.#folder = folder;
    }

    async #pgbench(clients) {
        progress(`pgbench, ${clients === 1 ? 'one client' : `${clients} clients`}`);
        const figures = await pgbench({
            postgres: this.#postgres,
            data: this.#data,
            folder: this.#folder,
            codes: this.#chosen.codes,
            clients,
            warmUpSeconds: 1,
            seconds: this.#chosen.quick ? 2 : 4,
        });
        progress(`  ${Math.round(figures.perSecond)}/s, ${figures.p50Ms.toFixed(2)} ms`);
        return figures;
    }

    /** With 64 clients, where that is wanted. */
    async baseline() {
        if (!this.#chosen.wants('pgbench')) return;
        this.baselines.push(await this.#pgbench(64));
    }

    async command(name, { inRedis, connections, processes = 1, seconds, binary }) {
        const words = [
            commands[name].title,
            connections === 1 ? 'one connection' : `${connections} connections`,
            inRedis ? 'locks in Redis' : 'locks in PostgreSQL',
            ...(processes > 1 ? [`${processes} processes`] : []),
            ...(binary ? ['batches of one'] : []),
        ];
        progress(words.join(', '));
        const copy = await this.#data.copy(name, inRedis);
        const result = await measureCommand(copy, name, {
            ...this.#chosen,
            seconds: seconds ?? this.#chosen.seconds,
            connections,
            processes,
            serve: () => copy.serve(binary),
        });
        await copy.remove();
        progressOf(result);
        return { ...result, inRedis };
    }

    /** `take()` between two runs of pgbench, the first of them the last one's second. */
    async compared(take) {
        if (this.baselines.length === 0) await this.baseline();
        const result = await take();
        await this.baseline();
        if (this.baselines.length === 0) return result;
        const [before, after] = this.baselines.slice(-2).map(({ perSecond }) => perSecond);
        return { ...result, before, after, ratio: result.perSecond / mean([before, after]) };
    }

    /** One request after the other, against one client of pgbench. */
    async latency() {
        const before = await this.#pgbench(1);
        const seconds = Math.min(5, this.#chosen.seconds);
        const result = await this.command('redeem', { inRedis: true, connections: 1, seconds });
        const after = await this.#pgbench(1);
        const ratio = result.p50Ms / mean([before.p50Ms, after.p50Ms]);
        return { ...result, before: before.p50Ms, after: after.p50Ms, ratio, baseline: before };
    }

    /** Two processes on the same database and Redis, between two measurements of one. */
    async processes() {
        const all = [];
        for (const processes of [1, 2, 1]) {
            const seconds = Math.min(6, this.#chosen.seconds);
            const options = { inRedis: true, connections: 256, processes, seconds };
            all.push(await this.command('redeem', options));
        }
        const [before, two, after] = all;
        return {
            ...two,
            before: before.perSecond,
            after: after.perSecond,
            ratio: two.perSecond / mean([before.perSecond, after.perSecond]),
            errors: all.reduce((sum, { errors }) => sum + errors, 0),
        };
    }

    /** coupond with batches of one. */
    row(binary) {
        const seconds = Math.min(4, this.#chosen.seconds);
        return this.command('redeem', { inRedis: true, connections: 64, seconds, binary });
    }
}

async function makeData(data, wanted, alsoPgbench) {
    for (const state of ['free', 'assigned', 'locked']) {
        if (!wanted.some(({ name, inRedis }) => PostgresData.stateFor(name, inRedis) === state)) {
            continue;
        }
        progress(`making the database of ${state} codes`);
        await data.makeCodes(state);
    }
    if (wanted.some(({ name, inRedis }) => inRedis && commands[name].from === 'locked')) {
        progress('locking them in Redis');
        await data.makeLocks();
    }
    if (!alsoPgbench) return;
    progress("making pgbench's database");
    await data.makePgbench();
}

/** Measures what is chosen, and puts the figures into `results`. */
export async function measure(chosen, results, folder) {
    const { wants } = chosen;
    progress('starting PostgreSQL');
    const postgres = await Postgres.start(folder);
    results.postgres = { version: postgres.version, settings: postgres.settings };
    results.redis = { version: await Redis.installedVersion() };
    const data = new PostgresData({ ...chosen, postgres, folder });
    const bench = new Bench({ chosen, postgres, data, folder });
    const wanted = measurements.filter(({ phase }) => wants(phase));
    const redeemsMore = ['latency', 'processes', 'row'].some(wants);
    await makeData(
        data,
        redeemsMore ? [...wanted, { name: 'redeem', inRedis: true }] : wanted,
        wants('pgbench') || wants('latency'),
    );

    const rows = [];
    const takeRow = async () => {
        if (!wants('row') || !chosen.rowBinary) return;
        rows.push(await bench.row(chosen.rowBinary));
    };
    await takeRow();
    for (const { name, inRedis, connections } of wanted) {
        for (const each of chosen.connections ?? connections) {
            const options = { inRedis, connections: each };
            results.commands.push(await bench.compared(() => bench.command(name, options)));
        }
    }
    await takeRow();
    if (wants('latency')) results.latency = await bench.latency();
    if (wants('processes')) results.processes = await bench.processes();
    if (rows.length > 0) {
        results.row = { ...rows[0], all: rows, perSecond: mean(rows.map((row) => row.perSecond)) };
        results.row.errors = rows.reduce((sum, { errors }) => sum + errors, 0);
    }
    if (wants('pgbench') && bench.baselines.length === 0) await bench.baseline();
    if (bench.baselines.length > 0) {
        const middle = (name) => median(bench.baselines.map((each) => each[name]));
        results.pgbench = {
            clients: 64,
            ...Object.fromEntries(
                ['perSecond', 'p50Ms', 'p99Ms', 'postgresUs', 'loadUs', 'othersShare'].map(
                    (name) => [name, middle(name)],
                ),
            ),
            all: bench.baselines,
        };
    }
    results.postgres.checkpoints = postgres.checkpoints;
    await postgres.stop();
}

/** How many requests were not answered as they must be. */
export function failures({ commands: measured, latency, processes, row }) {
    return [...measured, latency, processes, row].reduce(
        (sum, part) => sum + (part?.errors ?? 0),
        0,
    );
}

/** How much room on the disk it takes: the log, and some databases. */
export function neededBytes({ codes }) {
    return 5e9 + codes * 3_000;
}
