// One kind of command over and over, on a copy of the data that nobody else uses.
//
// A copy has
//   rows(name)          how many rows show that the command was carried out
//   checkCounters()     throws where what the server counts is not what is there
//   serve()             a coupond on it
//   pids                {postgres, redis}, where those work for it
//   logPosition()       how many bytes its write-ahead log has ever got; nothing where the server
//                       itself writes to the disk
//   remove()
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { watch } from './machine.mjs';
import { run } from './processes.mjs';

const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'load.lua');

/** The commands: the data they start from, and which rows show that one was carried out. */
export const commands = {
    redeem: { from: 'locked', title: 'redeem', carriedOut: 'redeemed_at IS NOT NULL' },
    limited: {
        from: 'locked',
        kind: 'redeem',
        title: 'redeem, one a user',
        // As if the book had been created so (src/domain/settings.cpp).
        sql: `UPDATE coupon_book SET max_redemptions_per_user = 1,
                  settings = 'counts_users_since ' || created_at || '\n';
              UPDATE ledger SET detail = detail || 'max_redemptions_per_user 1\n' ||
                  'counts_users_since ' || at || '\n' WHERE type = 1;
              INSERT INTO counted_lock SELECT id, book_id, assigned_to, locked_until, NULL, NULL
              FROM coupon_code WHERE locked_until IS NOT NULL;
              INSERT INTO usage_count SELECT book_id, user_number, 0, 0, -1, 0, 0, NULL, count(*), 0
              FROM counted_lock GROUP BY book_id, user_number;`,
        carriedOut: 'redeemed_at IS NOT NULL',
    },
    open: { from: 'open', title: 'redeem one open code', carriedOut: 'redeemed_at IS NOT NULL' },
    lock: { from: 'assigned', title: 'lock', carriedOut: 'locked_until IS NOT NULL' },
    assign: { from: 'free', title: 'assign one code', carriedOut: 'assigned_to IS NOT NULL' },
    random: { from: 'free', title: 'assign a random code', carriedOut: 'assigned_to IS NOT NULL' },
};

export function median(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** One run of wrk; the figures that load.lua prints. */
export async function load(server, kind, { connections, seconds, codes, first, most }) {
    const printed = await run(
        'wrk',
        ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '--latency', '-s', script,
            server.url, '--', kind, String(codes), String(first), String(most)],
        { withinMs: (seconds + 30) * 1000 },
    );
    return JSON.parse(printed.trimEnd().split('\n').pop());
}

/**
 * Pace, latencies, batches, processor time and errors of a command. With several `processes`, the
 * connections and the codes are divided among as many servers, each with a wrk of its own. `serve`:
 * starts one of the servers.
 */
export async function measureCommand(copy, name, options) {
    const { connections, codes, warmUpSeconds, seconds, processes = 1 } = options;
    const { serve = () => copy.serve() } = options;
    const kind = commands[name].kind ?? name;
    const share = Math.floor(codes / processes);
    const before = await copy.rows(name);
    const servers = [];
    for (let i = 0; i < processes; i += 1) servers.push(await serve());
    const loadAll = (next) =>
        Promise.all(
            servers.map((server, i) =>
                load(server, kind, { connections: connections / processes, codes, ...next(i) }),
            ),
        );

    const warmUps = await loadAll((i) => ({
        seconds: warmUpSeconds,
        first: i * share,
        most: Math.floor(share / 5),
    }));
    // As long as the codes are likely to last.
    const lasting = warmUps.map((figures) => (0.95 * (share - figures.sent)) / paceOf(figures));
    const logBefore = await copy.logPosition();
    const stopWatch = watch(servers.map(({ pid }) => pid), copy.pids);
    const measured = await loadAll((i) => ({
        seconds: Math.max(1, Math.min(seconds, Math.floor(Math.min(...lasting)))),
        first: i * share + warmUps[i].sent,
        most: share - warmUps[i].sent,
    }));
    const taken = stopWatch();
    const logAfter = await copy.logPosition();
    if (logBefore !== undefined) taken.writtenBytes = logAfter - logBefore;

    const ends = [];
    for (const server of servers) ends.push(await server.stop());
    const rows = (await copy.rows(name)) - before;
    await copy.checkCounters(name);
    return {
        name,
        connections,
        processes,
        batch: sum(ends, 'commands') / Math.max(1, sum(ends, 'batches')),
        peakMemoryBytes: Math.max(...ends.map(({ peakMemoryBytes }) => peakMemoryBytes)),
        ...figuresOf(warmUps, measured, rows, taken),
    };
}

function sum(all, name) {
    return all.reduce((total, each) => total + each[name], 0);
}

function figuresOf(warmUps, measured, rows, taken) {
    // Of several the slower one's.
    const most = (name) => Math.max(...measured.map((figures) => figures[name]));
    return {
        perSecond: measured.reduce((total, figures) => total + paceOf(figures), 0),
        p50Ms: most('p50Us') / 1000,
        p99Ms: most('p99Us') / 1000,
        maxMs: most('maxUs') / 1000,
        answered: measured.reduce((total, figures) => total + answeredOf(figures), 0),
        ranOut: measured.some(({ ended }) => ended > 0),
        ...countErrors([...warmUps, ...measured], rows),
        ...perRequest(taken, sum(measured, 'requests')),
    };
}

/** Commands a second: up to the last where they ran out, else of the whole time. */
export function paceOf({ ended, began, sent, requests, seconds }) {
    return ended > 0 ? sent / (ended - began) : requests / seconds;
}

function answeredOf({ ended, sent, requests }) {
    return ended > 0 ? sent : requests;
}

/**
 * What went wrong in some loads that together changed `rows` rows: requests answered otherwise than
 * they must be or not at all, promised changes that are not in the database, and changes that
 * nobody asked for.
 */
export function countErrors(loads, rows) {
    const refused = sum(loads, 'statusErrors');
    const lost = sum(loads, 'socketErrors');
    const answered = loads.reduce((total, figures) => total + answeredOf(figures), 0);
    const missing = Math.max(0, answered - refused - lost - rows);
    const surplus = Math.max(0, rows - sum(loads, 'sent'));
    return { errors: refused + lost + missing + surplus, refused, lost, missing, surplus };
}

export function perRequest(taken, requests) {
    const us = (seconds) => (seconds * 1e6) / requests;
    return {
        cpuUs: us(taken.serverSeconds),
        networkUs: us(taken.networkSeconds),
        laneUs: us(taken.laneSeconds),
        postgresUs: us(taken.postgresSeconds),
        redisUs: us(taken.redisSeconds),
        loadUs: us(taken.loadSeconds),
        writtenBytes: taken.writtenBytes / requests,
        othersShare: taken.othersShare,
    };
}
