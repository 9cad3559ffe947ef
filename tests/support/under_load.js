// One coupond, or several on the same data, under a Load that goes on while a test makes what they
// need fail.
//
//   const work = await underLoad(t, {data, processes, connections});
//   work.server, client, history       the Coupond or Cluster; a client for questions beside it
//   work.loads                         one a process
//   await work.progress(300)           waits for so many more acknowledged changes
//   work.count(503), code('unavailable'), failures, slowestMs
//                                      how many there were so far, of all loads together
//   await work.check()                 stops the load, and holds the state against the history
//   work.start()                       lets it go on
import assert from 'node:assert/strict';
import { Client, numbered } from './client.js';
import { Cluster, Coupond } from './coupond.js';
import { History } from './history.js';
import { Load } from './load.js';
import { seededRandom } from './random.js';

const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);

export class Work {
    #connections;

    constructor({ server, servers, client, clients, history, loads, connections }) {
        this.server = server;
        this.servers = servers;
        this.client = client;
        this.clients = clients;
        this.history = history;
        this.loads = loads;
        this.#connections = connections;
        this.pids = servers.map(({ pid }) => pid);
    }

    start() {
        for (const load of this.loads) load.start(this.#connections);
    }

    startOne(index) {
        this.loads[index].start(this.#connections);
    }

    count(status) {
        return sum(this.loads.map((load) => load.count(status)));
    }

    code(code) {
        return sum(this.loads.map((load) => load.codes.get(code) ?? 0));
    }

    get failures() {
        return sum(this.loads.map((load) => load.failures));
    }

    /** The longest that an answer has taken since this was last asked. */
    takeSlowestMs() {
        const slowest = Math.max(...this.loads.map(({ slowestMs }) => slowestMs));
        for (const load of this.loads) load.slowestMs = 0;
        return Math.round(slowest);
    }

    /** Waits until `condition` holds; throws early where a load has failed. */
    async until(condition, what, withinMs = 60_000) {
        const deadline = Date.now() + withinMs;
        // Each load looks when it has got an answer; they may all be waiting for one.
        while (!condition()) {
            assert.ok(Date.now() < deadline, `${what}: not within ${withinMs} ms\n${this.said()}`);
            for (const { error } of this.loads) if (error) throw error;
            await new Promise((resolve) => setTimeout(resolve, 5));
        }
    }

    /** Lets so much time pass. */
    async during(ms) {
        const end = Date.now() + ms;
        await this.until(() => Date.now() >= end, 'time', ms + 60_000);
    }

    async progress(count, withinMs) {
        const target = this.count(201) + count;
        await this.until(() => this.count(201) >= target, `${count} changes`, withinMs);
    }

    /** Has the load end, and waits for nothing. */
    abandon() {
        for (const load of this.loads) load.stop().catch(() => {});
    }

    /** Ends the load; its errors are thrown. */
    async stop() {
        for (const load of this.loads) await load.stop();
    }

    /**
     * Stops the load, and holds what the database says against what was acknowledged, once all
     * processes say that they are ready. None has ended meanwhile.
     */
    async check(withinMs = 30_000) {
        await this.stop();
        this.assertAlive();
        for (const client of this.clients) await client.untilReady(withinMs);
        // Lists have a connection to Redis of their own, which may take some time more.
        for (const deadline = Date.now() + 5_000; ; ) {
            const { status, text } = await this.client.get('/coupon?limit=1');
            if (status === 200) break;
            assert.ok(Date.now() < deadline, `no list: ${text}`);
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
        await this.history.verify();
        await this.server.data.verify();
    }

    /** Every process is still the one that was started. */
    assertAlive() {
        this.servers.forEach((server, index) => {
            assert.ok(server.running, `coupond has ended\n${server.stderr}`);
            assert.equal(server.pid, this.pids[index]);
        });
    }

    said() {
        const answers = this.loads.map(({ answers, codes, failures }) =>
            JSON.stringify({ answers: [...answers], codes: [...codes], failures }),
        );
        return `${answers.join('\n')}\n${this.server.stderr.slice(-10_000)}`;
    }

    /** No answer was an error, no connection failed. */
    assertNoError() {
        assert.equal(this.count(503), 0, this.said());
        assert.equal(this.failures, 0, this.said());
    }

    /**
     * While the load runs: from now on, it meets no error. What was decided before this was called
     * may still be on its way.
     */
    async assertHealed(changes = 200) {
        await this.during(200);
        const [refused, failures] = [this.count(503), this.failures];
        await this.progress(changes);
        assert.equal(this.count(503), refused, this.said());
        assert.equal(this.failures, failures, this.said());
    }

    report(t) {
        const { assigned, locked, redeemed } = this.history.acknowledged;
        t.diagnostic(`${assigned} assigned, ${locked} locked, ${redeemed} redeemed`);
        t.diagnostic(
            this.loads
                .map(({ answers, codes }) => JSON.stringify([[...answers], [...codes]]))
                .join(' '),
        );
        assert.ok(assigned > 20 && locked > 20 && redeemed > 20, 'the load does nothing');
    }
}

/**
 * Options: `data`, `processes` (default 1), `connections` (of the load, to each of them),
 * `losesLocks` (as for History), `codes` (how many there are at the start), and those of Coupond.
 */
export async function underLoad(
    t,
    { processes = 1, connections = 16, losesLocks, codes = 6_000, ...options } = {},
) {
    const server =
        processes > 1 ? new Cluster(processes, options) : new Coupond(options);
    const servers = server.servers ?? [server];
    const clients = servers.map((each) => new Client(() => each.port));
    // Questions beside the load must not wait behind it.
    const client = new Client(() => servers[0].port);
    t.after(async () => {
        work?.abandon();
        for (const each of [client, ...clients]) each.close();
        await server.remove();
    });
    let work;
    await server.start();
    const history = new History(client, { losesLocks });
    const random = seededRandom();
    const loads = clients.map(
        (each, index) =>
            new Load(each, history.by(each), random, { prefix: `UP${index}-` }),
    );
    work = new Work({ server, servers, client, clients, history, loads, connections });
    // A limit that nobody reaches: what each user has redeemed is counted.
    const book = await client.newBook({ maxRedemptionsPerUser: 1_000 });
    assert.equal((await history.upload(book.id, numbered('C-', codes))).status, 201);
    work.start();
    return work;
}
