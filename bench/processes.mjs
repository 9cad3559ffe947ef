// The processes and the folder of a run. None of them outlives it: children get a signal from the
// kernel when this process dies (setpriv --pdeathsig), the folder goes at every kind of exit.
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';

const children = new Set();
const folders = new Set();

process.on('exit', () => {
    for (const child of children) child.kill(child.deathSignal);
    for (const child of children) waitForEnd(child.pid);
    for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});
for (const [signal, number] of [['SIGHUP', 1], ['SIGINT', 2], ['SIGTERM', 15]]) {
    process.on(signal, () => process.exit(128 + number));
}

/** Whether a process runs; one that has ended and was not waited for does not. */
function isRunning(pid) {
    try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
        return stat[stat.lastIndexOf(')') + 2] !== 'Z';
    } catch {
        return false;
    }
}

/** Blocks for up to five seconds; for the end of this process, when no event comes any more. */
function waitForEnd(pid) {
    const clock = new Int32Array(new SharedArrayBuffer(4));
    for (let waited = 0; waited < 5_000 && isRunning(pid); waited += 10) {
        Atomics.wait(clock, 0, 0, 10);
    }
}

/** A new folder below `parent`, removed at exit. Others may reach what is theirs in it. */
export function temporaryFolder(parent) {
    mkdirSync(parent, { recursive: true });
    const folder = mkdtempSync(path.join(parent, 'run-'));
    folders.add(folder);
    chmodSync(folder, 0o711);
    return folder;
}

/** A loopback port that nobody listens on just now. */
export function freePort() {
    return new Promise((resolve, reject) => {
        const probe = net.createServer();
        probe.once('error', reject);
        probe.listen(0, '127.0.0.1', () => {
            const { port } = probe.address();
            probe.close(() => resolve(port));
        });
    });
}

/** `user` ({uid, gid}): whom the command is run as, where not as this process. */
function start(command, args, { deathSignal = 'SIGKILL', user, ...options }) {
    const asUser = user ? ['--reuid', user.uid, '--regid', user.gid, '--clear-groups'] : [];
    const words = ['--pdeathsig', deathSignal.slice(3), ...asUser, command, ...args];
    const child = spawn('setpriv', words.map(String), options);
    child.deathSignal = deathSignal;
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
            child.kill(child.deathSignal);
            reject(new Error(`${what}: not done in ${withinMs} ms`));
        }, withinMs);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Runs a command to its end and returns its stdout; throws where it fails or takes too long. */
export async function run(command, args, { withinMs = 60_000, input, ...options } = {}) {
    const what = [command, ...args].join(' ').slice(0, 120);
    const child = start(command, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
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

/** A process that serves until it is stopped. */
export class Service {
    output = { stdout: '', stderr: '' };
    #name;
    #child;

    constructor(name) {
        this.#name = name;
    }

    /** Runs it until [stream, pattern] is seen; returns the match. */
    async launch(command, args, [stream, pattern], options) {
        const child = start(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
        this.#child = child;
        this.output = { stdout: '', stderr: '' };
        const ready = new Promise((resolve, reject) => {
            for (const name of ['stdout', 'stderr']) {
                child[name].setEncoding('utf8').on('data', (text) => {
                    this.output[name] += text;
                    const found = name === stream && pattern.exec(this.output[name]);
                    if (found) resolve(found);
                });
            }
            child.ended.then(() => reject(this.#error('ended before it was ready')), reject);
        });
        return within(30_000, child, `the start of ${this.#name}`, ready);
    }

    get pid() {
        return this.#child.pid;
    }

    #error(what) {
        const { stdout, stderr } = this.output;
        return new Error(`${this.#name} ${what}\n${stderr}${stdout}`.slice(0, 4000));
    }

    /** Throws where it has ended by itself. */
    requireRunning() {
        if (!children.has(this.#child)) throw this.#error('has died');
    }

    /** Throws where it has ended by itself, or does not end well. */
    async stop(signal = 'SIGTERM') {
        this.requireRunning();
        this.#child.kill(signal);
        const end = await within(30_000, this.#child, `the stop of ${this.#name}`,
            this.#child.ended);
        if (end.code !== 0) throw this.#error(`ended with ${end.signal ?? end.code}`);
    }
}

/** A coupond on a loopback port of its own choice. */
export class Server extends Service {
    #binary;
    #folder;
    #settings;

    /** Serves a data folder, or what the variables in `settings` say. */
    constructor(binary, folder, settings) {
        super('coupond');
        this.#binary = binary;
        this.#folder = folder;
        this.#settings = settings;
    }

    static async start(binary, folder, settings = {}) {
        const server = new Server(binary, folder, settings);
        await server.start();
        return server;
    }

    async start() {
        const args = ['serve', '--host', '127.0.0.1', '--port', '0', '--data-dir', this.#folder];
        const began = performance.now();
        const ready = ['stdout', /ready on (http:\/\/127\.0\.0\.1:\d+)/];
        const [, url] = await this.launch(this.#binary, args, ready, {
            cwd: this.#folder, // no .env is read by chance
            env: { PATH: '/usr/bin:/bin', LOG_LEVEL: 'info', ...this.#settings },
        });
        this.url = url;
        this.readyMs = performance.now() - began;
    }

    /** The most memory it ever had resident. */
    peakMemoryBytes() {
        const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
        return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)[1]) * 1024;
    }

    /** Stops it by SIGTERM. Returns its peak memory and its batches; throws where it fails. */
    async stop() {
        this.requireRunning();
        const peakMemoryBytes = this.peakMemoryBytes();
        await super.stop();
        const totals = /stopped\b.*\bcommands=(\d+).*\bbatches=(\d+)/.exec(this.output.stderr);
        if (!totals) throw new Error(`coupond did not say what it did\n${this.output.stderr}`);
        return { peakMemoryBytes, commands: Number(totals[1]), batches: Number(totals[2]) };
    }
}
