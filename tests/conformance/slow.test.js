// Clients that send, or read, as slowly as they can: they bother nobody, and are cut off.
import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, it } from 'node:test';
import { assertRefused, numbered } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { RawConnection, requestText } from '../support/raw.js';

const requestSeconds = 20;

// Side by side, because they mostly wait.
describe('slow clients', { concurrency: true }, () => {
    it('are cut off after 20 seconds of a request, quick ones served meanwhile', async (t) => {
        const c = await testServer(t);
        await c.client.newBookWith(numbered('S-', 2_000));
        const whole = requestText('POST', '/coupon/assign', { body: { userId: 'slow' } });
        const headEnd = whole.indexOf('\r\n\r\n') + 4;
        const starts = [
            ...Array(20).fill(whole.slice(0, 30)), // within the headers
            ...Array(20).fill(whole.slice(0, headEnd + 3)), // within the body
        ];
        const opened = Date.now();
        const slow = await Promise.all(
            starts.map(async (start) => {
                const raw = await RawConnection.open(c.server.port);
                raw.write(start);
                return { raw, sent: start.length };
            }),
        );
        t.after(() => slow.forEach(({ raw }) => raw.destroy()));
        // A byte a second: never idle, never done.
        const drip = setInterval(() => {
            for (const client of slow) {
                if (client.raw.ended || client.sent >= whole.length - 1) continue;
                client.raw.write(whole[client.sent]);
                client.sent += 1;
            }
        }, 1000);
        t.after(() => clearInterval(drip));

        let served = 0;
        let waiting = true;
        const ends = slow.map(async ({ raw }) => {
            const answer = await raw.nextOrClose(
                'POST',
                '/coupon/assign',
                (requestSeconds + 15) * 1000,
            );
            if (answer) assertRefused(answer, 408, undefined, 'request_timeout');
            await raw.closed();
            return answer;
        });
        const all = Promise.all(ends).finally(() => {
            waiting = false;
        });
        all.catch(() => {});
        while (waiting) {
            const answer = await c.client.assignAny('quick');
            assert.ok(answer.status === 201 || answer.status === 404, answer.text);
            served += 1;
        }
        const answers = await all;
        const seconds = (Date.now() - opened) / 1000;
        assert.ok(seconds > requestSeconds - 2, `cut off after only ${seconds} s`);
        assert.ok(served > 500, `only ${served} quick requests in ${seconds} s`);
        // Whoever has sent a request line and headers is told why.
        assert.ok(answers.slice(20).every((answer) => answer?.status === 408));
        const [book] = (await c.client.get('/coupon')).body;
        assert.equal(book.counts.available, 0);
        assert.deepEqual(
            (await c.client.bookWithCodes(book.id)).codes.filter(
                ({ assignedTo }) => assignedTo === 'slow',
            ),
            [],
        );
    });

    it('do not keep the server from ending', async (t) => {
        const { server } = await testServer(t);
        const half = await RawConnection.open(server.port);
        t.after(() => half.destroy());
        half.write('POST /coupon HTTP/1.1\r\nHost: h\r\nContent-Le');
        await server.stop();
    });

    it("that do not read their answers hold up nobody else's", async (t) => {
        const c = await testServer(t);
        await c.client.newBookWith(numbered('R-', 8_000));
        const lazy = await Promise.all(
            Array.from(
                { length: 20 },
                () =>
                    new Promise((resolve, reject) => {
                        const socket = net.connect(
                            { host: '127.0.0.1', port: c.server.port },
                            () => {
                                socket.pause();
                                socket.write(
                                    requestText('GET', '/coupon?include=codes').repeat(10),
                                );
                                resolve(socket);
                            },
                        );
                        socket.on('error', reject);
                    }),
            ),
        );
        t.after(() => lazy.forEach((socket) => socket.destroy()));
        for (let index = 0; index < 200; index += 1) {
            assert.equal((await c.client.get('/coupon')).status, 200);
        }
    });
});
