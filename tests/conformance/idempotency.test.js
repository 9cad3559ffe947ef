// Idempotency-Key: a request that is repeated has one effect and one answer.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, numbered } from '../support/client.js';
import { testServer } from '../support/harness.js';

const day = 24 * 3600 * 1000;

/** A POST with a key. */
function post(client, path, body, key) {
    return client.post(path, body, { headers: { 'idempotency-key': key } });
}

function assertFirst(answer) {
    assert.equal(answer.headers['idempotent-replayed'], undefined, answer.text);
}

function assertReplayed(answer, first) {
    assert.equal(answer.headers['idempotent-replayed'], 'true', answer.text);
    assert.equal(answer.status, first.status);
    assert.equal(answer.text, first.text);
    assert.notEqual(answer.headers['x-request-id'], first.headers['x-request-id']);
}

const entriesOf = async (client) => (await client.get('/coupon/events?limit=1000')).body.length;

describe('a request that is repeated with its key', () => {
    it('is answered as the first time, to the byte, and changes nothing more', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['A', 'B', 'C'], { maxRedemptionsPerUser: 1, discountAmount: 2.5 });
        const requests = [
            ['/coupon', { name: 'N', codePattern: 'N-{4}', discountAmount: 19.99 }],
            ['/coupon', { name: 'N', codePattern: 'N-{4}', maxRedemptionsPerUser: 3 }],
            ['/coupon/codes/1', { codes: ['D', 'E'] }],
            ['/coupon/codes/1', { codes: numbered('MANY-', 2_000) }],
            ['/coupon/assign/A', { userId: 'ann' }],
            ['/coupon/assign', { userId: 'bob', couponBookId: 1 }],
            ['/coupon/lock/A', { userId: 'ann' }],
            ['/coupon/assign/A', { userId: 'ann' }],
            ['/coupon/redeem/A', { userId: 'ann' }],
            // What a rule has refused stays refused.
            ['/coupon/codes', { codes: ['F'] }],
            ['/coupon/codes/77', { codes: ['F'] }],
            ['/coupon/codes/1', { codes: ['A'] }],
            ['/coupon/assign/none', { userId: 'ann' }],
            ['/coupon/assign', { userId: 'ann', couponBookId: 2 }],
            ['/coupon/lock/A', { userId: 'ann' }],
            ['/coupon/redeem/A', { userId: 'zoe' }],
        ];
        const firsts = [];
        for (const [index, [path, body]] of requests.entries()) {
            const first = await post(client, path, body, `key-${index}`);
            assertFirst(first);
            firsts.push(first);
        }
        assert.deepEqual(
            firsts.map(({ status }) => status),
            [201, 201, 201, 201, 201, 201, 201, 201, 201, 400, 404, 409, 404, 404, 409, 409],
        );
        const entries = await entriesOf(client);
        for (const [index, [path, body]] of requests.entries()) {
            assertReplayed(await post(client, path, body, `key-${index}`), firsts[index]);
        }
        assert.equal(await entriesOf(client), entries);
    });

    it('is so after a restart', async (t) => {
        const { server, client } = await testServer(t);
        await client.newBookWith(['A']);
        const first = await post(client, '/coupon/assign', { userId: 'ann' }, 'k');
        await server.stop();
        await server.start();
        assertReplayed(await post(client, '/coupon/assign', { userId: 'ann' }, 'k'), first);
    });

    it('has one effect however many come at once', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(numbered('C-', 200));
        const entries = await entriesOf(client);
        for (const key of numbered('k-', 10)) {
            const answers = await Promise.all(
                numbered('', 16).map(() =>
                    post(client, '/coupon/assign', { userId: 'ann' }, key),
                ),
            );
            const texts = new Set();
            for (const answer of answers) {
                if (answer.status === 201) texts.add(answer.text);
                else {
                    const message = 'A request with this Idempotency-Key is still being processed';
                    assertRefused(answer, 409, message, 'idempotency_key_in_use');
                }
            }
            assert.equal(texts.size, 1);
            const first = (answer) => answer.headers['idempotent-replayed'] === undefined;
            assert.equal(answers.filter((a) => a.status === 201 && first(a)).length, 1);
        }
        assert.equal(await entriesOf(client), entries + 10);
    });

    it('is taken for a new one after a day', async (t) => {
        const { server, client } = await testServer(t);
        await client.newBookWith(['A', 'B']);
        const assign = () => post(client, '/coupon/assign', { userId: 'ann' }, 'k');
        const first = await assign();
        const age = (ms) => server.data.execute(`UPDATE idempotency_key SET at = at - ${ms}`);
        await age(day - 60_000);
        assertReplayed(await assign(), first);
        await age(60_000);
        const second = await assign();
        assertFirst(second);
        assert.notEqual(second.body.code, first.body.code);
        assertReplayed(await assign(), second);
    });

    it('is swept when its day is over', async (t) => {
        const { server, client } = await testServer(t);
        await client.newBookWith(['A', 'B']);
        await post(client, '/coupon/assign/A', { userId: 'ann' }, 'old');
        await server.data.execute(`UPDATE idempotency_key SET at = at - ${day}`);
        // Once a second at most.
        await new Promise((resolve) => setTimeout(resolve, 1_100));
        await post(client, '/coupon/assign/B', { userId: 'ann' }, 'new');
        const rows = await server.data.query('SELECT key FROM idempotency_key');
        assert.deepEqual(rows, [{ key: 'new' }]);
    });
});

describe('another request with the same key', () => {
    it('is refused and changes nothing', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['A', 'B']);
        await post(client, '/coupon/assign/A', { userId: 'ann' }, 'k');
        const entries = await entriesOf(client);
        for (const [path, body] of [
            ['/coupon/assign/A', { userId: 'bob' }],
            ['/coupon/assign/A', '{"userId": "ann"}'], // said in other bytes
            ['/coupon/assign/B', { userId: 'ann' }],
            ['/coupon/lock/A', { userId: 'ann' }],
            ['/coupon/assign', { userId: 'ann' }],
        ]) {
            assertRefused(
                await post(client, path, body, 'k'),
                422,
                'The Idempotency-Key has been used for another request',
                'idempotency_key_reused',
            );
        }
        assert.equal(await entriesOf(client), entries);
    });
});

describe('a key', () => {
    it('may stand in quotes or not', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['A', 'B', 'C', 'D']);
        const assign = (key) => post(client, '/coupon/assign', { userId: 'ann' }, key);
        for (const [quoted, bare] of [
            ['"8e03978e-40d5-43e8-bc93-6894a57f9324"', '8e03978e-40d5-43e8-bc93-6894a57f9324'],
            ['"a/b:c=d!~"', 'a/b:c=d!~'],
            [`"${'x'.repeat(255)}"`, 'x'.repeat(255)],
        ]) {
            const first = await assign(quoted);
            assert.equal(first.status, 201);
            assertFirst(first);
            assertReplayed(await assign(bare), first);
        }
        const escaped = await assign('"a\\"b\\\\c"');
        assert.equal(escaped.status, 201);
        assertReplayed(await assign('"a\\"b\\\\c"'), escaped);
    });

    it('that is none is refused, and nothing changes', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['A']);
        for (const key of [
            '',
            '""',
            '"',
            '"a',
            'a"',
            'a b',
            '"a b"',
            'a,b',
            'a;b',
            '"a\\b"',
            '"a"; b=1',
            'x'.repeat(256),
            '\u00e9',
            ['a', 'b'],
        ]) {
            assertRefused(
                await post(client, '/coupon/assign', { userId: 'ann' }, key),
                400,
                /^Idempotency-Key must be one string of 1 to 255 visible ASCII characters/,
                'idempotency_key_malformed',
            );
        }
        assert.equal((await post(client, '/coupon/assign', { userId: 'ann' }, 'k')).status, 201);
    });

    it('is not used up by a request that cannot be understood', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['A']);
        assert.equal((await post(client, '/coupon/assign', { user: 'ann' }, 'k')).status, 400);
        assertFirst(await post(client, '/coupon/assign', { userId: 'ann' }, 'k'));
    });

    it('means nothing to GET', async (t) => {
        const { client } = await testServer(t);
        for (let i = 0; i < 2; i += 1) {
            const answer = await client.get('/coupon', { headers: { 'idempotency-key': 'k' } });
            assert.equal(answer.status, 200);
            assertFirst(answer);
        }
    });
});
