// Users who each take a code from its assignment to its redemption, repeating every request with its
// key until it is answered, whatever happens to the server meanwhile.
import assert from 'node:assert/strict';
import { inParallel, numbered } from './client.js';
import { isReplayed, postUntilAnswered } from './retry.js';

export const connections = 16;
const lives = 400;

/** A code's whole life, each step with a key of its own. Returns the code and how often it waited. */
async function live(client, bookId, user) {
    const post = (path, body, step) =>
        postUntilAnswered(client, path, body, `${user}-${step}`);
    const assigned = await post('/coupon/assign', { userId: user, couponBookId: bookId }, 'assign');
    assert.equal(assigned.status, 201, assigned.text);
    const { code } = assigned.body;
    const locked = await post(`/coupon/lock/${code}`, { userId: user }, 'lock');
    assert.equal(locked.status, 201, locked.text);
    const redeemed = await post(`/coupon/redeem/${code}`, { userId: user }, 'redeem');
    assert.equal(redeemed.status, 201, redeemed.text);
    assert.equal(redeemed.body.coupon.assignedTo, user);
    const steps = [assigned, locked, redeemed];
    return {
        code,
        replayed: steps.filter(isReplayed).length,
        repeated: steps.filter(({ tries }) => tries > 1).length,
    };
}

/**
 * Lets all of them live while `trouble(living)` makes trouble for as long as `living()` says so, and
 * looks at what has become of them: each step was done once.
 */
export async function liveThrough(t, server, client, trouble) {
    const book = await client.newBookWith(numbered('C-', lives), { maxRedemptionsPerUser: 1 });
    let living = true;
    const troubled = trouble(() => living);
    const all = await inParallel(numbered('user-', lives), connections, (user) =>
        live(client, book.id, user),
    );
    living = false;
    await troubled;
    await client.untilReady();
    const repeated = all.reduce((sum, each) => sum + each.repeated, 0);
    const replayed = all.reduce((sum, each) => sum + each.replayed, 0);
    t.diagnostic(`${repeated} steps were repeated, ${replayed} of them had been done`);
    assert.ok(repeated > 0, 'nobody was in trouble');
    assert.equal(new Set(all.map(({ code }) => code)).size, lives);
    const { counts } = await client.bookWithCodes(book.id);
    assert.deepEqual(counts, { total: lives, available: 0, assigned: 0, locked: 0, redeemed: lives });
    await server.data.verify();
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until the clock, which the server shares, has passed a time. */
export async function passed(text) {
    for (const until = Date.parse(text); Date.now() <= until;) await pause(until - Date.now() + 1);
}

