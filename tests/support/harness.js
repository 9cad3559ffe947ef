// What ties a server and a client to the life of a test or suite of node:test. Where
// COUPOND_PROCESSES says so, a server is that many processes on one database.
import { after, before } from 'node:test';
import { Client } from './client.js';
import { Coupond } from './coupond.js';

const processes = Number(process.env.COUPOND_PROCESSES ?? 1);

/** A Coupond, or a Cluster of them. */
function startServer(options) {
    return processes > 1 ? Coupond.startSeveral(processes, options) : Coupond.start(options);
}

/**
 * Within describe(): one server for the suite. `server` and `client` are there once its tests run.
 */
export function suiteServer(options = {}) {
    const context = { server: undefined, client: undefined };
    before(async () => {
        context.server = await startServer(options);
        context.client = new Client(() => context.server.port, options);
    });
    after(async () => {
        context.client?.close();
        await context.server?.remove();
    });
    return context;
}

/** Within a test: one server for it alone. */
export async function testServer(t, options = {}) {
    const server = await startServer(options);
    const client = new Client(() => server.port, options);
    t.after(async () => {
        client.close();
        await server.remove();
    });
    return { server, client };
}
