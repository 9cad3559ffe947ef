// Starting, stopping and starting again: what was answered stays, and what is being answered is
// finished.
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { describe, it } from 'node:test';
import { assertRefused, numbered, tallyStatus } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { RawConnection, requestText } from '../support/raw.js';
import { refusals } from '../support/refusals.js';

describe('the ready line', () => {
    it('is the only line on stdout, and true', async (t) => {
        const { server, client } = await testServer(t);
        assert.equal((await client.get('/health/ready')).status, 200);
        assert.equal(server.stdout.trim().split('\n').length, 1, server.stdout);
        assert.ok(server.stdout.includes(`http://127.0.0.1:${server.port}`));
    });
});

describe('a restart', () => {
    it('keeps everything, to the byte', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBookWith(numbered('K-', 40), {
            name: 'Été 🎟',
            discountAmount: 0.29,
        });
        await client.newBookWith(['unicode 🎟️', 'a/b', ' ']);
        for (const code of numbered('K-', 30)) await client.mustAssign(code, 'ann');
        for (const code of numbered('K-', 20)) await client.mustLock(code, 'ann');
        for (const code of numbered('K-', 3)) await client.mustRedeem(code, 'ann');
        await client.mustPatchBook(id, { maxRedemptionsPerUser: 3 });
        const before = await client.get('/coupon?include=codes');

        await server.stop();
        await server.start();
        const after = await client.get('/coupon?include=codes');
        assert.equal(after.text, before.text);
        // The rules go on where they stood.
        assertRefused(await client.lock('K-10', 'ann'), ...refusals.locked);
        assertRefused(await client.redeem('K-0', 'ann'), ...refusals.redeemed);
        assertRefused(await client.redeem('K-10', 'ann'), ...refusals.limitReached);
        assertRefused(await client.lock('K-25', 'ann'), ...refusals.limitReached);
        assertRefused(await client.assign('K-25', 'bob'), ...refusals.anothersCode);
        assertRefused(await client.upload(after.body[1].id, ['K-39']), ...refusals.codesExist);
        const [one, two] = after.body;
        const book = await client.newBook();
        assert.ok(book.id > two.id && two.id > one.id);
    });

    it('keeps locks until their time, and no longer', async (t) => {
        const { server, client } = await testServer(t, { env: { LOCK_TTL_SECONDS: '2' } });
        const book = await client.newBookWith(['T-1', 'T-2']);
        const unlocked = async (code) => {
            // Asked until the clock, which the server shares, has passed the end.
            for (;;) {
                const asked = Date.now();
                const entry = await client.codeOf(book.id, code);
                if (!entry.isLocked) return asked;
            }
        };
        for (const code of ['T-1', 'T-2']) await client.mustAssign(code, 'ann');

        const first = await client.mustLock('T-1', 'ann');
        assert.ok(
            (await unlocked('T-1')) >= Date.parse(first.lockedUntil) - 50,
            'unlocked too early',
        );
        assertRefused(await client.redeem('T-1', 'ann'), ...refusals.notLocked);
        assert.deepEqual((await client.bookWithCodes(book.id)).counts, {
            total: 2,
            available: 0,
            assigned: 2,
            locked: 0,
            redeemed: 0,
        });
        await client.mustLock('T-1', 'ann');
        await client.mustRedeem('T-1', 'ann');

        const second = await client.mustLock('T-2', 'ann');
        await server.stop();
        await server.start();
        assert.ok(
            (await unlocked('T-2')) >= Date.parse(second.lockedUntil) - 50,
            'unlocked too early',
        );
        assertRefused(await client.redeem('T-2', 'ann'), ...refusals.notLocked);
        await client.mustLock('T-2', 'ann');
        await client.mustRedeem('T-2', 'ann');
        assert.deepEqual((await client.bookWithCodes(book.id)).counts, {
            total: 2,
            available: 0,
            assigned: 0,
            locked: 0,
            redeemed: 2,
        });
    });

    it('reads locks by the setting they were taken under', async (t) => {
        const long = await testServer(t, { env: { LOCK_TTL_SECONDS: '3600' } });
        await long.client.newBookWith(['X']);
        await long.client.mustAssign('X', 'ann');
        await long.client.mustLock('X', 'ann');
        await long.server.stop();
        const { data } = long.server;
        const short = await testServer(t, { data, env: { LOCK_TTL_SECONDS: '1' } });
        assertRefused(await short.client.lock('X', 'ann'), ...refusals.locked);
        await short.client.mustRedeem('X', 'ann');
    });
});

for (const signal of ['SIGTERM', 'SIGINT']) {
    describe(signal, () => {
        it('ends an idle server, with connections open', async (t) => {
            const { server, client } = await testServer(t);
            await client.get('/coupon');
            const idle = await RawConnection.open(server.port);
            const before = Date.now();
            await server.stop(signal);
            assert.ok(Date.now() - before < 5_000, 'waited for idle connections');
            await idle.closed();
        });

        it('lets an answer that has begun be finished', async (t) => {
            const { server, client } = await testServer(t);
            const book = await client.newBook();
            const codes = numbered('LONG-', 30_000);
            const { status, entries } = await new Promise((resolve, reject) => {
                const request = http.request(
                    {
                        host: '127.0.0.1',
                        port: server.port,
                        method: 'POST',
                        path: `/coupon/codes/${book.id}`,
                        headers: { 'content-type': 'application/json' },
                    },
                    (response) => {
                        const chunks = [];
                        response.once('data', () => server.signal(signal));
                        response.on('data', (chunk) => chunks.push(chunk));
                        response.on('error', reject);
                        response.on('end', () =>
                            resolve({
                                status: response.statusCode,
                                entries: JSON.parse(Buffer.concat(chunks)),
                            }),
                        );
                    },
                );
                request.on('error', reject);
                request.end(JSON.stringify({ codes }));
            });
            assert.equal(status, 201);
            assert.deepEqual(
                entries.map(({ code }) => code),
                codes,
            );
            await server.exitsCleanly();
            await server.start();
            assert.equal((await client.get('/coupon')).body[0].counts.total, codes.length);
        });

        it('lets requests that wait be answered', async (t) => {
            const { server, client } = await testServer(t);
            const book = await client.newBook();
            const codes = numbered('WAIT-', 20_000);
            const connections = await Promise.all(
                numbered('', 8).map(() => RawConnection.open(server.port)),
            );
            t.after(() => connections.forEach((raw) => raw.destroy()));
            const path = `/coupon/codes/${book.id}`;
            for (const raw of connections)
                raw.write(requestText('POST', path, { body: { codes } }));
            const answers = connections.map((raw) => raw.next('POST', path));
            // While one long answer was on its way, the other requests have arrived whole.
            await Promise.race(answers);
            server.signal(signal);
            const ends = await Promise.all(answers);
            await server.exitsCleanly();
            assert.deepEqual(tallyStatus(ends), { 201: 1, 409: connections.length - 1 });
            await server.start();
            assert.equal((await client.get('/coupon')).body[0].counts.total, codes.length);
        });

        it('closes the port at once', async (t) => {
            const { server, client } = await testServer(t);
            await client.get('/coupon');
            await server.stop(signal);
            await assert.rejects(
                new Promise((resolve, reject) => {
                    net.connect({ host: '127.0.0.1', port: server.port }, resolve).on(
                        'error',
                        reject,
                    );
                }),
                { code: 'ECONNREFUSED' },
            );
        });
    });
}

describe('a second start', () => {
    it('after kill -9 needs no help', async (t) => {
        const { server } = await testServer(t);
        await server.kill9();
        await server.start();
        await server.stop();
    });
});
