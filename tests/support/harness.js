// What ties a server and a client to the life of a test or suite of node:test.
import { after, before } from 'node:test';
import { Client } from './client.js';
import { Coupond } from './coupond.js';

/**
 * Within describe(): one server for the suite. `server` and `client` are there once its tests run.
 */
export function suiteServer(options = {}) {
    const context = { server: undefined, client: undefined };
    before(async () => {
        context.server = await Coupond.start(options);
        context.client = new Client(() => context.server.port, options);
    });
    after(async () => {
        context.client?.close();
        await context.server?.stop();
    });
    return context;
}

/** Within a test: one server for it alone. */
export async function testServer(t, options = {}) {
    const server = await Coupond.start(options);
    const client = new Client(() => server.port, options);
    t.after(async () => {
        client.close();
        await server.stop();
    });
    return { server, client };
}
