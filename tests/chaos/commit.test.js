// A client that repeats its requests with their keys while PostgreSQL is killed and connections to
// it are cut around COMMIT: each is done once, and each is answered.
import { describe, it } from 'node:test';
import { PostgresData, startWithTemplate } from '../support/data.js';
import { testServer } from '../support/harness.js';
import { connections, liveThrough, pause } from '../support/lives.js';
import { Proxy } from '../support/proxy.js';

describe('requests that are repeated with their keys', () => {
    it('are done once though PostgreSQL is killed and COMMITs are cut off', async (t) => {
        const postgres = await startWithTemplate();
        t.after(() => postgres.remove());
        const proxy = await Proxy.start({ to: postgres, protocol: 'postgres' });
        t.after(() => proxy.stop());
        const data = new PostgresData({ postgres, through: proxy });
        const { server, client } = await testServer(t, { data, connections });
        await liveThrough(t, server, client, async (living) => {
            // Longer than coupond has its clients wait.
            await postgres.kill9();
            await pause(6_000);
            await postgres.start();
            for (let round = 0; living(); round += 1) {
                proxy[round % 2 === 0 ? 'cutAfterCommit' : 'cutBeforeCommit']();
                await pause(30);
            }
            await proxy.heal();
        });
    });
});
