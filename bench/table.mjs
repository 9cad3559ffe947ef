// Figures and tables in Markdown.

export const integer = (number) => Math.round(number).toLocaleString('en-US');
export const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
export const microseconds = (us) => `${us.toFixed(1)} µs`;
export const milliseconds = (ms) => `${ms.toFixed(1)} ms`;
export const percent = (share) => `${(100 * share).toFixed(0)} %`;

/** A floor, marked where it is missed. */
export function held(words, met) {
    return met ? words : `${words}, **missed**`;
}

/** `columns`: their names, a `>` before those that are aligned to the right. */
export function table(columns, rows) {
    const rule = columns.map((name) => (name.startsWith('>') ? '--:' : '---'));
    const names = columns.map((name) => name.replace(/^>/, ''));
    return [names, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** What was measured on; `last`: lines about the data. */
export function header({ machine, quick }, last) {
    return [
        `${machine.cpu}, ${machine.cores} cores, ${mebibytes(machine.memoryBytes)} of memory,`,
        `${machine.kernel}, ${machine.filesystem}; ${machine.compiler};`,
        `coupond ${machine.revision}, ${machine.date.slice(0, 16).replace('T', ' ')} UTC.`,
        `Load average at the start: ${machine.loadAverage.map((n) => n.toFixed(1)).join(', ')}.`,
        'The load generator (wrk, one thread) runs on the same machine.',
        ...last,
        ...(quick ? ['**A quick run, to see that it works: no figures to quote.**'] : []),
    ].join('\n');
}
