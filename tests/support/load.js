// A load that goes on while the server comes and goes: users get codes, lock and redeem them, and
// new codes come in, all through a History. What a connection failure leaves open is taken up
// again, as a customer would.
import assert from 'node:assert/strict';
import { numbered } from './client.js';
import { isConnectionFailure } from './history.js';

// Books stay small enough for ?include=codes, which is how a History looks at them.
const codesPerBook = 8_000;
const codesPerUpload = 20;

export class Load {
    #client;
    #history;
    #random;
    #bookId;
    #workers = [];
    #running = false;
    #waiting = [];
    #uploads = 0;
    #room = 0; // codes that the book can still take
    #open = []; // [code, user]: known to be assigned, not yet known to be redeemed
    answers = new Map(); // status → how many
    codes = new Map(); // an error's code → how many
    slowestMs = 0; // the longest that an answer has taken; may be set back
    failures = 0; // requests whose connection failed
    error; // what a worker has met, of what must not be
    #prefix;

    /** `prefix` begins the codes that it uploads. */
    constructor(client, history, random, { prefix = 'UP-' } = {}) {
        this.#client = client;
        this.#history = history;
        this.#random = random;
        this.#prefix = prefix;
    }

    /** Starts `connections` workers, each with one request at a time. */
    start(connections) {
        this.#running = true;
        this.#workers = Array.from({ length: connections }, (_, index) => this.#work(index));
        // A worker's error is thrown by stop(); until then it is no unhandled rejection.
        for (const worker of this.#workers) {
            worker.catch((error) => {
                this.error ??= error;
                this.#wake();
            });
        }
    }

    /** Lets every worker finish its request; throws what any of them has met. */
    async stop() {
        this.#running = false;
        const ends = await Promise.allSettled(this.#workers);
        for (const { status, reason } of ends) if (status === 'rejected') throw reason;
    }

    /** Waits until `condition` holds; throws early where a worker has failed. */
    async until(condition, withinMs, what) {
        const deadline = Date.now() + withinMs;
        const died = Promise.race(
            this.#workers.map(async (worker) => {
                await worker;
                throw new Error('the load has stopped');
            }),
        );
        died.catch(() => {});
        while (!condition()) {
            const left = deadline - Date.now();
            assert.ok(
                left > 0,
                `${what}: not within ${withinMs} ms; answers so far: ` +
                    JSON.stringify([...this.answers]),
            );
            let timer;
            await Promise.race([
                died,
                new Promise((resolve) => {
                    this.#waiting.push(resolve);
                    timer = setTimeout(resolve, left);
                }),
            ]).finally(() => clearTimeout(timer));
        }
    }

    count(status) {
        return this.answers.get(status) ?? 0;
    }

    #wake() {
        for (const resolve of this.#waiting.splice(0)) resolve();
    }

    async #work(index) {
        while (this.#running) {
            const began = performance.now();
            const answer = await this.#step(index);
            if (answer) {
                this.slowestMs = Math.max(this.slowestMs, performance.now() - began);
                this.answers.set(answer.status, this.count(answer.status) + 1);
                const { code } = answer.body;
                if (answer.status >= 400) this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
                assert.ok([201, 404, 409, 503].includes(answer.status), answer.text);
            } else {
                this.failures += 1;
            }
            this.#wake();
            // The server cannot be used: whoever watches decides what is next. Until then, a pause
            // keeps the processor free.
            if (!answer || answer.status === 503)
                await new Promise((resolve) => setTimeout(resolve, 10));
        }
    }

    #step(index) {
        const random = this.#random;
        const choice = random.below(100);
        if (choice < 1) return this.#upload();
        if (choice < 35 || this.#open.length === 0)
            return this.#assign(`user-${index}-${random.below(20)}`);
        const at = random.below(this.#open.length);
        const [code, user] = this.#open[at];
        if (choice < 66) return this.#history.lock(code, user);
        return this.#redeem(code, user);
    }

    async #upload() {
        if (this.#room < codesPerUpload) {
            try {
                const answer = await this.#client.post('/coupon', {
                    name: 'Load',
                    codePattern: 'UP-{6}',
                });
                if (answer.status !== 201) return answer;
                this.#bookId = answer.body.id;
                this.#room = codesPerBook;
            } catch (error) {
                if (!isConnectionFailure(error)) throw error;
                return null;
            }
        }
        this.#room -= codesPerUpload;
        return this.#history.upload(
            this.#bookId,
            numbered(`${this.#prefix}${this.#uploads++}-`, codesPerUpload),
        );
    }

    async #assign(user) {
        const answer = await this.#history.assignAny(user);
        if (answer?.status === 201) this.#open.push([answer.body.code, user]);
        return answer;
    }

    async #redeem(code, user) {
        const answer = await this.#history.redeem(code, user);
        const done = answer?.status === 201 || answer?.body.code === 'coupon_already_redeemed';
        // One redeemed code in four stays, to be tried again.
        if (done && this.#random.below(4)) {
            const at = this.#open.findIndex(([other]) => other === code);
            if (at >= 0) this.#open.splice(at, 1);
        }
        return answer;
    }
}
