// The measurements, each on a copy of its own of the data it starts from.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { codesPerUpload, longCode, sendUpload, upload } from './data.mjs';
import { watch } from './machine.mjs';
import { run } from './processes.mjs';

const script = path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname),
    'load.lua');

/** The commands: the data they start from, and which rows show that one was carried out. */
export const commands = {
    redeem: { from: 'locked', title: 'redeem', carriedOut: 'redeemed_at IS NOT NULL' },
    limited: {
        from: 'locked',
        kind: 'redeem',
        title: 'redeem, one a user',
        sql: 'UPDATE coupon_book SET max_redemptions_per_user = 1',
        carriedOut: 'redeemed_at IS NOT NULL',
    },
    lock: { from: 'assigned', title: 'lock', carriedOut: 'locked_by IS NOT NULL' },
    assign: { from: 'free', title: 'assign one code', carriedOut: 'assigned_to IS NOT NULL' },
    random: { from: 'free', title: 'assign a random code', carriedOut: 'assigned_to IS NOT NULL' },
};

export function median(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** One run of wrk; the figures that load.lua prints. */
async function load(server, kind, { connections, seconds, codes, first, most }) {
    const printed = await run(
        'wrk',
        ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '--latency', '-s', script,
            server.url, '--', kind, String(codes), String(first), String(most)],
        { withinMs: (seconds + 30) * 1000 },
    );
    return JSON.parse(printed.trimEnd().split('\n').pop());
}

export class Bench {
    peaks = []; // {phase, bytes}
    #data;
    #codes;
    #warmUpSeconds;
    #seconds;

    constructor(data, { codes, warmUpSeconds, seconds }) {
        this.#data = data;
        this.#codes = codes;
        this.#warmUpSeconds = warmUpSeconds;
        this.#seconds = seconds;
    }

    async #stop(server, phase) {
        const end = await server.stop();
        this.peaks.push({ phase, bytes: end.peakMemoryBytes });
        return end;
    }

    /** One kind of command over and over: pace, latencies, batches, processor time, errors. */
    async command(name, connections) {
        const { from, kind = name, sql, carriedOut } = commands[name];
        const folder = await this.#data.copy(from);
        if (sql) await this.#data.sql(folder, sql);
        const before = await this.#rows(folder, carriedOut);
        const server = await this.#data.serve(folder);

        const warmUp = await load(server, kind, {
            connections,
            codes: this.#codes,
            seconds: this.#warmUpSeconds,
            first: 0,
            most: Math.floor(this.#codes / 5),
        });
        // As long as the codes are likely to last.
        const left = this.#codes - warmUp.sent;
        const pace = paceOf(warmUp);
        const seconds = Math.max(1, Math.min(this.#seconds, Math.floor((0.95 * left) / pace)));
        const stopWatch = watch(server.pid);
        const measured = await load(server, kind, {
            connections,
            codes: this.#codes,
            seconds,
            first: warmUp.sent,
            most: left,
        });
        const taken = stopWatch();

        const { batch } = await this.#stop(server, `${name} ${connections}`);
        const rows = (await this.#rows(folder, carriedOut)) - before;
        await this.#checkCounters(folder);
        this.#data.remove(folder);
        return { name, connections, batch, ...this.#figures([warmUp, measured], rows, taken) };
    }

    #figures(loads, rows, taken) {
        const figures = loads.at(-1);
        const ranOut = figures.ended > 0;
        const answered = ranOut ? figures.sent : figures.requests;
        return {
            perSecond: paceOf(figures),
            p50Ms: figures.p50Us / 1000,
            p99Ms: figures.p99Us / 1000,
            maxMs: figures.maxUs / 1000,
            answered,
            ranOut,
            ...countErrors(loads, rows),
            ...perRequest(taken, figures.requests),
        };
    }

    async #rows(folder, condition) {
        return Number(
            await this.#data.sql(folder, `SELECT count(*) FROM coupon_code WHERE ${condition}`),
        );
    }

    /** What the server counts must be what is there. */
    async #checkCounters(folder) {
        const differences = await this.#data.sql(
            folder,
            `SELECT * FROM book_count EXCEPT SELECT book_id, count(*),
                 sum(assigned_to IS NULL), sum(redeemed_at IS NOT NULL)
             FROM coupon_code GROUP BY book_id`,
        );
        assert.equal(differences, '', 'book_count is not what is in coupon_code');
    }

    /** An answer that needs no database. */
    async read(connections) {
        const folder = await this.#data.copy('free');
        const server = await this.#data.serve(folder);
        const options = { connections, codes: this.#codes, first: 0, most: 1e15 };
        await load(server, 'read', { ...options, seconds: this.#warmUpSeconds });
        const stopWatch = watch(server.pid);
        const figures = await load(server, 'read', {
            ...options,
            seconds: Math.min(5, this.#seconds),
        });
        const taken = stopWatch();
        await this.#stop(server, 'read');
        this.#data.remove(folder);
        return {
            connections,
            perSecond: figures.requests / figures.seconds,
            p50Ms: figures.p50Us / 1000,
            p99Ms: figures.p99Us / 1000,
            errors: figures.statusErrors + figures.socketErrors,
            ...perRequest(taken, figures.requests),
        };
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
            const folder = await this.#data.copy(from);
            const server = await this.#data.serve(folder);
            sizes.push({ free, folder, server, paces: [], loads: [] });
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
            const rows = await this.#rows(size.folder, 'assigned_to IS NOT NULL');
            size.errors = countErrors(size.loads, rows).errors;
            this.#data.remove(size.folder);
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

    /** As many codes as one request may bring, on top of the others, some times over. */
    async uploads(times) {
        const folder = await this.#data.copy('free');
        const server = await this.#data.serve(folder);
        const seconds = [];
        for (let i = 0; i < times; i += 1) {
            const from = 2e8 + i * codesPerUpload;
            const file = this.#data.file('upload.json');
            writeFileSync(file, upload(from, from + codesPerUpload, longCode));
            seconds.push(await sendUpload(server, file));
        }
        await this.#stop(server, 'upload');
        this.#data.remove(folder);
        return { codes: codesPerUpload, onto: this.#codes, seconds: median(seconds), all: seconds };
    }

    /**
     * The whole life of codes through one server: assigned, locked, redeemed, assigned at random,
     * and uploads. For its peak memory.
     */
    async life() {
        const folder = await this.#data.copy('free');
        const server = await this.#data.serve(folder);
        const options = { connections: 256, seconds: this.#seconds, codes: this.#codes, first: 0 };
        let most = Math.floor(this.#codes / 5);
        let errors = 0;
        for (const kind of ['assign', 'lock', 'redeem', 'random']) {
            const figures = await load(server, kind, { ...options, most });
            errors += figures.statusErrors + figures.socketErrors;
            // Only codes whose answer has come are taken further.
            most = figures.ended > 0 ? most : Math.max(1, figures.sent - 2 * 256);
        }
        for (let i = 0; i < 3; i += 1) await this.#data.addLongCodes(server, codesPerUpload);
        const { peakMemoryBytes } = await this.#stop(server, 'one server through everything');
        await this.#checkCounters(folder);
        this.#data.remove(folder);
        return { peakMemoryBytes, errors };
    }

    /** From the start of the process to its ready line, on the file as a clean stop leaves it. */
    async starts(times) {
        const folder = await this.#data.copy('free');
        const all = [];
        for (let i = 0; i < times; i += 1) {
            const server = await this.#data.serve(folder);
            all.push(server.readyMs);
            await this.#stop(server, 'start');
        }
        this.#data.remove(folder);
        return { ms: median(all), all };
    }

    /** What the disk does, and the SQLite library with one row a transaction. */
    async baseline(program, seconds) {
        const folder = await this.#data.copy('locked');
        const limit = { withinMs: (seconds + 60) * 1000 };
        const figures = async (...args) => JSON.parse(await run(program, args, limit));
        const append = await figures('append', this.#data.file(folder), String(seconds));
        const overwrite = await figures('overwrite', this.#data.file(folder), String(seconds));
        const rows = await figures(
            'rows',
            this.#data.database(folder),
            String(seconds),
            String(this.#codes),
        );
        this.#data.remove(folder);
        return { append, overwrite, rows };
    }
}

/** Commands a second: up to the last where they ran out, else of the whole time. */
function paceOf({ ended, began, sent, requests, seconds }) {
    return ended > 0 ? sent / (ended - began) : requests / seconds;
}

/**
 * What went wrong in some loads that together changed `rows` rows: requests answered otherwise than
 * they must be or not at all, promised changes that are not in the file, and changes that nobody
 * asked for.
 */
function countErrors(loads, rows) {
    const sum = (valueOf) => loads.reduce((total, figures) => total + valueOf(figures), 0);
    const refused = sum(({ statusErrors }) => statusErrors);
    const lost = sum(({ socketErrors }) => socketErrors);
    const answered = sum(({ ended, sent, requests }) => (ended > 0 ? sent : requests));
    const missing = Math.max(0, answered - refused - lost - rows);
    const surplus = Math.max(0, rows - sum(({ sent }) => sent));
    return { errors: refused + lost + missing + surplus, refused, lost, missing, surplus };
}

function perRequest(taken, requests) {
    const us = (seconds) => (seconds * 1e6) / requests;
    return {
        cpuUs: us(taken.serverSeconds),
        networkUs: us(taken.networkSeconds),
        laneUs: us(taken.laneSeconds),
        writtenBytes: taken.writtenBytes / requests,
        othersShare: taken.othersShare,
    };
}
