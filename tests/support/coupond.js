// Starts and stops the server under test: the binary that COUPOND_BIN names, on a loopback port of
// its own choice, in a clean environment, working directory and data folder. Nothing outlives the
// test process.
//
// A sanitizer's report in the child makes whatever stops it throw, with the report.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
    accessSync,
    constants,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const readyWithinMs = 60_000;
const stopWithinMs = 10_000;
const sanitizerReport =
    /(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|SUMMARY: \w+Sanitizer|runtime error:)/;

const children = new Set();
const folders = new Set();

function cleanUp() {
    for (const child of children) child.kill('SIGKILL');
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}
process.on('exit', cleanUp);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => process.exit(1));
}

/**
 * The binary under test; throws where there is none, so that no suite passes by testing nothing.
 */
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

/** A new empty folder, removed when the test process ends. */
export function temporaryFolder() {
    const folder = mkdtempSync(path.join(tmpdir(), 'coupond-test-'));
    folders.add(folder);
    return folder;
}

function environment(extra) {
    const env = { PATH: '/usr/bin:/bin' };
    for (const name of ['ASAN_OPTIONS', 'LSAN_OPTIONS', 'TSAN_OPTIONS', 'UBSAN_OPTIONS']) {
        if (process.env[name] !== undefined) env[name] = process.env[name];
    }
    return { ...env, ...extra };
}

/** A running process of the binary with its collected output. */
class Child {
    stdout = '';
    stderr = '';
    #process;
    #onOutput = () => {};

    constructor(args, { env = {}, cwd = temporaryFolder(), prefix = [] } = {}) {
        const [command, ...rest] = [...prefix, binary(), ...args];
        this.#process = spawn(command, rest, {
            cwd,
            env: environment(env),
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        children.add(this.#process);
        for (const stream of ['stdout', 'stderr']) {
            this.#process[stream].setEncoding('utf8').on('data', (text) => {
                this[stream] += text;
                this.#onOutput();
            });
        }
        this.exited = new Promise((resolve, reject) => {
            this.#process.once('error', reject);
            this.#process.once('close', (code, signal) => {
                children.delete(this.#process);
                resolve({ code, signal });
                this.#onOutput();
            });
        });
        this.exited.catch(() => {});
    }

    get pid() {
        return this.#process.pid;
    }

    get running() {
        return children.has(this.#process);
    }

    kill(signal) {
        return this.#process.kill(signal);
    }

    /** Its end; throws after `withinMs`, or where a sanitizer has reported something. */
    async exit(withinMs = stopWithinMs) {
        let timer;
        const late = new Promise((_, reject) => {
            timer = setTimeout(() => {
                this.kill('SIGKILL');
                reject(new Error(`coupond did not end within ${withinMs} ms\n${this.stderr}`));
            }, withinMs);
        });
        const end = await Promise.race([this.exited, late]).finally(() => clearTimeout(timer));
        this.assertClean();
        return end;
    }

    /**
     * Throws where a sanitizer has reported something, or an assertion of the server has failed.
     */
    assertClean() {
        const at = this.stderr.search(sanitizerReport);
        if (at >= 0)
            assert.fail(
                `sanitizer report:\n${this.stderr.slice(Math.max(0, at - 200), at + 8000)}`,
            );
    }

    async outputMatching(pattern, withinMs) {
        const deadline = Date.now() + withinMs;
        for (;;) {
            const found = pattern.exec(this.stdout);
            if (found) return found;
            assert.ok(
                this.running,
                `coupond ended before it was ready\n${this.stdout}${this.stderr}`,
            );
            const left = deadline - Date.now();
            assert.ok(
                left > 0,
                `coupond was not ready in ${withinMs} ms\n${this.stdout}${this.stderr}`,
            );
            await new Promise((resolve) => {
                const timer = setTimeout(resolve, left);
                this.#onOutput = () => {
                    clearTimeout(timer);
                    resolve();
                };
            });
        }
    }
}

/** Runs `coupond …args` to its end: `{code, signal, stdout, stderr}`. */
export async function run(args, options = {}) {
    const child = new Child(args, options);
    const end = await child.exit(options.withinMs ?? 30_000);
    return { ...end, stdout: child.stdout, stderr: child.stderr };
}

/** A coupond that serves. */
export class Coupond {
    #options;
    #child;

    /**
     * Options: `env` (settings), `args` (further flags), `dataDir` (default: a fresh folder),
     * `cwd`, `prefix` (words of a command to run it by, which must exec it).
     */
    constructor(options = {}) {
        this.#options = options;
        this.dataDir = options.dataDir ?? path.join(temporaryFolder(), 'data');
        if (!existsSync(this.dataDir)) mkdirSync(this.dataDir, { recursive: true });
    }

    static async start(options) {
        const server = new Coupond(options);
        await server.start();
        return server;
    }

    /** Starts it, again on the same data folder where it ran before. */
    async start() {
        const { args = [], env, cwd, prefix } = this.#options;
        this.#child = new Child(
            ['serve', '--host', '127.0.0.1', '--port', '0', '--data-dir', this.dataDir, ...args],
            { env, cwd, prefix },
        );
        const [, port] = await this.#child.outputMatching(
            /http:\/\/127\.0\.0\.1:(\d+)/,
            readyWithinMs,
        );
        this.port = Number(port);
    }

    get pid() {
        return this.#child.pid;
    }

    get running() {
        return this.#child?.running ?? false;
    }

    get stdout() {
        return this.#child.stdout;
    }

    get stderr() {
        return this.#child.stderr;
    }

    signal(name) {
        this.#child.kill(name);
    }

    /**
     * SIGTERM, then an end with exit code 0 within ten seconds. Nothing to do where it does not
     * run.
     */
    async stop(signal = 'SIGTERM') {
        if (!this.running) {
            this.#child?.assertClean();
            return;
        }
        this.#child.kill(signal);
        await this.exitsCleanly();
    }

    async exitsCleanly() {
        const end = await this.#child.exit();
        assert.deepEqual(end, { code: 0, signal: null }, this.#child.stderr);
    }

    /** kill -9 and its end. */
    async kill9() {
        assert.ok(this.running, `coupond ended by itself\n${this.#child.stderr}`);
        this.#child.kill('SIGKILL');
        const end = await this.#child.exit();
        assert.equal(end.signal, 'SIGKILL', this.#child.stderr);
    }
}

/** The SQLite file below a data folder. */
export function databaseFile(dataDir) {
    const files = readdirSync(dataDir)
        .filter((name) => !/-(wal|shm|journal)$/.test(name))
        .filter((name) => /\.(db|sqlite3?)$/.test(name));
    assert.equal(files.length, 1, `database files in ${dataDir}: ${files}`);
    return path.join(dataDir, files[0]);
}
