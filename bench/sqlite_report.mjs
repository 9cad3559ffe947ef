// The figures of SQLite as Markdown for the README.
import { commands } from './command.mjs';
import {
    header, held, integer, mebibytes, microseconds, milliseconds, percent, table,
} from './table.mjs';

/** What coupond is held to. */
const floors = {
    perSecond: { 64: 28_000, 256: 40_000 },
    openRatio: 0.7,
    poolRatio: 1.5,
    uploadSeconds: 1.5,
    startMs: 100,
    pageRatio: 1.2,
    statisticsRatio: 1.5,
    statisticsMs: 20,
    validationsPerSecond: 50_000,
    verifySeconds: 20,
    memoryBytes: 256 * 1024 * 1024,
};

/** Of one code as many as of distinct ones, nearly. */
function floorOf({ name, connections }, all) {
    if (name !== 'open') return floors.perSecond[connections];
    const distinct = all.find((each) => each.name === 'redeem' && each.connections === connections);
    return distinct && floors.openRatio * distinct.perSecond;
}

function commandTable(results) {
    const oneRow = results.baseline?.rows.perSecond;
    return table(
        ['', '>connections', '>requests/s', 'floor', '>× one row a transaction', '>p50', '>p99',
            '>commands a batch', '>CPU a request', '>of it network, lane',
            '>written a request', '>machine taken by others', '>errors'],
        results.commands.map((result) => {
            const floor = floorOf(result, results.commands);
            return [
                commands[result.name].title,
                result.connections,
                integer(result.perSecond),
                floor ? held(`≥ ${integer(floor)}`, result.perSecond >= floor) : '',
                oneRow ? (result.perSecond / oneRow).toFixed(1) : '',
                milliseconds(result.p50Ms),
                milliseconds(result.p99Ms),
                integer(result.batch),
                microseconds(result.cpuUs),
                `${result.networkUs.toFixed(1)}, ${microseconds(result.laneUs)}`,
                `${(result.writtenBytes / 1024).toFixed(1)} KiB`,
                percent(result.othersShare),
                result.errors,
            ];
        }),
    );
}

function otherRows({ validate, read, pools, lists, statistics, verify, uploads, starts, peak }) {
    const rows = [];
    if (validate) {
        const { connections, perSecond, p99Ms, cpuUs } = validate;
        rows.push([
            `validate a code, ${connections} connections`,
            `${integer(perSecond)}/s, ${(perSecond / read.perSecond).toFixed(2)} × GET /health/live, ` +
                `p99 ${milliseconds(p99Ms)}, ${microseconds(cpuUs)} of CPU each`,
            held(
                `≥ ${integer(floors.validationsPerSecond)}/s`,
                perSecond >= floors.validationsPerSecond,
            ),
        ]);
    }
    if (pools) {
        const { small, large, ratio } = pools;
        rows.push([
            `assign a random code, of ${integer(small.free)} against of ${integer(large.free)} ` +
                'free ones, 64 connections',
            `${integer(small.perSecond)}/s against ${integer(large.perSecond)}/s: ` +
                `${ratio.toFixed(2)}×`,
            held(`≤ ${floors.poolRatio}×`, ratio <= floors.poolRatio),
        ]);
    }
    if (lists) {
        const { codes, page, firstMs, lastMs, ratio } = lists;
        rows.push([
            `list codes, page 1 against page ${integer(page)} of ${integer(codes)} codes, 1,000 each`,
            `${milliseconds(firstMs)} against ${milliseconds(lastMs)}: ${ratio.toFixed(2)}×`,
            held(`≤ ${floors.pageRatio}×`, ratio <= floors.pageRatio),
        ]);
    }
    if (statistics) {
        const { few, many, fewMs, manyMs, ratio } = statistics;
        rows.push([
            `statistics of 30 days, ${integer(few)} against ${integer(many)} codes`,
            `${milliseconds(fewMs)} against ${milliseconds(manyMs)}: ${ratio.toFixed(2)}×`,
            held(
                `≤ ${floors.statisticsRatio}×, ${floors.statisticsMs} ms`,
                ratio <= floors.statisticsRatio && manyMs <= floors.statisticsMs,
            ),
        ]);
    }
    if (verify) {
        rows.push([
            `coupond verify of ${integer(verify.codes)} codes, each assigned and locked`,
            `${verify.seconds.toFixed(1)} s`,
            held(`≤ ${floors.verifySeconds} s`, verify.seconds <= floors.verifySeconds),
        ]);
    }
    if (uploads) {
        rows.push([
            `upload ${integer(uploads.codes)} codes in one request, onto ${integer(uploads.onto)}`,
            `${uploads.seconds.toFixed(2)} s`,
            held(`≤ ${floors.uploadSeconds} s`, uploads.seconds <= floors.uploadSeconds),
        ]);
    }
    if (starts) {
        rows.push([
            'from start to ready',
            `${starts.ms.toFixed(0)} ms`,
            held(`≤ ${floors.startMs} ms`, starts.ms <= floors.startMs),
        ]);
    }
    if (peak) {
        rows.push([
            `peak resident memory (in: ${peak.phase})`,
            mebibytes(peak.bytes),
            held(`≤ ${mebibytes(floors.memoryBytes)}`, peak.bytes <= floors.memoryBytes),
        ]);
    }
    return rows;
}

function baselineRows({ baseline, read }) {
    const rows = [];
    if (baseline) {
        rows.push(
            ['append 4 KiB to a file, fdatasync', integer(baseline.append.perSecond),
                microseconds(baseline.append.cpuUs)],
            ['overwrite 4 KiB of a file, fdatasync', integer(baseline.overwrite.perSecond),
                microseconds(baseline.overwrite.cpuUs)],
            ['SQLite library, one prepared UPDATE a transaction, no HTTP',
                integer(baseline.rows.perSecond), microseconds(baseline.rows.cpuUs)],
        );
    }
    if (read) {
        rows.push([
            `coupond, GET /health/live, ${read.connections} connections: no database`,
            integer(read.perSecond),
            microseconds(read.cpuUs),
        ]);
    }
    return rows;
}

export function markdown(results) {
    const durable = 'every answer is durable (SQLite, WAL, synchronous=FULL).';
    const parts = [header(results, [`${integer(results.codes)} codes; ${durable}`])];
    if (results.commands.length > 0) parts.push(commandTable(results));
    const others = otherRows(results);
    if (others.length > 0) parts.push(table(['', '>measured', 'floor'], others));
    const baselines = baselineRows(results);
    if (baselines.length > 0) {
        parts.push(table(['for comparison, in the same run', '>/s', '>CPU each'], baselines));
    }
    return `${parts.join('\n\n')}\n`;
}
