// What is told while it goes on, and where the repository is.
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const began = Date.now();

export function progress(words) {
    const seconds = ((Date.now() - began) / 1000).toFixed(0).padStart(4);
    process.stderr.write(`${seconds} s  ${words}\n`);
}

/** What a command's measurement brought. */
export function progressOf({ perSecond, cpuUs, errors }) {
    progress(
        `  ${Math.round(perSecond)}/s, ${cpuUs.toFixed(1)} µs of CPU each, ${errors} errors`,
    );
}
