// The processes and the folder of a run. None of them outlives it: children get SIGKILL from the
// kernel when this process dies (setpriv --pdeathsig), the folder goes at every kind of exit.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';

const children = new Set();
const folders = new Set();

process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL');
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const [signal, number] of [['SIGHUP', 1], ['SIGINT', 2], ['SIGTERM', 15]]) {
    process.on(signal, () => process.exit(128 + number));
}

/** A new folder below `parent`, removed at exit. */
export function temporaryFolder(parent) {
    mkdirSync(parent, { recursive: true });
    const folder = mkdtempSync(path.join(parent, 'run-'));
    folders.add(folder);
    return folder;
}

function start(command, args, options) {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], options);
    children.add(child);
    child.ended = new Promise((resolve, reject) => {
        child.once('error', reject);
        child.once('close', (code, signal) => {
            children.delete(child);
            resolve({ code, signal });
        });
    });
    child.ended.catch(() => {});
    return child;
}

/** Settles as `promise` does; after `withinMs` kills the child and throws. */
async function within(withinMs, child, what, promise) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => {
            child.kill('SIGKILL');
            reject(new Error(`${what}: not done in ${withinMs} ms`));
        }, withinMs);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Runs a command to its end and returns its stdout; throws where it fails or takes too long. */
export async function run(command, args, { withinMs = 60_000, cwd, input } = {}) {
    const what = [command, ...args].join(' ').slice(0, 120);
    const child = start(command, args, { cwd, stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    child.stdin.on('error', () => {}); // its end tells
    child.stdin.end(input);
    const { code, signal } = await within(withinMs, child, what, child.ended);
    if (code !== 0) throw new Error(`${what}: ended with ${signal ?? code}\n${stderr}${stdout}`);
    return stdout;
}

/** A coupond that serves a data folder on a loopback port of its own choice. */
export class Server {
    #child;
    #stdout = '';
    #stderr = '';

    constructor(binary, dataDir) {
        this.binary = binary;
        this.dataDir = dataDir;
    }

    static async start(binary, dataDir) {
        const server = new Server(binary, dataDir);
        await server.start();
        return server;
    }

    async start() {
        const args = ['serve', '--host', '127.0.0.1', '--port', '0', '--data-dir', this.dataDir];
        const began = performance.now();
        const child = start(this.binary, args, {
            cwd: this.dataDir, // no .env is read by chance
            env: { PATH: '/usr/bin:/bin', LOG_LEVEL: 'info' },
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        this.#child = child;
        this.pid = child.pid;
        child.stderr.setEncoding('utf8').on('data', (text) => (this.#stderr += text));
        const ready = new Promise((resolve, reject) => {
            child.stdout.setEncoding('utf8').on('data', (text) => {
                this.#stdout += text;
                const found = /ready on (http:\/\/127\.0\.0\.1:\d+)/.exec(this.#stdout);
                if (found) resolve(found[1]);
            });
            child.ended.then(
                () => reject(new Error(`coupond ended before it was ready\n${this.#stderr}`)),
                reject,
            );
        });
        this.url = await within(30_000, child, 'the start of coupond', ready);
        this.readyMs = performance.now() - began;
    }

    /** The most memory it ever had resident. */
    peakMemoryBytes() {
        const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
        return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)[1]) * 1024;
    }

    /** Stops it by SIGTERM. Returns its peak memory and mean batch size; throws where it fails. */
    async stop() {
        if (!children.has(this.#child)) throw new Error(`coupond has died\n${this.#stderr}`);
        const peakMemoryBytes = this.peakMemoryBytes();
        this.#child.kill('SIGTERM');
        const end = await within(30_000, this.#child, 'the stop of coupond', this.#child.ended);
        const totals = /stopped\b.*\bcommands=(\d+).*\bbatches=(\d+)/.exec(this.#stderr);
        if (end.code !== 0 || !totals) {
            throw new Error(`coupond ended with ${end.signal ?? end.code}\n${this.#stderr}`);
        }
        const [commands, batches] = [Number(totals[1]), Number(totals[2])];
        return { peakMemoryBytes, commands, batches, batch: commands / Math.max(1, batches) };
    }
}
