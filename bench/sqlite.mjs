// What is measured with SQLite.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { code, codesPerUpload, longCode, sendUpload, upload } from './codes.mjs';
import { commands, countErrors, load, measureCommand, median, perRequest } from './command.mjs';
import { watch } from './machine.mjs';
import { run } from './processes.mjs';
import { progress, progressOf, root } from './progress.mjs';
import { Data } from './sqlite_data.mjs';

const commandNames = ['redeem', 'limited', 'open', 'lock', 'assign', 'random'];
export const phases = [
    ...commandNames, 'validate', 'pools', 'lists', 'statistics', 'verify', 'uploads', 'starts', 'memory', 'baseline',
];
const defaultConnections = { limited: [256], open: [256] };

const pageCodes = 1_000;

/** As if something had happened in every quarter of an hour of the last 30 days but the latest. */
const monthOfActivity = `
    WITH RECURSIVE quarter (since) AS (
        SELECT min(since) - 900000 FROM activity_count UNION ALL
        SELECT since - 900000 FROM quarter LIMIT 2880)
    INSERT INTO activity_count
        (book_id, since, uploaded, assigned, locked, redeemed, discount_cents, standing)
        SELECT 1, since, 0, 3, 2, 1, 500, 1 FROM quarter;
    INSERT INTO refusal_count SELECT 1, since, 'not_locked', 1 FROM activity_count WHERE book_id = 1;`;

/** The middle of how long each path takes on one connection, in ms, asked for in turns. */
async function timeInTurns(server, paths, isRight, times = 200) {
    const all = paths.map(() => []);
    for (let i = 0; i < times + 20; i += 1) {
        for (const [at, path] of paths.entries()) {
            const began = performance.now();
            const answer = await fetch(server.url + path);
            const text = await answer.text();
            const ms = performance.now() - began;
            if (answer.status !== 200 || !isRight(JSON.parse(text))) {
                throw new Error(`${path}: ${answer.status} ${text.slice(0, 200)}`);
            }
            if (i >= 20) all[at].push(ms); // the first ones warm up
        }
    }
    return all.map(median);
}

class Bench {
    peaks = []; // {phase, bytes}
    #data;
    #options;

    /** Options: `codes`, `warmUpSeconds`, `seconds`. */
    constructor(data, options) {
        this.#data = data;
        this.#options = options;
    }

    async #stop(server, phase) {
        const end = await server.stop();
        this.peaks.push({ phase, bytes: end.peakMemoryBytes });
        return end;
    }

    async command(name, connections) {
        const copy = await this.#data.copy(commands[name].from);
        if (commands[name].sql) await copy.sql(commands[name].sql);
        const result = await measureCommand(copy, name, { ...this.#options, connections });
        this.peaks.push({ phase: `${name} ${connections}`, bytes: result.peakMemoryBytes });
        copy.remove();
        return result;
    }

    /** Requests of a kind that change nothing. */
    async read(kind, from, connections, isRight) {
        const copy = await this.#data.copy(from);
        const server = await copy.serve();
        const options = { connections, codes: this.#options.codes, first: 0, most: 1e15 };
        await load(server, kind, { ...options, seconds: this.#options.warmUpSeconds });
        const stopWatch = watch([server.pid]);
        const figures = await load(server, kind, {
            ...options,
            seconds: Math.min(5, this.#options.seconds),
        });
        const taken = stopWatch();
        const right = await isRight(server);
        await this.#stop(server, kind);
        copy.remove();
        return {
            connections,
            perSecond: figures.requests / figures.seconds,
            p50Ms: figures.p50Us / 1000,
            p99Ms: figures.p99Us / 1000,
            errors: figures.statusErrors + figures.socketErrors + (right ? 0 : 1),
            ...perRequest(taken, figures.requests),
        };
    }

    /** Answers that need no database. */
    live(connections) {
        return this.read('read', 'free', connections, async (server) => {
            const answer = await fetch(`${server.url}/health/live`);
            return answer.status === 200;
        });
    }

    validate(connections) {
        return this.read('validate', 'assigned', connections, async (server) => {
            const i = this.#options.codes >> 1;
            const answer = await fetch(`${server.url}/coupon/validate/${code(i)}`, {
                method: 'POST',
                headers: { 'content-type': 'application/json' },
                body: JSON.stringify({ userId: `user-${String(i).padStart(7, '0')}` }),
            });
            return answer.status === 200 && (await answer.json()).valid;
        });
    }

    /**
     * Random assignment with few and with many free codes: rounds of `few / 2` assignments on
     * either server in turn, and as many new codes before the next.
     */
    async pools(few, many, rounds) {
        const most = few / 2;
        await this.#data.makeFree('few', few, longCode);
        const sizes = [];
        for (const [from, free] of [['few', few], [many.from, many.free]]) {
            const copy = await this.#data.copy(from);
            const server = await copy.serve();
            sizes.push({ free, copy, server, paces: [], loads: [] });
        }
        for (let round = 0; round < rounds; round += 1) {
            // In turns, so that neither always comes right after the uploads.
            for (const size of round % 2 === 0 ? sizes : [...sizes].reverse()) {
                const figures = await load(size.server, 'random', {
                    connections: 64,
                    seconds: 2,
                    codes: most,
                    first: 0,
                    most,
                });
                size.loads.push(figures);
                size.paces.push(
                    figures.ended > 0
                        ? (figures.sent - figures.skipped) / (figures.ended - figures.settled)
                        : figures.requests / figures.seconds,
                );
            }
            for (const size of sizes) {
                writeFileSync(
                    this.#data.file('refill.json'),
                    upload(1e8 + round * most, 1e8 + (round + 1) * most, longCode),
                );
                await sendUpload(size.server, this.#data.file('refill.json'));
            }
        }
        for (const size of sizes) {
            await this.#stop(size.server, `random of ${size.free}`);
            const rows = await size.copy.rows('random');
            size.errors = countErrors(size.loads, rows).errors;
            size.copy.remove();
        }
        this.#data.remove('few');
        const [small, large] = sizes.map(({ free, errors, paces }) => ({
            free,
            errors,
            perSecond: median(paces),
            paces,
        }));
        return {
            small,
            large,
            ratio: small.perSecond / large.perSecond,
            errors: small.errors + large.errors,
        };
    }

    /** Page 1 and page 1,000 of a list of codes, in turns. */
    async lists({ from, free }) {
        const copy = await this.#data.copy(from);
        const server = await copy.serve();
        const pages = [1, free / pageCodes < 1_000 ? free / pageCodes : 1_000];
        const [first, last] = await timeInTurns(
            server,
            pages.map((page) => `/coupon/codes/1?limit=${pageCodes}&after=${(page - 1) * pageCodes}`),
            ({ length }) => length === pageCodes,
        );
        await this.#stop(server, 'lists');
        copy.remove();
        return { codes: free, page: pages[1], firstMs: first, lastMs: last, ratio: last / first };
    }

    /** Statistics of 30 days of few and of many codes, in turns. */
    async statistics(few, { from, free }) {
        await this.#data.makeFree('few', few, longCode);
        const times = [];
        for (const [name, codes] of [['few', few], [from, free]]) {
            const copy = await this.#data.copy(name);
            await copy.sql(monthOfActivity);
            const server = await copy.serve();
            const [ms] = await timeInTurns(
                server,
                ['/coupon/1/stats'],
                ({ totals, series }) => totals.total === codes && series.length === 30,
            );
            times.push(ms);
            await this.#stop(server, `statistics of ${codes}`);
            copy.remove();
        }
        this.#data.remove('few');
        return { few, many: free, fewMs: times[0], manyMs: times[1], ratio: times[1] / times[0] };
    }

    /** coupond verify, of codes that are assigned and locked. */
    async verify() {
        const copy = await this.#data.copy('locked');
        const seconds = await copy.verify();
        copy.remove();
        return { codes: this.#options.codes, seconds };
    }

    /** As many codes as one request may bring, on top of the others, some times over. */
    async uploads(times) {
        const copy = await this.#data.copy('free');
        const server = await copy.serve();
        const seconds = [];
        for (let i = 0; i < times; i += 1) {
            const from = 2e8 + i * codesPerUpload;
            const file = this.#data.file('upload.json');
            writeFileSync(file, upload(from, from + codesPerUpload, longCode));
            seconds.push(await sendUpload(server, file));
        }
        await this.#stop(server, 'upload');
        copy.remove();
        return {
            codes: codesPerUpload,
            onto: this.#options.codes,
            seconds: median(seconds),
            all: seconds,
        };
    }

    /**
     * The whole life of codes through one server: assigned, locked, redeemed, assigned at random,
     * and uploads. For its peak memory.
     */
    async life() {
        const copy = await this.#data.copy('free');
        const server = await copy.serve();
        const { codes, seconds } = this.#options;
        const options = { connections: 256, seconds, codes, first: 0 };
        let most = Math.floor(codes / 5);
        let errors = 0;
        for (const kind of ['assign', 'lock', 'redeem', 'random']) {
            const figures = await load(server, kind, { ...options, most });
            errors += figures.statusErrors + figures.socketErrors;
            // Only codes whose answer has come are taken further.
            most = figures.ended > 0 ? most : Math.max(1, figures.sent - 2 * 256);
        }
        for (let i = 0; i < 3; i += 1) await this.#data.addLongCodes(server, codesPerUpload);
        const { peakMemoryBytes } = await this.#stop(server, 'one server through everything');
        await copy.checkCounters();
        copy.remove();
        return { peakMemoryBytes, errors };
    }

    /** From the start of the process to its ready line, on the file as a clean stop leaves it. */
    async starts(times) {
        const copy = await this.#data.copy('free');
        const all = [];
        for (let i = 0; i < times; i += 1) {
            const server = await copy.serve();
            all.push(server.readyMs);
            await this.#stop(server, 'start');
        }
        copy.remove();
        return { ms: median(all), all };
    }

    /** What the disk does, and the SQLite library with one row a transaction. */
    async baseline(program, seconds) {
        const copy = await this.#data.copy('locked');
        const limit = { withinMs: (seconds + 60) * 1000 };
        const figures = async (...args) => JSON.parse(await run(program, args, limit));
        const append = await figures('append', copy.folder, String(seconds));
        const overwrite = await figures('overwrite', copy.folder, String(seconds));
        const rows = await figures(
            'rows',
            copy.database,
            String(seconds),
            String(this.#options.codes),
        );
        copy.remove();
        return { append, overwrite, rows };
    }
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
    if (wanted.open) {
        progress(`locking one open code for ${codes.toLocaleString('en-US')} users`);
        await data.makeOpen('open', codes);
    }
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

/** Measures what is chosen, and puts the figures into `results`. */
export async function measure(chosen, results, folder) {
    const { wants, quick } = chosen;
    const data = new Data(chosen.binary, folder);
    const bench = new Bench(data, chosen);
    const names = commandNames.filter(wants);
    const baselines = [];
    const program = wants('baseline') ? await compileBaseline() : undefined;
    const takeBaseline = async () => {
        if (!program) return;
        progress('baselines: the disk, and SQLite with one row a transaction');
        baselines.push(await bench.baseline(program, quick ? 1 : 3));
    };

    await makeData(data, chosen.codes, {
        assigned: wants('validate') || names.some((name) => commands[name].from === 'assigned'),
        open: names.includes('open'),
        locked: program !== undefined || wants('verify') || names.some((name) => commands[name].from === 'locked'),
    });
    await takeBaseline();
    for (const [index, name] of names.entries()) {
        for (const connections of chosen.connections ?? defaultConnections[name] ?? [64, 256]) {
            progress(`${commands[name].title}, ${connections} connections`);
            const result = await bench.command(name, connections);
            results.commands.push(result);
            progressOf(result);
        }
        if (index === names.length >> 1) await takeBaseline();
    }
    if (wants('validate')) {
        progress('validate a code, 256 connections');
        results.validate = await bench.validate(256);
        progressOf(results.validate);
    }
    if (program || wants('validate')) {
        progress('reads without a database');
        results.read = await bench.live(256);
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
    if (wants('verify')) {
        progress('verify');
        results.verify = await bench.verify();
    }
    if (!['pools', 'lists', 'statistics'].some(wants)) return finish(results, bench, baselines, wants);
    for (const name of ['assigned', 'locked']) data.remove(name);
    const many = await makeMany(data, chosen);
    if (wants('lists')) {
        progress('the first page of a list of codes and a far one');
        results.lists = await bench.lists(many);
    }
    if (wants('statistics')) {
        progress('statistics of few and of many codes');
        results.statistics = await bench.statistics(10_000, many);
    }
    if (wants('pools')) {
        progress('random assignment with few and with many free codes');
        results.pools = await bench.pools(10_000, many, quick ? 5 : 15);
    }
    finish(results, bench, baselines, wants);
}

function finish(results, bench, baselines, wants) {
    if (baselines.length > 0) results.baseline = middleOf(baselines);
    results.peaks = bench.peaks;
    if (wants('memory')) {
        results.peak = bench.peaks.reduce((most, peak) => (peak.bytes > most.bytes ? peak : most));
    }
}

/** How many requests were not answered as they must be. */
export function failures({ commands: measured, read, validate, pools, life }) {
    return [...measured, read, validate, pools, life].reduce((sum, part) => sum + (part?.errors ?? 0), 0);
}

/** How much room on the disk it takes. */
export function neededBytes({ full, codes }) {
    return (full ? 12e9 : 0) + codes * 4_000;
}
