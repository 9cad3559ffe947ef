// What the servers that coupond needs have in common, when a test starts them for itself: a
// process, a folder of its own and a loopback port that stays the same over restarts.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Child, freePort, isRunning, removeFolder, temporaryFolder } from './processes.js';

const readyWithinMs = 60_000;
const stopWithinMs = 30_000;

/**
 * Whom a server that refuses to be root is run as: nobody else for a normal user, Debian's user
 * `postgres` for root.
 */
export function unprivilegedUser() {
    if (process.getuid() !== 0) return undefined;
    const id = (flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
    return { uid: id('-u'), gid: id('-g') };
}

/** All processes below this one. */
function descendants(pid) {
    let direct = [];
    try {
        direct = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
            .split(' ')
            .filter((text) => text !== '')
            .map(Number);
    } catch {
        // It has just ended.
    }
    return direct.flatMap((child) => [child, ...descendants(child)]);
}

/**
 * A server: `start()`, `stop()`, `kill9()`, `restart()`, `signal(name)`, `port`, `pid`, `running`,
 * `log`, `remove()`. What is derived from it says how it is started: `startCommand()` and `ready`.
 */
export class Server {
    host = '127.0.0.1';
    port;
    #child;

    /** `user` ({uid, gid}): whom it runs as; `inMemory`: its folder is rather in memory. */
    constructor({ user, inMemory } = {}) {
        this.user = user;
        this.folder = temporaryFolder({ user, inMemory });
    }

    /**
     * Starts it, and returns when it takes connections. Throws, with its log, where it cannot. The
     * first start chooses the port.
     */
    async start() {
        assert.ok(!this.running, `${this.constructor.name} runs already`);
        const chosen = this.port === undefined;
        for (let tries = 1; ; tries += 1) {
            if (chosen) this.port = await freePort();
            this.#child = new Child(await this.startCommand(), {
                name: this.constructor.name,
                cwd: this.folder,
                user: this.user,
                deathSignal: this.deathSignal,
            });
            this.#child.unref();
            try {
                await this.#child.outputMatching(...this.ready, readyWithinMs);
                return;
            } catch (error) {
                // Somebody else has taken the port since.
                const taken = /in use/i.test(this.log);
                if (!chosen || !taken || tries === 5) throw error;
            }
        }
    }

    get pid() {
        return this.#child?.pid;
    }

    get running() {
        return this.#child?.running ?? false;
    }

    /** What the process that runs, or ran last, has said. */
    get log() {
        return this.#child?.output ?? '';
    }

    signal(name) {
        this.#child.kill(name);
    }

    /** Ends it in order. Nothing to do where it does not run. */
    async stop() {
        if (!this.running) return;
        this.#child.kill(this.stopSignal);
        await this.#child.exit(stopWithinMs);
    }

    /** kill -9 of all its processes at once, as when the machine loses its power. */
    async kill9() {
        assert.ok(this.running, `${this.constructor.name} ended by itself\n${this.log}`);
        const pid = this.pid;
        // So that it starts no more of them meanwhile.
        this.#child.kill('SIGSTOP');
        const others = descendants(pid);
        this.#child.kill('SIGKILL');
        for (const other of others) {
            try {
                process.kill(other, 'SIGKILL');
            } catch (error) {
                assert.equal(error.code, 'ESRCH');
            }
        }
        await this.#child.exit(stopWithinMs);
        for (const deadline = Date.now() + stopWithinMs; others.some(isRunning);) {
            assert.ok(Date.now() < deadline, `${this.constructor.name}: processes outlive kill -9`);
            await new Promise((resolve) => setTimeout(resolve, 5));
        }
    }

    /** stop() and start(). */
    async restart() {
        await this.stop();
        await this.start();
    }

    /** Stops it for good, and removes what it has kept. */
    async remove() {
        await this.stop();
        removeFolder(this.folder);
    }

    /** The words of the command that runs it; prepares what it needs. */
    async startCommand() {
        throw new Error('not said');
    }

    /** [stdout or stderr, the pattern that says there that it takes connections]. */
    ready = undefined;
    stopSignal = 'SIGTERM';
    deathSignal = 'SIGKILL';
}
