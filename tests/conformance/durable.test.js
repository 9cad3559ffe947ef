// Nobody is told of anything that is not on the disk yet, whichever way they ask; the server goes on
// meanwhile. On SQLite: PostgreSQL's commits wait by themselves.
import assert from 'node:assert/strict';
import http from 'node:http';
import { describe, it } from 'node:test';
import { Client } from '../support/client.js';
import { Coupond } from '../support/coupond.js';
import { SqliteData } from '../support/data.js';
import { HeldDisk } from '../support/held_disk.js';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const longEnoughMs = 400; // for all that is asked here, many times

async function heldServer(t) {
    const disk = new HeldDisk();
    const server = await Coupond.start({ data: new SqliteData(), env: disk.env });
    const client = new Client(() => server.port);
    t.after(async () => {
        disk.release();
        client.close();
        await server.remove();
    });
    return { disk, server, client };
}

/** What a stream of events has told so far. */
function follow(t, port) {
    const told = { text: '' };
    const request = http.get({ host: '127.0.0.1', port, path: '/coupon/events/stream' }, (response) =>
        response.on('data', (chunk) => (told.text += chunk)),
    );
    request.on('error', () => {});
    t.after(() => request.destroy());
    return told;
}

describe('while the disk is waited for', () => {
    it('nobody is told, but all that was asked is answered when it is over', { timeout: 60_000 }, async (t) => {
        const { disk, server, client } = await heldServer(t);
        const { id } = await client.newBookWith(['HELD-1', 'HELD-2']);
        const stream = follow(t, server.port);
        const file = { headers: { accept: 'text/csv' } };
        const asks = {
            assign: () => client.post('/coupon/assign/HELD-1', { userId: 'ann' }),
            refusal: () => client.post('/coupon/assign/HELD-1', { userId: 'ben' }),
            another: () => client.post('/coupon/assign/HELD-2', { userId: 'cem' }),
            code: () => client.get('/coupon/code/HELD-1'),
            codes: () => client.get(`/coupon/codes/${id}`),
            file: () => client.get(`/coupon/codes/${id}`, file),
            user: () => client.get('/coupon/users/ann'),
            book: () => client.get(`/coupon/${id}`),
            books: () => client.get('/coupon'),
            events: () => client.get('/coupon/events?type=code_assigned'),
            statistics: () => client.get(`/coupon/${id}/stats`),
            validate: () => client.post('/coupon/validate/HELD-1', { userId: 'ann' }),
        };
        disk.hold();
        const answers = {};
        const asked = [];
        for (const [name, ask] of Object.entries(asks)) {
            asked.push(ask().then((answer) => (answers[name] = answer)));
            if (name === 'assign') await pause(longEnoughMs); // so that the others see it
        }
        await pause(longEnoughMs);
        assert.deepEqual(Object.keys(answers), []);
        assert.doesNotMatch(stream.text, /code_assigned/);
        assert.equal((await client.get('/health/live')).status, 200);
        disk.release();
        await Promise.all(asked);
        // They had seen what was not on the disk.
        assert.equal(answers.assign.status, 201);
        assert.equal(answers.another.status, 201);
        assert.equal(answers.refusal.status, 409, answers.refusal.text);
        for (const name of ['code', 'codes', 'file', 'user', 'events']) {
            assert.equal(answers[name].status, 200, answers[name].text);
            assert.match(answers[name].text, /"?ann"?/, name);
        }
        for (const name of ['book', 'books']) assert.match(answers[name].text, /"assigned":[12]/);
        assert.equal(answers.statistics.status, 200);
        assert.equal(answers.validate.body.valid, true, answers.validate.text);
        for (let tries = 0; !stream.text.includes('code_assigned'); tries += 1) {
            assert.ok(tries < 200, 'the stream does not tell');
            await pause(50);
        }
    });

    it('what rests on nothing new is told', { timeout: 30_000 }, async (t) => {
        const { disk, client } = await heldServer(t);
        await client.newBookWith(['CALM-1']);
        disk.hold();
        assert.equal((await client.get('/coupon/code/CALM-1')).status, 200);
        assert.equal((await client.get('/coupon/code/GONE')).status, 404);
        const { body } = await client.post('/coupon/validate/CALM-1', { userId: 'ann' });
        assert.equal(body.reasons[0].code, 'coupon_not_assigned_to_user');
    });
});
