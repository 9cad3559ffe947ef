// The figures of PostgreSQL and Redis as Markdown for the README.
import { commands } from './command.mjs';
import { header, held, integer, milliseconds, percent, table } from './table.mjs';

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

function titleOf({ name, inRedis, processes }) {
    const title = commands[name].title;
    if (processes > 1) return `${title}, two processes`;
    return inRedis ? title : `${title}, PostgreSQL alone`;
}

function commandTable({ commands: measured, row }) {
    return table(
        ['', '>connections', '>requests/s', 'floor', '>× pgbench', '>pgbench before, after',
            '>× one row a transaction', '>p50', '>p99', '>errors'],
        measured.map((result) => [
            titleOf(result),
            result.connections,
            integer(result.perSecond),
            floorOf(result),
            result.ratio?.toFixed(2) ?? '',
            result.ratio ? `${integer(result.before)}, ${integer(result.after)}` : '',
            row ? (result.perSecond / row.perSecond).toFixed(1) : '',
            milliseconds(result.p50Ms),
            milliseconds(result.p99Ms),
            result.errors,
        ]),
    );
}

function otherTable({ latency, processes }) {
    const rows = [];
    if (latency) {
        const { p50Ms, before, after, ratio, errors } = latency;
        rows.push([
            'redeem, one connection: p50, against that of one client of pgbench',
            `${p50Ms.toFixed(2)} ms`,
            `${before.toFixed(2)}, ${after.toFixed(2)} ms`,
            `${ratio.toFixed(2)}×`,
            held(`≤ ${floors.latencyRatio}×`, ratio <= floors.latencyRatio),
            errors,
        ]);
    }
    if (processes) {
        const { perSecond, before, after, ratio, errors } = processes;
        rows.push([
            'redeem, two processes with 128 connections each, against one with 256',
            `${integer(perSecond)}/s`,
            `${integer(before)}, ${integer(after)}/s`,
            `${ratio.toFixed(2)}×`,
            held(`≥ ${floors.processesRatio}×`, ratio >= floors.processesRatio),
            errors,
        ]);
    }
    if (rows.length === 0) return undefined;
    return table(
        ['', '>measured', '>against that before, after', '>ratio', 'floor', '>errors'],
        rows,
    );
}

const pgbenchWords = 'pgbench: one UPDATE and one INSERT a transaction, prepared';

function baselineTable({ pgbench, latency, row }) {
    const rows = [];
    const add = (what, connections, { perSecond, p50Ms, p99Ms }) =>
        rows.push([
            what,
            connections,
            integer(perSecond),
            `${p50Ms.toFixed(2)} ms`,
            `${p99Ms.toFixed(2)} ms`,
        ]);
    if (pgbench) add(`${pgbenchWords}; the middle of ${pgbench.all.length} runs`, 64, pgbench);
    if (latency) add(pgbenchWords, 1, latency.baseline);
    if (row) add('coupond with batches of one: redeem', row.connections, row);
    if (rows.length === 0) return undefined;
    return table(
        ['for comparison, in the same run', '>connections', '>/s', '>p50', '>p99'],
        rows,
    );
}

function costTable({ commands: measured, latency, processes, row, pgbench }) {
    const rows = [];
    const us = (value) => value.toFixed(1);
    const add = (what, result) =>
        rows.push([
            what,
            result.connections,
            integer(result.batch),
            us(result.cpuUs + result.postgresUs + result.redisUs),
            us(result.networkUs),
            us(result.laneUs),
            us(result.postgresUs),
            us(result.redisUs),
            us(result.loadUs),
            `${(result.writtenBytes / 1024).toFixed(1)} KiB`,
            percent(result.othersShare),
        ]);
    for (const result of [...measured, processes, latency]) {
        if (result) add(titleOf(result), result);
    }
    if (row) add('redeem, batches of one', row);
    const addPgbench = ({ clients, postgresUs, loadUs, othersShare }) => {
        const none = ['', ''];
        rows.push(['pgbench', clients, '', us(postgresUs), ...none, us(postgresUs), '', us(loadUs),
            '', percent(othersShare)]);
    };
    if (pgbench) addPgbench(pgbench);
    if (latency) addPgbench(latency.baseline);
    if (rows.length === 0) return undefined;
    return table(
        ['CPU a request, in µs', '>connections', '>commands a batch', '>all', '>network thread',
            '>lane', '>PostgreSQL', '>Redis', '>besides, load generator', '>log a request',
            '>machine taken by others'],
        rows,
    );
}

export function markdown(results) {
    const { codes, postgres, redis } = results;
    const settings = Object.entries(postgres.settings).map((setting) => setting.join('='));
    const half = settings.length >> 1;
    const about = [
        `${integer(codes)} codes; every answer is durable but that of a lock in Redis.`,
        `PostgreSQL ${postgres.version} on the same machine and disk:`,
        `${settings.slice(0, half).join(', ')},`,
        `${settings.slice(half).join(', ')}; checkpoints meanwhile: ${postgres.checkpoints};`,
        `Redis ${redis.version}, which keeps nothing on the disk; all over TCP on loopback.`,
    ];
    const parts = [
        header(results, about),
        results.commands.length > 0 ? commandTable(results) : undefined,
        otherTable(results),
        baselineTable(results),
        costTable(results),
    ];
    return `${parts.filter((part) => part !== undefined).join('\n\n')}\n`;
}
