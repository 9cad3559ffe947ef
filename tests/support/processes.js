// Processes that the tests start, the folders they work in and the ports they listen on. Nothing
// outlives the test process: it kills what it has started when it ends, and where it is itself
// killed, the kernel does.
//
//   temporaryFolder({user, inMemory}) a new empty folder
//   freePort()                        a loopback port that nobody listens on
//   new Child(words, {env, cwd, ...}) a process with its collected output
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chownSync, mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import net from 'node:net';
import { freemem, tmpdir } from 'node:os';
import path from 'node:path';

const children = new Set();
const folders = new Set();

process.on('exit', () => {
    for (const child of children) child.kill(child.deathSignal);
    for (const child of children) waitForEnd(child.pid);
    for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => process.exit(1));
}

/** Whether a process runs; one that has ended and was not waited for does not. */
export function isRunning(pid) {
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

const memoryDisk = '/dev/shm';
const plenty = 4 * 2 ** 30;

/** Whether memoryDisk is there, and neither it nor the memory soon full; a container's may be small. */
function hasMemoryDisk() {
    try {
        const { bavail, bsize } = statfsSync(memoryDisk);
        return Math.min(bavail * bsize, freemem()) >= plenty;
    } catch {
        return false;
    }
}

/**
 * A new empty folder, removed when the test process ends; `user` ({uid, gid}) owns it. It is in
 * memory where `inMemory` asks for that and there is plenty.
 */
export function temporaryFolder({ user, inMemory = false } = {}) {
    const parent = inMemory && hasMemoryDisk() ? memoryDisk : tmpdir();
    const folder = mkdtempSync(path.join(parent, 'coupond-test-'));
    folders.add(folder);
    if (user) chownSync(folder, user.uid, user.gid);
    return folder;
}

/** Removes a temporaryFolder() early. */
export function removeFolder(folder) {
    folders.delete(folder);
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

const lowestPort = 10_000;

/** Where the kernel begins to take ports for outgoing connections. */
function ephemeralPorts() {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1').split(/\s+/)[0]);
}

/** A server that listens there, until this process ends; none where somebody else does. */
function listening(...where) {
    const server = net.createServer();
    return new Promise((resolve) => {
        server.once('error', () => resolve(undefined));
        server.listen(...where, () => resolve(server.unref()));
    });
}

/**
 * A loopback port that nobody listens on, and that this process alone has been given: another file of
 * tests might else take it before whoever is to listen on it does. A name tells of it, an abstract
 * socket (unix(7)), which goes with the process. The port is none that the kernel gives to outgoing
 * connections: a server that is started again finds it free, and nobody who tries to connect
 * meanwhile is connected with himself.
 */
export async function freePort() {
    const end = ephemeralPorts();
    for (let tries = 0; tries < 200; tries += 1) {
        const port = lowestPort + Math.floor(Math.random() * (end - lowestPort));
        const name = await listening(`\0coupond-test-port-${port}`);
        if (!name) continue;
        const probe = await listening(port, '127.0.0.1');
        if (probe) {
            await new Promise((resolve) => probe.close(resolve));
            return port;
        }
        name.close();
    }
    throw new Error(`no free port from ${lowestPort} to ${end}`);
}

/** A process with its collected output. */
export class Child {
    stdout = '';
    stderr = '';
    #name;
    #process;
    #onOutput = () => {};

    /**
     * `words` is the command. `name` is what messages call it, `user` ({uid, gid}) whom it runs as,
     * `deathSignal` what it gets when the test process ends before it.
     */
    constructor(words, { name, env = {}, cwd, user, deathSignal = 'SIGKILL' } = {}) {
        this.#name = name ?? path.basename(words[0]);
        this.deathSignal = deathSignal;
        const asUser = user ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'] : [];
        const prefix = ['--pdeathsig', deathSignal.replace('SIG', ''), ...asUser, '--'];
        this.#process = spawn('/usr/bin/setpriv', [...prefix, ...words], {
            cwd: cwd ?? temporaryFolder({ user }),
            env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', ...env },
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        children.add(this);
        for (const stream of ['stdout', 'stderr']) {
            this.#process[stream].setEncoding('utf8').on('data', (text) => {
                this[stream] += text;
                this.#onOutput();
            });
        }
        this.exited = new Promise((resolve, reject) => {
            this.#process.once('error', (error) => {
                children.delete(this);
                reject(error);
                this.#onOutput();
            });
            this.#process.once('close', (code, signal) => {
                children.delete(this);
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
        return children.has(this);
    }

    /** All it has said. */
    get output() {
        return `${this.stdout}${this.stderr}`;
    }

    kill(signal) {
        return this.#process.kill(signal);
    }

    /** Lets the test process end while this one runs, which ends it. */
    unref() {
        this.#process.unref();
        this.#process.stdout.unref();
        this.#process.stderr.unref();
    }

    /** Its end; throws after `withinMs`. */
    async exit(withinMs) {
        let timer;
        const late = new Promise((_, reject) => {
            timer = setTimeout(() => {
                this.kill('SIGKILL');
                reject(
                    new Error(`${this.#name} did not end within ${withinMs} ms\n${this.output}`),
                );
            }, withinMs);
        });
        return Promise.race([this.exited, late]).finally(() => clearTimeout(timer));
    }

    /** What `pattern` finds in `stream` (stdout or stderr), as soon as it finds it. */
    async outputMatching(stream, pattern, withinMs) {
        const deadline = Date.now() + withinMs;
        for (;;) {
            const found = pattern.exec(this[stream]);
            if (found) return found;
            assert.ok(this.running, `${this.#name} ended before it was ready\n${this.output}`);
            const left = deadline - Date.now();
            assert.ok(left > 0, `${this.#name} was not ready in ${withinMs} ms\n${this.output}`);
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

/** Runs a command to its end: `{code, signal, stdout, stderr}`. */
export async function runToEnd(words, { withinMs = 60_000, ...options } = {}) {
    const child = new Child(words, { cwd: '/', ...options });
    const end = await child.exit(withinMs);
    return { ...end, stdout: child.stdout, stderr: child.stderr };
}

/** The output of a command that must succeed. */
export async function outputOf(words, options) {
    const { code, signal, stdout, stderr } = await runToEnd(words, options);
    assert.ok(code === 0, `${words.join(' ')}: ${signal ?? code}\n${stderr}${stdout}`);
    return stdout;
}
