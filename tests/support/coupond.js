// Starts and stops the server under test: the binary that COUPOND_BIN names, on a loopback port of
// its own choice, in a clean environment and working directory, on data of its own (data.js) in the
// backend that COUPOND_BACKEND names. Nothing outlives the test process.
//
//   const server = await Coupond.start({env, args, data, ...});   port, pid, stdout, stderr, data
//   server.stop(), start() (again, on the same data), kill9(), signal(name), remove()
//   const {ready} = await server.startWaiting(/…/)                where it cannot be ready yet
//   const servers = await Coupond.startSeveral(3, {...});         a Cluster: several on one's data
//   servers.servers[0].kill9(), …; servers.port is another one's each time it is asked
//
// A sanitizer's report in the child makes whatever stops it throw, with the report.
import assert from 'node:assert/strict';
import { binary, sanitizers } from './binary.js';
import { freshData } from './data.js';
import { Child } from './processes.js';

const readyWithinMs = 60_000;
const stopWithinMs = 10_000;
const sanitizerReport =
    /(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|SUMMARY: \w+Sanitizer|runtime error:)/;

/** A running process of the binary. */
class CoupondChild extends Child {
    constructor(args, { env = {}, cwd, prefix = [] } = {}) {
        super([...prefix, binary(), ...args], {
            name: 'coupond',
            cwd,
            env: { PATH: '/usr/bin:/bin', ...sanitizers(), ...env },
        });
    }

    /** Its end; throws after `withinMs`, or where a sanitizer has reported something. */
    async exit(withinMs = stopWithinMs) {
        const end = await super.exit(withinMs);
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
}

/**
 * Runs `coupond …args` to its end: `{code, signal, stdout, stderr}`. Options as for Coupond; with
 * `data`, on that.
 */
export async function run(args, { data, env, withinMs = 30_000, ...options } = {}) {
    await data?.prepare();
    const child = new CoupondChild([...args, ...(data?.args ?? [])], {
        env: { ...data?.env, ...env },
        ...options,
    });
    const end = await child.exit(withinMs);
    return { ...end, stdout: child.stdout, stderr: child.stderr };
}

/** A `coupond work` on `data`, as soon as it works. Its exit() is to be awaited. */
export async function startWorker(data, { env, ...options } = {}) {
    const child = new CoupondChild(['work', ...data.args], {
        env: { ...data.env, ...env },
        ...options,
    });
    await child.outputMatching('stdout', /^coupond \S+ works on the jobs of /, readyWithinMs);
    return child;
}

/** A coupond that serves. */
export class Coupond {
    #options;
    #child;

    /**
     * Options: `env` (settings), `args` (further flags), `data` (default: fresh one), `cwd`,
     * `prefix` (words of a command to run it by, which must exec it).
     */
    constructor(options = {}) {
        this.#options = options;
        this.data = options.data ?? freshData();
        this.data.retain();
    }

    static async start(options) {
        const server = new Coupond(options);
        await server.start();
        return server;
    }

    /** Several processes that share one database: a Cluster. Options as for one. */
    static async startSeveral(count, options) {
        const cluster = new Cluster(count, options);
        await cluster.start();
        return cluster;
    }

    /** Starts it, again on the same data where it ran before. */
    async start() {
        await this.#launch();
        await this.#untilReady();
    }

    /**
     * Starts it where it cannot be ready yet, and returns when it listens and its log says `line`.
     * `ready` is fulfilled when it says that it is ready.
     */
    async startWaiting(line) {
        await this.#launch();
        const listening = /listening .*\bport=(\d+)/;
        const [, port] = await this.#child.outputMatching('stderr', listening, readyWithinMs);
        this.port = Number(port);
        await this.#child.outputMatching('stderr', line, readyWithinMs);
        const ready = this.#untilReady();
        ready.catch(() => {});
        return { ready };
    }

    async #launch() {
        const { args = [], env, cwd, prefix } = this.#options;
        await this.data.prepare();
        this.#child = new CoupondChild(
            ['serve', '--host', '127.0.0.1', '--port', '0', ...this.data.args, ...args],
            { env: { ...this.data.env, ...env }, cwd, prefix },
        );
    }

    async #untilReady() {
        const [, port] = await this.#child.outputMatching(
            'stdout',
            /http:\/\/127\.0\.0\.1:(\d+)/,
            readyWithinMs,
        );
        this.port = Number(port);
        this.data.served = true;
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

    /** Waits until it ends, however it does. */
    async ended() {
        await this.#child.exit();
    }

    /** Stops it for good; the last one on its data has that verified and removed. */
    async remove() {
        await this.stop();
        await this.data.release();
    }
}

/** Several couponds on the same data, which a client may take for one. */
export class Cluster {
    #next = 0;

    constructor(count, options = {}) {
        this.data = options.data ?? freshData();
        assert.notEqual(this.data.backend, 'sqlite', 'one process a SQLite file');
        this.servers = Array.from(
            { length: count },
            () => new Coupond({ ...options, data: this.data }),
        );
    }

    /** Of the one whose turn it is: requests are spread over all that run. */
    get port() {
        const running = this.servers.filter((server) => server.running);
        this.#next += 1;
        const able = running.length > 0 ? running : this.servers;
        return able[this.#next % able.length].port;
    }

    get running() {
        return this.servers.every((server) => server.running);
    }

    get stdout() {
        return this.servers.map(({ stdout }) => stdout).join('');
    }

    get stderr() {
        return this.servers.map(({ stderr }) => stderr).join('');
    }

    async #all(work) {
        await Promise.all(this.servers.map(work));
    }

    start() {
        return this.#all((server) => server.start());
    }

    stop(signal) {
        return this.#all((server) => server.stop(signal));
    }

    kill9() {
        return this.#all((server) => server.kill9());
    }

    remove() {
        return this.#all((server) => server.remove());
    }
}
