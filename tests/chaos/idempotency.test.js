// A client that repeats its requests with their keys while coupond is killed again and again: each
// is done once, and each is answered.
import { describe, it } from 'node:test';
import { testServer } from '../support/harness.js';
import { connections, liveThrough, pause } from '../support/lives.js';

describe('requests that are repeated with their keys', () => {
    it('are done once though coupond is killed', async (t) => {
        const { server, client } = await testServer(t, { connections });
        await liveThrough(t, server, client, async (living) => {
            do {
                await pause(150);
                await server.kill9();
                await server.start();
            } while (living());
        });
    });
});
