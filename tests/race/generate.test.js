// Codes made by patterns from everywhere at once, while others are given away: each is made once, and
// as many as were asked for.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Client, inParallel, numbered, tallyStatus } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { isConnectionFailure } from '../support/history.js';
import { settledEntries, verifyServer } from '../support/ledger.js';
import { Pattern } from '../support/patterns.js';
import { refusals } from '../support/refusals.js';
import { isReplayed, postUntilAnswered } from '../support/retry.js';

const width = 24;
const textsOf = (codes) => codes.map(({ code }) => code);
const begun = ({ created }) => created > 0;
const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);
const totalOf = async (client, id) => (await client.get(`/coupon/${id}`)).body.counts.total;

function assertCodes(texts, codePattern) {
    const pattern = new Pattern(codePattern);
    for (const text of texts) assert.ok(pattern.fits(text), `${text} is not of ${codePattern}`);
    assert.equal(new Set(texts).size, texts.length, `a code of ${codePattern} twice`);
}

/** How many codes the ledger has come into a book by its pattern. */
async function generatedBy(client, bookId) {
    const entries = await settledEntries(client, { bookId, type: 'codes_generated' });
    return sum(entries.map(({ codes }) => codes));
}

describe('generating at once', () => {
    it('makes each code once, beside jobs of the same book', async (t) => {
        const { server, client } = await testServer(t);
        const codePattern = 'G-{5:digits}{check}';
        const { id } = await client.newBook({ codePattern });
        const jobs = await inParallel([2_000, 1_500], 2, (count) => client.mustBegin(id, count));
        const counts = Array.from({ length: 60 }, (_, index) => 1 + (index % 60));
        const made = await inParallel(counts, width, (count) => client.mustGenerate(id, count));
        for (const [index, codes] of made.entries()) assert.equal(codes.length, counts[index]);
        for (const job of jobs) {
            assert.equal((await client.untilJob(job.id)).status, 'completed');
        }
        const expected = sum(counts) + 3_500;
        const codes = textsOf(await client.allCodes(id));
        assertCodes(codes, codePattern);
        assert.equal(codes.length, expected);
        const there = new Set(codes);
        const answered = textsOf(made.flat());
        assert.equal(new Set(answered).size, sum(counts));
        for (const code of answered) assert.ok(there.has(code), code);
        assert.equal(await generatedBy(client, id), expected);
        await verifyServer(t, server, client);
    });

    it('uses a pattern up, and gives nobody more than there is', async (t) => {
        const { server, client } = await testServer(t);
        for (let round = 0; round < 3; round += 1) {
            const codePattern = `U${round}{3:digits}`;
            const { id } = await client.newBook({ codePattern });
            const answers = await inParallel(numbered('', 30), width, () =>
                client.generate(id, 40, { wait: true }),
            );
            // 25 times 40 are all there are.
            assert.deepEqual(tallyStatus(answers), { 201: 25, 409: 5 });
            const [, , code] = refusals.patternExhausted;
            for (const { status, body } of answers) {
                if (status === 409) assert.equal(body.code, code);
            }
            const made = answers.filter(({ status }) => status === 201);
            const texts = made.flatMap(({ body }) => textsOf(body));
            assertCodes(texts, codePattern);
            assert.equal(texts.length, 1_000);
            assert.equal(await totalOf(client, id), 1_000);
        }
        await verifyServer(t, server, client);
    });

    it('makes no code that another book has, or that is taken in meanwhile', async (t) => {
        const { server, client } = await testServer(t);
        const codePattern = 'M{3:digits}';
        const books = [];
        for (let book = 0; book < 3; book += 1) books.push(await client.newBook({ codePattern }));
        const byHand = Array.from({ length: 1_000 }, (_, number) =>
            `M${`${number}`.padStart(3, '0')}`,
        ).filter((_, index) => index % 10 === 0);
        const uploads = inParallel(byHand, 4, (code) => client.upload(books[0].id, [code]));
        const answers = await inParallel(numbered('', 24), width, (_, index) =>
            client.generate(books[index % 3].id, 30, { wait: true }),
        );
        const taken = (await uploads).filter(({ status }) => status === 201).length;
        assert.deepEqual(tallyStatus(answers), { 201: 24 });
        const all = [];
        for (const { id } of books) all.push(...textsOf(await client.allCodes(id)));
        assertCodes(all, codePattern);
        assert.equal(all.length, 24 * 30 + taken);
        // What is left, to the last one.
        const left = 1_000 - all.length;
        const jobs = await inParallel(books, 3, ({ id }) => client.mustBegin(id, left));
        const ended = [];
        for (const { id } of jobs) ended.push(await client.untilJob(id));
        assert.equal(sum(ended.map(({ created }) => created)), left);
        for (const { created, error } of ended) {
            assert.equal(error?.code, created === left ? undefined : 'code_pattern_exhausted');
        }
        await verifyServer(t, server, client);
    });

    it('answers a key that many send with the same codes, or the same job', async (t) => {
        const { server, client } = await testServer(t);
        const clients = (server.servers ?? [server]).map((each) => new Client(() => each.port));
        t.after(() => clients.forEach((each) => each.close()));
        const { id } = await client.newBook({ codePattern: 'K-{8}' });
        const path = `/coupon/generate/${id}`;
        for (const body of [{ count: 5, wait: true }, { count: 5 }]) {
            for (const key of numbered(`${body.wait}-`, 10)) {
                const answers = await inParallel(numbered('', 12), 12, (_, index) =>
                    postUntilAnswered(clients[index % clients.length], path, body, key),
                );
                assert.deepEqual(tallyStatus(answers), { [body.wait ? 201 : 202]: 12 });
                assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
                assert.equal(answers.filter((answer) => !isReplayed(answer)).length, 1);
            }
        }
        const jobs = await client.allJobs();
        assert.equal(jobs.length, 10);
        for (const job of jobs) assert.equal((await client.untilJob(job.id)).created, 5);
        assert.equal(await totalOf(client, id), 100);
        await verifyServer(t, server, client);
    });

    it('ends jobs that many cancel while they run, each at one moment', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBook({ codePattern: 'C-{12}' });
        let created = 0;
        for (let round = 0; round < 3; round += 1) {
            const job = await client.mustBegin(id, 5_000_000);
            await client.untilJob(job.id, begun);
            const answers = await inParallel(numbered('', width), width, () =>
                client.cancel(job.id),
            );
            assert.deepEqual(tallyStatus(answers), { 200: width });
            assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
            created += answers[0].body.created;
            assert.equal(await totalOf(client, id), created);
        }
        assert.equal(await generatedBy(client, id), created);
        await server.data.verify();
    });
});

describe('a job', () => {
    it('lets its codes be given away, locked and redeemed while it runs', async (t) => {
        const { server, client } = await testServer(t);
        const codePattern = 'R-{9}{check}';
        const count = 60_000;
        const { id } = await client.newBook({ codePattern, maxRedemptionsPerUser: 1 });
        const other = await client.newBookWith(numbered('O-', 300));
        const job = await client.mustBegin(id, count);
        const given = [];
        let hasEnded = false;
        let meanwhile = 0; // redemptions that were answered before the job had ended
        const users = numbered('user-', 300);
        await Promise.all([
            client.untilJob(job.id).then(({ status, created }) => {
                hasEnded = true;
                assert.deepEqual([status, created], ['completed', count]);
            }),
            inParallel(users, 16, async (user, index) => {
                // One code of the job's book, one of another.
                const any = await client.assignAny(user, id);
                if (any.status === 201) {
                    given.push(any.body.code);
                    await client.mustLock(any.body.code, user);
                    await client.mustRedeem(any.body.code, user);
                    if (!hasEnded) meanwhile += 1;
                } else {
                    assert.equal(any.body.code, 'no_available_coupons', any.text);
                }
                await client.mustAssign(`O-${index}`, user);
                await client.mustLock(`O-${index}`, user);
                await client.mustRedeem(`O-${index}`, user);
                if (!hasEnded) meanwhile += 1;
            }),
        ]);
        t.diagnostic(`${meanwhile} redemptions while it ran, ${given.length} of its own codes`);
        assert.ok(meanwhile > 0, 'it was over before anybody redeemed');
        assertCodes(given, codePattern);
        const { counts } = (await client.get(`/coupon/${id}`)).body;
        const redeemed = given.length;
        assert.deepEqual(counts, {
            ...{ total: count, available: count - redeemed, assigned: 0, locked: 0, redeemed },
        });
        assert.equal((await client.get(`/coupon/${other.id}`)).body.counts.redeemed, 300);
        assert.equal(await generatedBy(client, id), count);
        await server.data.verify();
    });

    it('of one of many books goes on beside those of the others', async (t) => {
        const { server, client } = await testServer(t);
        const books = await inParallel(numbered('', 8), 8, (number) =>
            client.newBook({ codePattern: `B${number}-{9}` }),
        );
        const jobs = await inParallel(numbered('', 48), width, async (_, index) => {
            const { id, codePattern } = books[index % books.length];
            return { ...(await client.mustBegin(id, 100 + index)), pattern: codePattern };
        });
        for (const { id, pattern, requested } of jobs) {
            const { status, codePattern, created } = await client.untilJob(id);
            assert.deepEqual([status, codePattern, created], ['completed', pattern, requested]);
        }
        const expected = {}; // by book
        for (const { couponBookId: id, requested } of jobs) {
            expected[id] = (expected[id] ?? 0) + requested;
        }
        for (const { id, codePattern } of books) {
            const codes = textsOf(await client.allCodes(id));
            assertCodes(codes, codePattern);
            assert.equal(codes.length, expected[id]);
            assert.equal(await generatedBy(client, id), expected[id]);
        }
        await verifyServer(t, server, client);
    });

    it('is gone on with where the process that works on it is killed', async (t) => {
        const { server, client } = await testServer(t);
        if (!server.servers) return t.skip('one process');
        const count = 150_000;
        const codePattern = 'D-{10}';
        const { id } = await client.newBook({ codePattern });
        const job = await client.mustBegin(id, count);
        let { created } = await client.untilJob(job.id, begun);
        // All but the last one, each when the one before has been taken over from.
        for (const each of server.servers.slice(0, -1)) {
            await each.kill9();
            const now = await untilAnswered(() => client.untilJob(job.id, goneOn(created)));
            ({ created } = now);
        }
        const ended = await untilAnswered(() => client.untilJob(job.id));
        assert.deepEqual([ended.status, ended.created], ['completed', count]);
        const codes = textsOf(await client.allCodes(id));
        assertCodes(codes, codePattern);
        assert.equal(codes.length, count);
        assert.equal(await generatedBy(client, id), count);
        await server.data.verify();
    });
});

/** Whether a job has made more than that, or has made all. */
const goneOn = (before) => (job) => job.created > before || job.created === job.requested;

/** Asks again where a connection was that of a process that was killed. */
async function untilAnswered(ask) {
    for (;;) {
        try {
            return await ask();
        } catch (error) {
            if (!isConnectionFailure(error)) throw error;
        }
    }
}
