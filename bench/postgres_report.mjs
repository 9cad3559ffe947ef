// The figures of PostgreSQL and Redis as Markdown for the README.
import { commands } from './command.mjs';
import { header, held, integer, microseconds, milliseconds, percent, table } from './table.mjs';

/** What coupond is held to; ratios are to pgbench, or to one process. */
const floors = {
    ratio: { redeem: { 64: 1.8, 256: 2.5 }, assign: { 256: 2 }, random: { 256: 2 } },
    perSecond: { lock: { 256: 40_000 } },
    latencyRatio: 2,
    processesRatio: 1,
};

function floorOf({ name, connections, inRedis, ratio, perSecond }) {
    const least = inRedis && floors.perSecond[name]?.[connections];
    if (least) return held(`≥ ${integer(least)}/s`, perSecond >= least);
    const leastRatio = inRedis && floors.ratio[name]?.[connections];
    return leastRatio && ratio ? held(`≥ ${leastRatio}×`, ratio >= leastRatio) : '';
}

function split(result) {
    return [
        microseconds(result.cpuUs + result.postgresUs + result.redisUs),
        `${result.networkUs.toFixed(1)}, ${result.laneUs.toFixed(1)}, ` +
            `${result.postgresUs.toFixed(1)}, ${microseconds(result.redisUs)}`,
        microseconds(result.loadUs),
    ];
}

const costs = ['>CPU a request', '>of it network, lane, PostgreSQL, Redis', '>load generator'];

function commandTable({ commands: measured, row }) {
    return table(
        ['', 'locks in', '>connections', '>requests/s', 'floor', '>× pgbench',
            '>pgbench before, after', '>× one row a transaction', '>p50', '>p99',
            '>commands a batch', ...costs, '>log a request', '>machine taken by others',
            '>errors'],
        measured.map((result) => [
            commands[result.name].title,
            result.inRedis ? 'Redis' : 'PostgreSQL',
            result.connections,
            integer(result.perSecond),
            floorOf(result),
            result.ratio?.toFixed(2) ?? '',
            result.ratio ? `${integer(result.before)}, ${integer(result.after)}` : '',
            row ? (result.perSecond / row.perSecond).toFixed(1) : '',
            milliseconds(result.p50Ms),
            milliseconds(result.p99Ms),
            integer(result.batch),
            ...split(result),
            `${(result.writtenBytes / 1024).toFixed(1)} KiB`,
            percent(result.othersShare),
            result.errors,
        ]),
    );
}

function otherTable({ latency, processes }) {
    const rows = [];
    const add = (what, { ratio, errors, ...result }, measured, compared, floor) =>
        rows.push([what, measured, compared, `${ratio.toFixed(2)}×`, floor, ...split(result), errors]);
    if (latency) {
        const { p50Ms, before, after, ratio } = latency;
        add(
            'redeem, one connection: p50, against one client of pgbench, before and after',
            latency,
            `${p50Ms.toFixed(2)} ms`,
            `${before.toFixed(2)}, ${after.toFixed(2)} ms`,
            held(`≤ ${floors.latencyRatio}×`, ratio <= floors.latencyRatio),
        );
    }
    if (processes) {
        const { perSecond, before, after, ratio } = processes;
        add(
            'redeem, two processes with 128 connections each, against one with 256, before and after',
            processes,
            `${integer(perSecond)}/s`,
            `${integer(before)}, ${integer(after)}/s`,
            held(`≥ ${floors.processesRatio}×`, ratio >= floors.processesRatio),
        );
    }
    if (rows.length === 0) return undefined;
    return table(
        ['', '>measured', '>against', '>ratio', 'floor', ...costs, '>errors'],
        rows,
    );
}

function baselineTable({ pgbench, latency, row }) {
    const rows = [];
    const add = (what, { perSecond, p50Ms, p99Ms, postgresUs, loadUs }, own) =>
        rows.push([
            what,
            integer(perSecond),
            `${p50Ms.toFixed(2)} ms`,
            `${p99Ms.toFixed(2)} ms`,
            own ?? '',
            microseconds(postgresUs),
            microseconds(loadUs),
        ]);
    const words = 'pgbench, one UPDATE and one INSERT a transaction, prepared';
    if (pgbench) add(`${words}, 64 clients; the middle of ${pgbench.all.length} runs`, pgbench);
    if (latency) add(`${words}, one client`, latency.baseline);
    if (row) {
        const own = microseconds(row.cpuUs + row.redisUs);
        add('coupond with batches of one: redeem, locks in Redis, 64 connections', row, own);
    }
    if (rows.length === 0) return undefined;
    return table(
        ['for comparison, in the same run', '>/s', '>p50', '>p99',
            '>CPU each of coupond and Redis', '>of PostgreSQL', '>of the load generator'],
        rows,
    );
}

export function markdown(results) {
    const { codes, postgres, redis } = results;
    const settings = Object.entries(postgres.settings).map((setting) => setting.join('='));
    const about = [
        `${integer(codes)} codes; every answer is durable but that of a lock in Redis.`,
        `PostgreSQL ${postgres.version} on the same machine and disk:`,
        `${settings.join(', ')};`,
        `Redis ${redis.version}, which keeps nothing on the disk; all over TCP on loopback.`,
    ];
    const parts = [
        header(results, about),
        results.commands.length > 0 ? commandTable(results) : undefined,
        otherTable(results),
        baselineTable(results),
    ];
    return `${parts.filter((part) => part !== undefined).join('\n\n')}\n`;
}
