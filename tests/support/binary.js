// The program under test, which COUPOND_BIN names; in its build folder (see openapi.js).
import { accessSync, constants } from 'node:fs';
import path from 'node:path';

/** Its file; throws where there is none, so that no suite passes by testing nothing. */
export function binary() {
    const named = process.env.COUPOND_BIN;
    if (!named) throw new Error('COUPOND_BIN must name the coupond binary under test');
    const file = path.resolve(named);
    try {
        accessSync(file, constants.X_OK);
    } catch {
        throw new Error(`COUPOND_BIN=${named}: no such executable`);
    }
    return file;
}

/** What a sanitizer in it is to be told: its part of an environment. */
export function sanitizers() {
    const names = ['ASAN_OPTIONS', 'LSAN_OPTIONS', 'TSAN_OPTIONS', 'UBSAN_OPTIONS'];
    return Object.fromEntries(
        names
            .filter((name) => process.env[name] !== undefined)
            .map((name) => [name, process.env[name]]),
    );
}
