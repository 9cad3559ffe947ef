// The figures of codes by the million as Markdown for the README.
import { header, held, integer, mebibytes, milliseconds, table } from './table.mjs';

/** What coupond is held to. */
const floors = {
    generatedPerSecond: 150_000,
    importShare: 0.8,
    exportedPerSecond: 500_000,
    copyShare: 0.5,
    manyRatio: 1.5,
    memoryBytes: 256 * 1024 * 1024,
    besideShare: 0.5,
    besideP99Ms: 50,
};

const megabytes = (bytes) => (bytes === undefined ? '' : `${(bytes / 1e6).toFixed(1)} MB/s`);

function row(name, figures, floor) {
    if (!figures) return [];
    const { count, perSecond, bytesPerSecond, peakBytes } = figures;
    const words = [integer(count), integer(perSecond), megabytes(bytesPerSecond)];
    return [[name, ...words, mebibytes(peakBytes), floor]];
}

const share = (part, whole) => `${(part / whole).toFixed(2)} ×`;

function bulkTable(results) {
    const { generate, export: exported, postgres, many } = results;
    const atLeast = (rate, floor) => held(`≥ ${integer(floor)}/s`, rate >= floor);
    const ofGeneration = (figures) =>
        figures &&
        held(
            `${share(figures.perSecond, generate.perSecond)} generation; ≥ ${floors.importShare} ×`,
            figures.perSecond >= floors.importShare * generate.perSecond,
        );
    const ofCopy = () =>
        held(
            `${share(postgres.made.perSecond, postgres.copyPerSecond)} COPY, ` +
                `${integer(postgres.copyPerSecond)}/s; ≥ ${floors.copyShare} ×`,
            postgres.made.perSecond >= floors.copyShare * postgres.copyPerSecond,
        );
    const ofMany = () => {
        const ratio = generate ? `${share(generate.perSecond, many.perSecond)} as fast; ` : '';
        const isFast = !generate || generate.perSecond <= floors.manyRatio * many.perSecond;
        return held(
            `fewer are made ${ratio}≤ ${floors.manyRatio} ×, ≤ ${mebibytes(floors.memoryBytes)}`,
            isFast && many.peakBytes <= floors.memoryBytes,
        );
    };
    return table(
        ['', '>codes', '>codes/s', '>of the file', '>peak memory of the server', 'floor'],
        [
            ...row('generate, SQLite', generate, generate && atLeast(generate.perSecond, floors.generatedPerSecond)),
            ...row('import a CSV, `skip`', results.skip, ofGeneration(results.skip)),
            ...row('import a CSV, all or none', results.fail, ofGeneration(results.fail)),
            ...row('export as CSV', exported, exported && atLeast(exported.perSecond, floors.exportedPerSecond)),
            ...row('generate, PostgreSQL', postgres?.made, postgres && ofCopy()),
            ...row('generate ten times as many, SQLite', many, many && ofMany()),
        ],
    );
}

function besideTable({ beside }) {
    if (!beside) return '';
    const { alone, together, codesPerSecond } = beside;
    const isHeld =
        together.perSecond >= floors.besideShare * alone.perSecond &&
        together.p99Ms <= floors.besideP99Ms;
    return `\n\n${table(
        ['redeem, 256 connections', '>requests/s', '>p99', 'floor'],
        [
            ['alone', integer(alone.perSecond), milliseconds(alone.p99Ms), ''],
            [
                `beside a job that makes ${integer(codesPerSecond)} codes/s`,
                integer(together.perSecond),
                milliseconds(together.p99Ms),
                held(
                    `${share(together.perSecond, alone.perSecond)} alone; ≥ ${floors.besideShare} ×, ` +
                        `≤ ${floors.besideP99Ms} ms`,
                    isHeld,
                ),
            ],
        ],
    )}`;
}

export function markdown(results) {
    const head = header(results, ['Every code is durable when its job says so.']);
    return `${head}\n\n${bulkTable(results)}${besideTable(results)}\n`;
}
