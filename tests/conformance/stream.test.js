// GET /coupon/events/stream: the entries of GET /coupon/events, as they come.
import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, it } from 'node:test';
import { Client, assertRefused, inParallel, numbered } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { assertAscending, entriesOf } from '../support/ledger.js';
import { RawConnection, requestText } from '../support/raw.js';
import { EventStream, streamPath } from '../support/stream.js';

/** Opens streams on the server of a suite or a test, which are closed when `t` ends. */
const opener =
    (c) =>
    async (t, query, options) => {
        const stream = await EventStream.open(c.server.port, streamPath(query), options);
        t.after(() => stream.close());
        return stream;
    };

describe('GET /coupon/events/stream', () => {
    const c = suiteServer();
    const open = opener(c);
    let book;

    it('begins with where it goes on from, and is not to be kept or held up', async (t) => {
        const stream = await open(t);
        await stream.until(() => stream.lastId);
        assert.equal(stream.text, 'retry: 1000\nid: 0\n\n');
        assert.equal(stream.headers['content-type'], 'text/event-stream');
        assert.equal(stream.headers['cache-control'], 'no-store');
        assert.equal(stream.headers['x-accel-buffering'], 'no');
        assert.equal(stream.headers['transfer-encoding'], 'chunked');
    });

    it('answers HEAD without a body', async () => {
        for (const path of [streamPath(), streamPath({ after: 0 })]) {
            const answer = await c.client.request('HEAD', path);
            assert.equal(answer.status, 200);
            assert.equal(answer.headers['content-type'], 'text/event-stream');
        }
    });

    it('shows what is committed from then on, as the list has it', async (t) => {
        await c.client.newBook({ name: 'Before' });
        await entriesOf(c.client, 1);
        const streams = [await open(t), await open(t)];
        book = await c.client.newBookWith(['E-1', 'E-2', 'É 3'], { name: 'Été' });
        await c.client.mustAssign('É 3', 'ünn');
        await c.client.mustLock('É 3', 'ünn');
        await c.client.mustRedeem('É 3', 'ünn');
        const all = await entriesOf(c.client, 6);
        for (const stream of streams) {
            assert.deepEqual(await stream.read(5), all.slice(1));
            assert.equal(stream.lastId, String(all.at(-1).id));
        }
        // And so on.
        await c.client.mustAssign('E-2', 'bob');
        for (const stream of streams) {
            assert.equal((await stream.read(6)).at(-1).code, 'E-2');
        }
    });

    it('shows all there is where it is asked to, over many pages', async (t) => {
        const codes = numbered('P-', 260);
        assert.equal((await c.client.upload(book.id, codes)).status, 201);
        await inParallel(codes, 32, (code) => c.client.mustAssign(code, 'ann'));
        const all = await entriesOf(c.client, 268);
        assertAscending(all);
        const stream = await open(t, { after: 0 });
        assert.deepEqual(await stream.read(268), all);
    });

    it('goes on behind any entry, by `after` and by Last-Event-ID, which wins', async (t) => {
        const all = await entriesOf(c.client, 268);
        for (const place of [0, 1, 99, 100, 101, 266]) {
            const { id } = all[place];
            const rest = all.slice(place + 1);
            for (const [query, lastEventId] of [
                [{ after: id }],
                [{}, id],
                [{ after: all[200].id }, id],
                [{ after: 0 }, `${id}`],
            ]) {
                const stream = await open(t, query, { lastEventId });
                assert.deepEqual(await stream.read(rest.length), rest);
                assert.ok(stream.text.startsWith(`retry: 1000\nid: ${id}\n\n`), stream.text);
                stream.close();
            }
        }
    });

    it('shows nothing that has been shown, from the last id on', async (t) => {
        const first = await open(t, { after: 0 });
        await first.read(268);
        first.close();
        const second = await open(t, {}, { lastEventId: first.lastId });
        await c.client.newBook({ name: 'Behind' });
        assert.equal((await second.read(1))[0].after.name, 'Behind');
    });

    it('waits for ids that are far ahead', async (t) => {
        const stream = await open(t, { after: '9223372036854775807' });
        await stream.until(() => stream.lastId);
        await c.client.newBook({ name: 'Unseen' });
        await entriesOf(c.client, 270);
        assert.equal(stream.text, 'retry: 1000\nid: 9223372036854775807\n\n');
    });

    it('is written until the connection ends for HTTP/1.0', async () => {
        const socket = net.connect({ host: '127.0.0.1', port: c.server.port });
        socket.setEncoding('utf8').write(
            requestText('GET', streamPath({ after: 0 }), { version: '1.0' }),
        );
        let text = '';
        for await (const piece of socket) {
            text += piece;
            // The last of the entries there are; then nothing but the end comes.
            if (text.includes('"name":"Unseen"')) await c.server.stop();
        }
        const [head, body] = text.split('\r\n\r\n');
        assert.match(head, /^HTTP\/1.1 200 OK\r\n/);
        assert.doesNotMatch(head, /^(Transfer-Encoding|Content-Length):/im);
        assert.match(head, /^Connection: close$/m);
        assert.ok(body.startsWith('retry: 1000\nid: 0\n\n'), body);
        await c.server.start();
    });
});

describe('the filters of GET /coupon/events/stream', () => {
    const c = suiteServer();
    const open = opener(c);
    let books;

    /** Changes of two books, twelve of them with those that come first. */
    async function change(round) {
        const [a, b] = books;
        const codes = [`A-${round}`, `B-${round}`];
        assert.equal((await c.client.upload(a.id, [codes[0]])).status, 201);
        assert.equal((await c.client.upload(b.id, [codes[1]])).status, 201);
        for (const code of codes) await c.client.mustAssign(code, 'ann');
        for (const code of codes) await c.client.mustLock(code, 'ann');
        for (const code of codes.reverse()) await c.client.mustRedeem(code, 'ann');
    }

    it('are those of the list, before and after it begins', async (t) => {
        books = [await c.client.newBook(), await c.client.newBook()];
        await change(1);
        await entriesOf(c.client, 10);
        const [one, other] = books.map(({ id }) => id);
        const queries = [
            ...[{ bookId: one }, { bookId: other }, { type: 'code_redeemed' }, { code: 'A-1' }],
            ...[{ code: 'B-2' }, { bookId: one, type: 'code_locked' }],
            { bookId: other, code: 'B-2', type: 'codes_uploaded' },
        ];
        const none = [{ bookId: other + 1 }, { code: 'a-1' }, { bookId: one, code: 'B-2' }];
        const open_all = (those, more) =>
            Promise.all(those.map((query) => open(t, { ...query, ...more })));
        const [fromStart, fromNow, empty] = [
            await open_all(queries, { after: 0 }),
            await open_all(queries),
            await open_all(none, { after: 0 }),
        ];
        const between = (await entriesOf(c.client, 10)).at(-1).id;
        await change(2);
        await entriesOf(c.client, 18);
        for (const [index, query] of queries.entries()) {
            const all = await c.client.allEvents(query);
            const later = all.filter(({ id }) => id > between);
            assert.ok(all.length > 0);
            assert.deepEqual(await fromStart[index].read(all.length), all);
            assert.deepEqual(await fromNow[index].read(later.length), later);
        }
        // What comes behind it is there, so all before it is.
        const last = await open(t, { bookId: books[1].id, after: 0 });
        await last.read((await c.client.allEvents({ bookId: books[1].id })).length);
        for (const stream of empty) assert.deepEqual(stream.events, []);
    });

    const after = 'after must be an integer of 0 or more';
    const lastId = 'Last-Event-ID must be an integer of 0 or more';
    const type =
        'type must be one of book_created, codes_uploaded, codes_generated, code_assigned, ' +
        'code_locked, code_redeemed, user_erased, book_changed, book_archived, book_restored, ' +
        'code_changed, code_unassigned, code_unlocked, redemption_rolled_back, discount_given_back';
    for (const [query, message] of [
        ...['after=-1', 'after=x', 'after=', 'after=9223372036854775808'].map((text) => [
            text,
            after,
        ]),
        ['bookId=0', 'bookId must be a positive integer'],
        ['code=', 'code must be 1 to 128 characters without control characters'],
        ['type=3', type],
        ['limit=10', 'property limit should not exist'],
        ['After=1', 'property After should not exist'],
        ['after=1&after=1', 'after must be given once'],
    ]) {
        it(`refuse ?${query} by name`, async () => {
            const answer = await c.client.get(`/coupon/events/stream?${query}`);
            assertRefused(answer, 400, [message], 'validation_failed');
        });
    }

    for (const value of ['-1', 'x', '1.5', '', '+1', '1 2', '0x1', '9223372036854775808', '1,2']) {
        it(`refuse the Last-Event-ID ${JSON.stringify(value)}`, async () => {
            const answer = await c.client.get(streamPath({ after: 1 }), {
                headers: { 'last-event-id': value },
            });
            assertRefused(answer, 400, [lastId], 'validation_failed');
        });
    }

    it('refuse a second Last-Event-ID', async () => {
        const raw = await RawConnection.open(c.server.port);
        raw.write(
            `GET ${streamPath()} HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 1\r\n` +
                'last-event-id: 1\r\nConnection: close\r\n\r\n',
        );
        assertRefused(await raw.next('GET', streamPath()), 400, [lastId], 'validation_failed');
        raw.destroy();
    });

    it('name everything that they refuse', async () => {
        const answer = await c.client.get(`${streamPath()}?after=x&bookId=0&code=&type=y&limit=0`, {
            headers: { 'last-event-id': 'z' },
        });
        const messages = [
            ...[after, lastId, 'bookId must be a positive integer'],
            'code must be 1 to 128 characters without control characters',
            ...[type, 'property limit should not exist'],
        ];
        assertRefused(answer, 400, messages, 'validation_failed');
    });
});

describe('streams of events', () => {
    it('are 256 at once, which leave room for all else', async (t) => {
        const { server, client } = await testServer(t);
        const open = opener({ server });
        const streams = await Promise.all(numbered('', 256).map(() => open(t, { after: 0 })));
        const others = new Client(server.port);
        t.after(() => others.close());
        for (const path of [streamPath(), streamPath({ after: 0 })]) {
            assertRefused(await others.get(path), 503, undefined, 'overloaded');
        }
        const book = await client.newBookWith(numbered('C-', 50));
        await inParallel(numbered('C-', 50), 16, (code) => client.mustAssign(code, 'ann'));
        assert.equal((await client.get(`/coupon/${book.id}`)).status, 200);
        const all = await entriesOf(client, 52);
        for (const stream of streams) assert.deepEqual(await stream.read(52), all);

        // Whoever goes makes room.
        streams[7].close();
        for (let opened; !opened;) {
            opened = await open(t, { after: 0 }).catch((error) => {
                assert.match(error.message, /→ 503$/);
            });
        }
    });

    it('end with their clients', async (t) => {
        const { server, client } = await testServer(t);
        await client.newBook();
        for (let time = 0; time < 600; time += 1) {
            const stream = await EventStream.open(server.port, streamPath({ after: 0 }));
            if (time % 2 === 0) await stream.read(1);
            stream.close();
        }
    });

    it('end in order when the server stops', async (t) => {
        const { server, client } = await testServer(t);
        const open = opener({ server });
        const streams = [await open(t), await open(t, { after: 0 }), await open(t, { code: 'X' })];
        await client.newBook();
        await streams[0].read(1);
        await streams[1].read(1);
        await server.stop();
        for (const stream of streams) assert.equal(await stream.ended, 'end');
        // And the next one goes on.
        await server.start();
        const next = await open(t, {}, { lastEventId: streams[1].lastId });
        await client.newBook({ name: 'Next' });
        assert.equal((await next.read(1))[0].after.name, 'Next');
    });
});
