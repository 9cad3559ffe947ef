// Files of codes at once, with each other and with whatever else adds codes: each code comes in once,
// and of a file that is to be taken in whole all of them or none.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Client, inParallel, numbered, tally } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { verifyServer } from '../support/ledger.js';
import { isReplayed } from '../support/retry.js';
import { assertJob } from '../support/shapes.js';

const textsOf = (codes) => codes.map(({ code }) => code);
const fileOf = (codes) => codes.map((code) => `${code}\n`).join('');
const skip = { onConflict: 'skip' };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Uploads until that is not refused because of a file that is taken in whole. */
async function uploadInTurn(client, bookId, codes) {
    for (const deadline = Date.now() + 60_000; ; await pause(10)) {
        const answer = await client.upload(bookId, codes);
        if (answer.status !== 503) return answer;
        assert.equal(answer.body.code, 'codes_being_imported', answer.text);
        assert.ok(Date.now() < deadline, 'it has to wait for ever');
    }
}

/** Which of the books has each code: all that they hold. */
async function holders(client, books) {
    const found = new Map();
    for (const { id } of books) {
        for (const code of textsOf(await client.allCodes(id))) {
            assert.ok(!found.has(code), `${code} is there twice`);
            found.set(code, id);
        }
    }
    return found;
}

/** The job has done with its file what it says; `found` as of holders(). */
function assertDone(job, codes, found) {
    const own = codes.filter((code) => found.get(code) === job.couponBookId).length;
    const text = `${own} of ${codes.length} codes are there: ${JSON.stringify(job)}`;
    assert.equal(job.requested, codes.length, text);
    if (job.onConflict === 'skip') {
        assert.equal(job.status, 'completed', text);
        assert.ok(job.created <= own, text);
        // What it did not take somebody else had brought in.
        for (const code of codes) assert.ok(found.has(code), `${code}: ${text}`);
        return;
    }
    if (job.status === 'completed') {
        assert.deepEqual([job.created, own], [codes.length, codes.length], text);
        return;
    }
    assert.deepEqual([job.status, job.error.code, job.created], ['failed', 'rows_rejected', 0], text);
}

describe('files of codes at once', () => {
    it('that overlap and are to be taken in whole: of each all codes or none', async (t) => {
        const { server, client } = await testServer(t);
        for (const [round, size] of [400, 3_000, 12_000].entries()) {
            const books = [await client.newBook(), await client.newBook()];
            // Each overlaps with the ones on both its sides.
            const files = Array.from({ length: 6 }, (_, index) =>
                numbered(`O${round}-`, size, (index * size * 2) / 3),
            );
            const jobs = await inParallel(files, files.length, (codes, index) =>
                client.mustImport(books[index % 2].id, fileOf(codes)),
            );
            const ended = [];
            for (const { id } of jobs) ended.push(await client.untilJob(id));
            const found = await holders(client, books);
            const taken = new Set();
            for (const [index, job] of ended.entries()) {
                assertDone(job, files[index], found);
                if (job.status !== 'completed') continue;
                for (const code of files[index]) {
                    assert.ok(!taken.has(code), `${code} of two files`);
                    taken.add(code);
                }
            }
            // Nothing of the others.
            assert.equal(found.size, taken.size);
            assert.ok(taken.size > 0, 'none was taken in');
        }
        await server.data.verify();
    });

    it('that are small and clash with uploads: of each all codes or none, again and again', async (t) => {
        const { server, client } = await testServer(t);
        const books = [await client.newBook(), await client.newBook()];
        let [whole, none, byHand] = [0, 0, 0];
        for (let round = 0; round < 20; round += 1) {
            const codes = numbered(`T${round}-`, 12);
            const files = [codes, codes.slice(0, 8), codes.slice(4), codes.slice(6, 7)];
            const [jobs, answers] = await Promise.all([
                inParallel(files, 4, (file, index) =>
                    client.mustImport(books[index % 2].id, fileOf(file)),
                ),
                inParallel([2, 9, 6], 3, async (at) => {
                    await pause(round % 8);
                    return uploadInTurn(client, books[at % 2].id, [codes[at]]);
                }),
            ]);
            const ended = [];
            for (const { id } of jobs) ended.push(await client.untilJob(id));
            const taken = ended.flatMap((job, index) => (job.created > 0 ? files[index] : []));
            for (const [index, at] of [2, 9, 6].entries()) {
                if (answers[index].status === 201) taken.push(codes[at]);
            }
            assert.equal(new Set(taken).size, taken.length, `twice: ${taken}`);
            for (const [index, job] of ended.entries()) {
                const isWhole = job.status === 'completed';
                assert.equal(job.created, isWhole ? files[index].length : 0);
                isWhole ? (whole += 1) : (none += 1);
            }
            byHand += answers.filter(({ status }) => status === 201).length;
            const there = [];
            for (const code of codes) {
                if ((await client.validate(code, 'ann')).body.reasons[0]?.code !== 'coupon_not_found') {
                    there.push(code);
                }
            }
            assert.deepEqual(there.sort(), taken.sort());
        }
        t.diagnostic(`${whole} whole, ${none} not, ${byHand} uploads`);
        assert.ok(whole > 0 && none > 0 && byHand > 0, 'nobody is in the way of anybody');
        await verifyServer(t, server, client);
    });

    it('that are the same: one is taken in', async (t) => {
        const { server, client } = await testServer(t);
        for (const [size, more] of [
            [1, {}],
            [5_000, {}],
            [5_000, skip],
        ]) {
            const { id } = await client.newBook();
            const file = fileOf(numbered(`S${size}${more.onConflict}-`, size));
            const jobs = await inParallel(numbered('', 5), 5, () => client.mustImport(id, file, more));
            const ended = [];
            for (const job of jobs) ended.push(await client.untilJob(job.id));
            const created = ended.reduce((sum, job) => sum + job.created, 0);
            assert.equal(created, size);
            assert.equal((await client.get(`/coupon/${id}`)).body.counts.total, size);
            if (more === skip) continue;
            const statuses = tally(ended.map(({ status }) => status));
            assert.deepEqual(statuses, { completed: 1, failed: 4 });
        }
        await verifyServer(t, server, client);
    });

    it('of which some skip, beside uploads: each code once, and none is lost', async (t) => {
        const { server, client } = await testServer(t);
        const books = [await client.newBook(), await client.newBook()];
        let byHand = 0;
        for (let round = 0; round < 3; round += 1) {
            const size = 6_000;
            const files = [0, 1, 2, 3].map((at) => numbered(`M${round}-`, size, (at * size) / 2));
            const uploads = Array.from({ length: 40 }, (_, index) =>
                numbered(`M${round}-`, 20, index * 350),
            );
            const begin = inParallel(files, 4, (codes, index) =>
                client.mustImport(books[index % 2].id, fileOf(codes), index % 2 ? skip : {}),
            );
            const answers = await inParallel(uploads, 8, (codes, index) =>
                uploadInTurn(client, books[index % 2].id, codes),
            );
            const ended = [];
            for (const { id } of await begin) ended.push(await client.untilJob(id));
            const found = await holders(client, books);
            for (const [index, job] of ended.entries()) assertDone(job, files[index], found);
            let uploaded = 0; // of them
            for (const [index, { status, body, text }] of answers.entries()) {
                if (status === 201) {
                    uploaded += 1;
                    for (const code of uploads[index]) {
                        assert.equal(found.get(code), books[index % 2].id, code);
                    }
                } else {
                    assert.deepEqual([status, body.code], [409, 'codes_already_exist'], text);
                }
            }
            const whole = ended.filter((job) => job.onConflict === 'fail' && job.created > 0).length;
            t.diagnostic(`${whole} whole, ${uploaded} uploads`);
            byHand += 20 * uploaded;
        }
        const created = (await client.allJobs()).reduce((sum, job) => sum + job.created, 0);
        assert.equal((await holders(client, books)).size, created + byHand);
        await server.data.verify();
    });

    it('beside what makes the same codes by a pattern', async (t) => {
        const { server, client } = await testServer(t);
        const codePattern = 'P{4:digits}';
        const books = [await client.newBook({ codePattern }), await client.newBook()];
        const all = numbered('', 10_000).map((number) => `P${number.padStart(4, '0')}`);
        const files = [0, 1, 2, 3].map((part) => all.slice(part * 2_500, (part + 1) * 2_500));
        const generates = await client.mustBegin(books[0].id, 3_000);
        const jobs = await inParallel(files, 4, (codes, index) =>
            client.mustImport(books[1].id, fileOf(codes), index % 2 ? skip : {}),
        );
        const atOnce = await inParallel(numbered('', 30), 6, () =>
            client.generate(books[0].id, 10, { wait: true }),
        );
        const ended = [];
        for (const { id } of jobs) ended.push(await client.untilJob(id));
        const made = await client.untilJob(generates.id);
        const found = await holders(client, books);
        for (const [index, job] of ended.entries()) assertDone(job, files[index], found);
        let count = ended.reduce((sum, { created }) => sum + created, made.created);
        for (const { status, body, text } of atOnce) {
            if (status === 201) {
                for (const { code } of body) assert.equal(found.get(code), books[0].id);
                count += body.length;
            } else {
                const codes = ['codes_being_imported', 'code_pattern_exhausted'];
                assert.ok(codes.includes(body.code), text);
            }
        }
        assert.equal(found.size, count);
        if (made.created < 3_000) assert.equal(made.error?.code, 'code_pattern_exhausted');
        await verifyServer(t, server, client);
    });

    it('of one spelling, where that counts as equal: one of them', async (t) => {
        const { server, client } = await testServer(t);
        const books = await inParallel(numbered('', 2), 2, () =>
            client.newBook({ caseSensitive: false }),
        );
        const spellings = [(text) => text, (text) => text.toLowerCase(), (text) => `${text}-`];
        const files = [0, 1, 2, 0, 1, 2].map((way, index) =>
            numbered('Case-', 2_000, index < 3 ? 0 : 1_000).map(spellings[way]),
        );
        const jobs = await inParallel(files, 6, (codes, index) =>
            client.mustImport(books[index % 2].id, fileOf(codes), index >= 3 ? skip : {}),
        );
        const ended = [];
        for (const { id } of jobs) ended.push(await client.untilJob(id));
        const found = await holders(client, books);
        const plain = [...found.keys()].map((text) => text.toLowerCase().replaceAll('-', ''));
        assert.equal(new Set(plain).size, plain.length, 'a spelling twice');
        for (const [index, job] of ended.entries()) {
            if (job.onConflict === 'fail' && job.status === 'completed') {
                assertDone(job, files[index], found);
            } else if (job.onConflict === 'fail') {
                assertJob(job, { status: 'failed', created: 0 });
            }
        }
        const created = ended.reduce((sum, job) => sum + job.created, 0);
        assert.equal(found.size, created);
        // Those that skip leave none out that nobody has.
        assert.equal(plain.length, 3_000);
        await verifyServer(t, server, client);
    });

    it('with one key: one job, whoever of them it answers', async (t) => {
        const { server, client } = await testServer(t);
        const clients = (server.servers ?? [server]).map((each) => new Client(() => each.port));
        t.after(() => clients.forEach((each) => each.close()));
        const { id } = await client.newBook();
        for (const size of [10, 40_000]) {
            const file = fileOf(numbered(`K${size}-`, size));
            const options = { headers: { 'idempotency-key': `key-${size}` } };
            const answers = await inParallel(numbered('', 9), 9, async (_, index) => {
                for (;;) {
                    const sender = clients[index % clients.length];
                    const answer = await sender.importFile(id, file, undefined, options);
                    if (answer.status === 202) return answer;
                    const { code } = answer.body;
                    assert.equal(code, 'idempotency_key_in_use', answer.text);
                    await pause(5);
                }
            });
            assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
            assert.equal(answers.filter((answer) => !isReplayed(answer)).length, 1);
            assertJob(await client.untilJob(answers[0].body.id), {
                ...{ status: 'completed', requested: size, created: size },
            });
        }
        for (const job of await client.allJobs()) {
            const { status, error } = await client.untilJob(job.id);
            if (status !== 'completed') assert.equal(error.code, 'upload_interrupted');
        }
        assert.equal((await client.get(`/coupon/${id}`)).body.counts.total, 40_010);
        await server.data.verify();
    });

    it('that are cancelled by many while they run end at one moment', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBook();
        let created = 0;
        for (const [round, more] of [skip, {}, skip, {}].entries()) {
            const file = fileOf(numbered(`C${round}-`, 40_000));
            const job = await client.mustImport(id, file, more);
            if (round < 3) await client.untilJob(job.id, ({ status }) => status !== 'queued');
            const answers = await inParallel(numbered('', 12), 12, () => client.cancel(job.id));
            const ended = await client.untilJob(job.id);
            created += ended.created;
            const isCancelled = ended.status === 'cancelled';
            if (more !== skip) assert.equal(ended.created, isCancelled ? 0 : 40_000);
            for (const { status, body, text } of answers) {
                if (isCancelled && status === 200) assert.deepEqual(body, ended);
                else assert.ok(['job_adds_all', 'job_finished'].includes(body.code), text);
            }
            assert.equal((await client.get(`/coupon/${id}`)).body.counts.total, created);
        }
        await server.data.verify();
    });

    it('of which users are given codes, and others take what is left', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBook();
        const rows = numbered('G-', 8_000).map((code, index) =>
            index % 4 === 0 ? `${code},user-${index}` : `${code},`,
        );
        const job = await client.mustImport(id, `code,userId\n${fileOf(rows)}`, skip);
        const given = [];
        await inParallel(numbered('taker-', 400), 16, async (user) => {
            const answer = await client.assignAny(user, id);
            if (answer.status === 201) given.push(answer.body.code);
            else assert.equal(answer.body.code, 'no_available_coupons', answer.text);
        });
        assertJob(await client.untilJob(job.id), { status: 'completed', created: 8_000 });
        assert.equal(new Set(given).size, given.length);
        const ofUsers = (code) => Number(code.slice(2)) % 4 === 0;
        for (const code of given) assert.ok(!ofUsers(code), `${code} was somebody's`);
        for (const { code, assignedTo } of await client.allCodes(id)) {
            if (ofUsers(code)) assert.equal(assignedTo, `user-${code.slice(2)}`);
        }
        const { counts } = (await client.get(`/coupon/${id}`)).body;
        const assigned = 2_000 + given.length;
        assert.deepEqual(counts, {
            ...{ total: 8_000, available: 8_000 - assigned, assigned, locked: 0, redeemed: 0 },
        });
        await verifyServer(t, server, client);
    });

    it('of users who take codes themselves: nobody takes more than they may', async (t) => {
        const { server, client } = await testServer(t);
        const users = numbered('user-', 150);
        const { id } = await client.newBookWith(numbered('free-', 400), { maxAssignmentsPerUser: 2 });
        const rows = numbered('U-', 12_000).map((code, row) =>
            row % 40 ? `${code},` : `${code},${users[(row / 40) % users.length]}`,
        );
        const importing = client.mustImport(id, `code,userId\n${fileOf(rows)}`, skip);
        let taken = 0;
        await inParallel([...users, ...users], 16, async (user) => {
            const answer = await client.assignAny(user, id);
            if (answer.status === 201) taken += 1;
            else assert.equal(answer.body.code, 'user_assignment_limit_reached', answer.text);
        });
        t.diagnostic(`${taken} taken`);
        const { id: jobId } = await importing;
        assertJob(await client.untilJob(jobId), { status: 'completed', created: rows.length });
        // Who has two of the file is given none any more: who has more had them before.
        const held = tally((await client.allCodes(id)).map(({ assignedTo }) => assignedTo));
        for (const user of users) assert.ok(held[user] >= 2 && held[user] <= 4, held[user]);
        for (const user of users) {
            const answer = await client.assignAny(user, id);
            assert.equal(answer.body.code, 'user_assignment_limit_reached', answer.text);
        }
        await server.data.verify();
    });

    it('of a user who is erased meanwhile: each of their codes is found', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBook();
        const rows = numbered('E-', 30_000).map((code, row) => (row % 50 ? `${code},` : `${code},ann`));
        for (const [round, more] of [skip, {}].entries()) {
            const file = fileOf(rows.map((row) => `${round}${row}`));
            const job = await client.mustImport(id, `code,userId\n${file}`, more);
            let erased = 0;
            let ended = false;
            const end = client.untilJob(job.id).then((last) => {
                ended = true;
                assertJob(last, { status: 'completed', created: rows.length });
            });
            while (!ended) {
                const { status, text } = await client.request('DELETE', '/coupon/users/ann');
                assert.ok(status === 200 || status === 204 || status === 404, text);
                if (status !== 404) erased += 1;
            }
            await end;
            t.diagnostic(`erased ${erased} times`);
            await client.request('DELETE', '/coupon/users/ann');
            const codes = await client.allCodes(id);
            const of = codes.filter(({ code }) => code.startsWith(`${round}E-`));
            const assigned = of.filter(({ assignedTo }) => assignedTo !== null);
            assert.equal(assigned.length, rows.length / 50);
            for (const { assignedTo } of assigned) assert.notEqual(assignedTo, 'ann');
            assert.deepEqual((await client.get('/coupon/users/ann')).body.codes, []);
        }
        await server.data.verify();
    });
});
