// What is measured of codes by the million: made by a pattern, taken in as a file, taken out again,
// and what redemption is worth beside that.
import { createReadStream, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { load } from './command.mjs';
import { Postgres } from './postgres_servers.mjs';
import { Server, run } from './processes.mjs';
import { progress } from './progress.mjs';
import { Data } from './sqlite_data.mjs';

export const phases = ['generate', 'import', 'export', 'beside', 'postgres', 'many'];

const withinMs = 1_800_000;

async function call(server, method, route, body) {
    const answer = await fetch(server.url + route, {
        method,
        headers: { 'content-type': 'application/json', connection: 'close' },
        body: JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${route}: ${answer.status} ${text}`);
    return JSON.parse(text);
}

const newBook = (server, codePattern = '{16}') =>
    call(server, 'POST', '/coupon', { name: 'bench', codePattern });

/** The job, when it has ended. */
async function untilEnded(server, { id }) {
    for (const began = performance.now(); performance.now() - began < withinMs; await sleep(100)) {
        server.requireRunning();
        const job = await call(server, 'GET', `/coupon/jobs/${id}`);
        if (job.status === 'completed') return job;
        if (job.finishedAt) throw new Error(`a job has not completed: ${JSON.stringify(job)}`);
    }
    throw new Error('a job does not end');
}

/** How long it took, from when it was asked for. */
const secondsOf = (job) => (Date.parse(job.finishedAt) - Date.parse(job.createdAt)) / 1000;

/** What a job of `count` codes took of a server. */
async function figuresOf(server, job, count) {
    const total = (await call(server, 'GET', `/coupon/${job.couponBookId}`)).counts.total;
    if (job.created !== count || total !== count) {
        throw new Error(`${total} codes are there, ${job.created} were said to be, not ${count}`);
    }
    const seconds = secondsOf(job);
    return { count, seconds, perSecond: count / seconds, peakBytes: server.peakMemoryBytes() };
}

async function generate(server, count) {
    const book = await newBook(server);
    const job = await call(server, 'POST', `/coupon/generate/${book.id}`, { count });
    return figuresOf(server, await untilEnded(server, job), count);
}

/** Sends a file; the seconds count from the first byte on. */
async function bringIn(server, file, onConflict, count) {
    const book = await newBook(server);
    const began = Date.now();
    const printed = await run(
        'curl',
        ['--silent', '--show-error', '--fail-with-body', '--header', 'Content-Type: text/csv',
            '--header', 'Expect:', '--request', 'POST', '--upload-file', file,
            `${server.url}/coupon/codes/${book.id}?onConflict=${onConflict}`],
        { withinMs },
    );
    const job = await untilEnded(server, JSON.parse(printed));
    const seconds = (Date.parse(job.finishedAt) - began) / 1000;
    const bytes = statSync(file).size;
    const figures = await figuresOf(server, job, count);
    return { ...figures, seconds, perSecond: count / seconds, bytesPerSecond: bytes / seconds };
}

/** Takes all codes of a book out as a file. */
async function takeOut(server, bookId, file, count) {
    const printed = await run(
        'curl',
        ['--silent', '--show-error', '--fail-with-body', '--header', 'Accept: text/csv',
            '--output', file, '--write-out', '%{time_total}', `${server.url}/coupon/codes/${bookId}`],
        { withinMs },
    );
    const seconds = Number(printed);
    let lines = 0;
    for await (const bytes of createReadStream(file)) {
        for (const byte of bytes) if (byte === 10) lines += 1;
    }
    if (lines !== count + 1) throw new Error(`${lines} lines were taken out, not ${count + 1}`);
    const bytes = statSync(file).size;
    return {
        count,
        seconds,
        perSecond: count / seconds,
        bytesPerSecond: bytes / seconds,
        peakBytes: server.peakMemoryBytes(),
    };
}

/** The codes of a file that was taken out, in no order, in one column. */
function shuffled(from, to) {
    const codes = readFileSync(from, 'latin1')
        .split('\r\n')
        .slice(1, -1)
        .map((line) => line.slice(0, line.indexOf(',')));
    let seed = 1;
    for (let i = codes.length - 1; i > 0; i -= 1) {
        seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
        const j = seed % (i + 1);
        [codes[i], codes[j]] = [codes[j], codes[i]];
    }
    writeFileSync(to, `code\r\n${codes.join('\r\n')}\r\n`);
}

async function onNewFolder(chosen, folder, name, measure) {
    const data = path.join(folder, name);
    mkdirSync(data);
    const server = await Server.start(chosen.binary, data);
    const figures = await measure(server);
    await server.stop();
    await run('rm', ['-r', data]);
    return figures;
}

/** Redemptions alone, and while a job makes codes for another book. */
async function beside(chosen, folder) {
    const data = new Data(chosen.binary, folder);
    await data.makeFree('free', chosen.codes);
    await data.makeAssigned('assigned', 'free', chosen.codes);
    await data.makeLocked('locked', 'assigned', chosen.codes);
    const copy = await data.copy('locked');
    const server = await copy.serve();
    const book = await newBook(server);
    let first = 0;
    const redeem = async (seconds) => {
        const most = chosen.codes - first;
        const figures = await load(server, 'redeem', {
            connections: 256, seconds, codes: chosen.codes, first, most,
        });
        if (figures.requests >= most) throw new Error('there are too few codes: take more --codes');
        first += figures.requests + 256;
        return {
            perSecond: figures.requests / figures.seconds,
            p99Ms: figures.p99Us / 1000,
            errors: figures.statusErrors + figures.socketErrors,
        };
    };
    await redeem(chosen.warmUpSeconds);
    const alone = await redeem(chosen.seconds);
    const job = await call(server, 'POST', `/coupon/generate/${book.id}`, { count: 10_000_000 });
    await sleep(1_000);
    const before = await call(server, 'GET', `/coupon/jobs/${job.id}`);
    const began = performance.now();
    const together = await redeem(chosen.seconds);
    const seconds = (performance.now() - began) / 1000;
    const after = await call(server, 'GET', `/coupon/jobs/${job.id}`);
    if (after.status !== 'running') throw new Error(`the job is ${after.status}`);
    await call(server, 'DELETE', `/coupon/jobs/${job.id}`);
    await server.stop();
    copy.remove();
    return { alone, together, codesPerSecond: (after.created - before.created) / seconds };
}

/** A job on PostgreSQL, and the same rows by COPY into a table with the same indexes. */
async function onPostgres(chosen, folder, count) {
    const postgres = await Postgres.start(folder);
    await postgres.sql('postgres', 'CREATE DATABASE bulk OWNER coupond');
    const environment = postgres.environment('bulk');
    await run(chosen.binary, ['migrate'], { env: { PATH: '/usr/bin:/bin', ...environment }, cwd: folder });
    const server = await Server.start(chosen.binary, folder, environment);
    const made = await generate(server, count);
    await server.stop();
    await postgres.sql('bulk', 'CREATE TABLE bare (LIKE coupon_code INCLUDING ALL)');
    const file = path.join(folder, 'postgres', 'rows');
    await postgres.sql('bulk', `COPY coupon_code TO '${file}' (FORMAT binary); CHECKPOINT`);
    const began = performance.now();
    await postgres.sql('bulk', `COPY bare FROM '${file}' (FORMAT binary)`);
    const seconds = (performance.now() - began) / 1000;
    const rows = Number(await postgres.sql('bulk', 'SELECT count(*) FROM bare'));
    if (rows !== count) throw new Error(`${rows} rows were copied, not ${count}`);
    await postgres.stop();
    return { made, copyPerSecond: count / seconds };
}

/** Measures what is chosen, and puts the figures into `results`. */
export async function measure(chosen, results, folder) {
    const { wants, codes: count } = chosen;
    const exported = path.join(folder, 'exported.csv');
    const file = path.join(folder, 'codes.csv');
    if (['generate', 'import', 'export'].some(wants)) {
        progress('making codes');
        await onNewFolder(chosen, folder, 'generate', async (server) => {
            results.generate = await generate(server, count);
            if (!wants('import') && !wants('export')) return;
            progress('taking them out');
            results.export = await takeOut(server, 1, exported, count);
        });
    }
    if (wants('import')) {
        shuffled(exported, file);
        for (const onConflict of ['skip', 'fail']) {
            progress(`taking them in, onConflict=${onConflict}`);
            results[onConflict] = await onNewFolder(chosen, folder, onConflict, (server) =>
                bringIn(server, file, onConflict, count),
            );
        }
    }
    if (wants('beside')) {
        progress('redeeming, alone and beside a job');
        results.beside = await beside(chosen, folder);
    }
    if (wants('postgres')) {
        progress('making codes on PostgreSQL');
        results.postgres = await onPostgres(chosen, folder, count);
    }
    if (wants('many')) {
        progress('making ten times as many codes');
        results.many = await onNewFolder(chosen, folder, 'many', (server) =>
            generate(server, 10 * count),
        );
    }
}

/** How many requests were not answered as they must be. */
export function failures({ beside: measured }) {
    return measured ? measured.alone.errors + measured.together.errors : 0;
}

/** How much room on the disk it takes. */
export function neededBytes({ codes }) {
    return codes * 6_000;
}
