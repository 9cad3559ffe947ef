// What PostgreSQL does for a client that writes one row a transaction, for coupond to be compared
// with.
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { watch } from './machine.mjs';
import { programs } from './postgres_servers.mjs';
import { run } from './processes.mjs';
import { root } from './progress.mjs';

/** Times of transactions in seconds on the wall clock and their latencies in µs. */
function readLogs(folder) {
    return readdirSync(folder).flatMap((name) =>
        readFileSync(path.join(folder, name), 'utf8')
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => line.split(' ').map(Number))
            .map(([, , us, , seconds, fraction]) => ({ at: seconds + fraction / 1e6, us })),
    );
}

/** Runs pgbench.sql; the first `warmUpSeconds` do not count. */
export async function pgbench({ postgres, data, folder, codes, clients, warmUpSeconds, seconds }) {
    const database = await data.copyPgbench();
    const logs = path.join(folder, 'pgbench');
    mkdirSync(logs);
    const stopWatch = watch([], { postgres: postgres.pid });
    await run(
        `${programs}/pgbench`,
        ['--no-vacuum', '--protocol=prepared', `--client=${clients}`,
            `--jobs=${Math.min(2, clients)}`, `--time=${warmUpSeconds + seconds}`,
            `--file=${path.join(root, 'bench/pgbench.sql')}`, `--define=codes=${codes}`,
            `--define=now=${Date.now()}`, '--log', `--log-prefix=${path.join(logs, 'log')}`,
            database],
        { env: postgres.clientEnvironment(), withinMs: (seconds + 60) * 1000 },
    );
    const taken = stopWatch();
    const all = readLogs(logs);
    rmSync(logs, { recursive: true });
    const changed = Number(await postgres.sql(database, 'SELECT count(*) FROM bench_history'));
    if (changed !== all.length) {
        throw new Error(`pgbench logged ${all.length} transactions, there are ${changed}`);
    }
    await data.drop(database);

    // The time given to pgbench begins before its clients have connected, so what counts is the
    // time from the first transaction's beginning to the last one's end.
    const from = all.reduce((first, { at, us }) => Math.min(first, at - us / 1e6), Infinity);
    const to = all.reduce((last, { at }) => Math.max(last, at), 0);
    const counted = all.filter(({ at }) => at >= from + warmUpSeconds);
    if (counted.length === 0) throw new Error('pgbench came to no transaction in its time');
    const latencies = counted.map(({ us }) => us).sort((a, b) => a - b);
    const percentile = (share) => latencies[Math.floor(share * (latencies.length - 1))] / 1000;
    return {
        clients,
        perSecond: counted.length / (to - from - warmUpSeconds),
        p50Ms: percentile(0.5),
        p99Ms: percentile(0.99),
        postgresUs: (taken.postgresSeconds * 1e6) / all.length,
        loadUs: (taken.loadSeconds * 1e6) / all.length,
        othersShare: taken.othersShare,
    };
}
