// The database of a stream of events is away for a while: the stream waits, and goes on.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { PostgresData, startWithTemplate } from '../support/data.js';
import { testServer } from '../support/harness.js';
import { entriesOf } from '../support/ledger.js';
import { EventStream, streamPath } from '../support/stream.js';

it('a stream of events waits while its database is away', async (t) => {
    const postgres = await startWithTemplate();
    t.after(() => postgres.remove());
    const { server, client } = await testServer(t, { data: new PostgresData({ postgres }) });
    const open = async (query, lastEventId) => {
        const stream = await EventStream.open(server.port, streamPath(query), { lastEventId });
        t.after(() => stream.close());
        return stream;
    };
    await client.newBook({ name: 'Before' });
    await entriesOf(client, 1);
    const streams = [await open(), await open({ after: 0 })];
    await streams[1].read(1);
    await postgres.kill9();
    // Whoever has a place to go on from waits as well; whoever asks for one is told.
    streams.push(await open({}, streams[1].lastId));
    assert.equal((await client.get(streamPath())).status, 503);
    await postgres.start();
    await client.untilReady();
    await client.newBook({ name: 'After' });
    const all = await entriesOf(client, 2);
    for (const [index, stream] of streams.entries()) {
        assert.deepEqual(await stream.read(index === 1 ? 2 : 1), index === 1 ? all : all.slice(1));
    }
});
