// Rows that nothing of ours has written, on a disk that has failed say: whoever asks for one is told
// that it cannot be read, everybody else is served, and the server goes on.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assertRefused } from '../support/client.js';
import { defaultBackend } from '../support/data.js';
import { suiteServer } from '../support/harness.js';

const checks =
    defaultBackend() === 'sqlite' ? (sql) => `PRAGMA ignore_check_constraints = ON; ${sql}` : (sql) => sql;
const far = '9000000000000000000';

const c = suiteServer();
for (const [what, damage, mend, ...targets] of [
    ['an entry of an unknown type', 'UPDATE ledger SET type = 99 WHERE type = 3', 'UPDATE ledger SET type = 3 WHERE type = 99',
        '/coupon/events', '/coupon/code/A'],
    ['an entry of no time', `UPDATE ledger SET at = at + ${far} WHERE type = 3`, `UPDATE ledger SET at = at - ${far} WHERE type = 3`,
        '/coupon/events', '/coupon/code/A'],
    ['an entry that does not tell of its book', "UPDATE ledger SET detail = 'nothing' || detail WHERE type = 1", "UPDATE ledger SET detail = substr(detail, 8) WHERE type = 1 AND detail LIKE 'nothing%'",
        '/coupon/events'],
    ['a book with less than no discount', 'UPDATE coupon_book SET discount_cents = -5 WHERE id = 1', 'UPDATE coupon_book SET discount_cents = 500 WHERE id = 1',
        '/coupon', '/coupon/1'],
    ['a code of no time', `UPDATE coupon_code SET created_at = created_at + ${far}`, `UPDATE coupon_code SET created_at = created_at - ${far}`,
        '/coupon/code/A', '/coupon/codes/1', '/coupon/users/ann', '/coupon?include=codes'],
    ['counts below nothing', 'UPDATE book_count SET discount_cents = discount_cents - 9000', 'UPDATE book_count SET discount_cents = discount_cents + 9000',
        '/coupon/stats', '/coupon/1/stats'],
]) {
    it(what, async () => {
        const { server, client } = c;
        server.data.damaged = true;
        if ((await client.get('/coupon/code/A')).status === 404) {
            const book = await client.newBookWith(['A', 'B'], { discountAmount: 5 });
            assert.equal(book.id, 1);
            await client.newBook();
            await client.mustAssign('A', 'ann');
        }
        await server.data.execute(checks(damage));
        for (const target of targets) {
            assertRefused(await client.get(target), 503, undefined, 'unavailable');
        }
        assert.equal((await client.get('/health/live')).status, 200);
        assert.equal((await client.newBook()).name, 'Book');
        await server.data.execute(checks(mend));
        for (const target of targets) {
            const { status, text } = await client.get(target);
            assert.equal(status, 200, text);
        }
    });
}
