// A client that sends a request with an Idempotency-Key until it is answered, as a shop would.
import assert from 'node:assert/strict';
import { isConnectionFailure } from './history.js';

/**
 * POSTs until there is an answer that is final: neither a 503, nor a lost connection, nor 409
 * because the key is in use. Returns it, with `tries`.
 */
export async function postUntilAnswered(client, path, body, key, withinMs = 60_000) {
    const deadline = Date.now() + withinMs;
    for (let tries = 1; ; tries += 1) {
        try {
            const answer = await client.post(path, body, { headers: { 'idempotency-key': key } });
            const inUse = answer.body.code === 'idempotency_key_in_use';
            if (answer.status !== 503 && !inUse) return { ...answer, tries };
        } catch (error) {
            if (!isConnectionFailure(error)) throw error;
        }
        assert.ok(Date.now() < deadline, `${path} is not answered within ${withinMs} ms`);
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

export const isReplayed = (answer) => answer.headers['idempotent-replayed'] === 'true';
