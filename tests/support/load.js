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
    failures = 0; // requests whose connection failed

    constructor(client, history, random) {
        this.#client = client;
        this.#history = history;
        this.#random = random;
    }

    /** Starts `connections` workers, each with one request at a time. */
    start(connections) {
        this.#running = true;
        this.#workers = Array.from({ length: connections }, (_, index) => this.#work(index));
        // A worker's error is thrown by stop(); until then it is no unhandled rejection.
        for (const worker of this.#workers) worker.catch(() => this.#wake());
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
            const answer = await this.#step(index);
            if (answer) {
                this.answers.set(answer.status, this.count(answer.status) + 1);
                assert.ok([201, 404, 409, 503].includes(answer.status), answer.text);
            } else {
                this.failures += 1;
                // The server is gone: whoever watches decides what is next. Until then, a pause
                // keeps the processor free.
                await new Promise((resolve) => setTimeout(resolve, 10));
            }
            this.#wake();
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
            numbered(`UP-${this.#uploads++}-`, codesPerUpload),
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
