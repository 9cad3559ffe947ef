// POST /coupon/codes/:id with a file: its rows become codes by a job, or are rejected.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client, assertRefused, numbered, nextPage, tally } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { settledEntries, verifyLedger } from '../support/ledger.js';
import { RawConnection, requestText } from '../support/raw.js';
import { refusals } from '../support/refusals.js';
import { assertJob, codeDefaults } from '../support/shapes.js';
import { metadataOf } from '../support/unfit.js';

const textOf = (file) => readFileSync(fileURLToPath(new URL(file, import.meta.url)), 'utf8');
const textsOf = (codes) => codes.map(({ code }) => code);
const totalOf = async (client, id) => (await client.get(`/coupon/${id}`)).body.counts.total;
const csvOf = (rows) => rows.map((row) => `${row}\n`).join('');
const csv = (...rows) => csvOf(rows);
const ndjson = (...rows) => csvOf(rows.map((row) => JSON.stringify(row)));
const json = { format: 'ndjson' };
const skip = { onConflict: 'skip' };
const rejection = ({ line, reason, text }) => [line, reason, text];
const invalid = (answer, messages) => assertRefused(answer, 400, messages, 'validation_failed');

/** Rows of a file that is larger than several of the parts that it is kept in. */
const manyRows = (prefix, count, from = 0) =>
    csv('code,metadata.print') + csvOf(numbered(prefix, count, from).map((code) => `${code},7`));

/** It has completed with so many codes, and none rejected. */
function assertCompleted(job, created) {
    assertJob(job, { status: 'completed', requested: created, created, rejected: 0, error: null });
}

/** Why none of a file is taken in. */
const rowsRejected = {
    code: 'rows_rejected',
    message:
        'Some rows were rejected, so none was taken in: mend them, or leave them out with onConflict=skip',
};

describe('a file of codes', () => {
    const c = suiteServer();

    // [what, format, file, its codes].
    for (const [what, format, file, codes] of [
        ['a column without a name', 'csv', 'N-1\nN-2\nN-3\n', ['N-1', 'N-2', 'N-3']],
        ['a column with a name', 'csv', 'code\nM-1\nM-2\n', ['M-1', 'M-2']],
        ['one code and no line end', 'csv', 'single', ['single']],
        ['a byte order mark', 'csv', '\ufeffcode\nbom-1\n', ['bom-1']],
        ['a byte order mark before a code', 'csv', '\ufeffbom-2\nbom-3\n', ['bom-2', 'bom-3']],
        ['CRLF', 'csv', 'code,userId\r\nrn-1,\r\nrn-2,\r\n', ['rn-1', 'rn-2']],
        ['carriage returns alone', 'csv', 'code\rr-1\rr-2', ['r-1', 'r-2']],
        ['empty lines', 'csv', '\n\ncode\n\ne-1\n\n\ne-2\n\n', ['e-1', 'e-2']],
        ['quotes', 'csv', '"code"\n"q,1"\n"q ""2"""\n"q-3"\n', ['q,1', 'q "2"', 'q-3']],
        ['guards against formulas', 'csv', "code\n'-g1\n''=g2\n'g3\n-g4\n", ['-g1', "'=g2", "'g3", '-g4']],
        ['white space', 'csv', 'w-1\n w-1\nw-1 \n', ['w-1', ' w-1', 'w-1 ']],
        ['what is not ASCII', 'csv', 'é☃🎟\nü\n', ['é☃🎟', 'ü']],
        ['128 characters', 'csv', `${'🎟'.repeat(128)}\n`, ['🎟'.repeat(128)]],
        ['texts', 'ndjson', '"t-1"\n"t-2"\r\n"t \\u00e9"', ['t-1', 't-2', 't é']],
        ['objects', 'ndjson', '{"code":"o-1"}\n\n \n{"code":"o-2","userId":null}\n', ['o-1', 'o-2']],
        ['no guards', 'ndjson', '"\'=h1"\n"=h2"\n', ["'=h1", '=h2']],
    ]) {
        it(`is taken in: ${what}, as ${format}`, async () => {
            for (const onConflict of ['fail', 'skip']) {
                const { client } = c;
                const { id } = await client.newBook();
                const job = await client.imported(id, file, { format, onConflict });
                if (onConflict === 'skip') {
                    assertJob(job, { status: 'completed', created: 0, rejected: codes.length });
                    continue;
                }
                assertCompleted(job, codes.length);
                assert.deepEqual(textsOf(await client.allCodes(id)).sort(), [...codes].sort());
                assert.deepEqual(await client.rejectedRows(job.id), []);
            }
        });
    }

    it('says of a code all that there is to say', async () => {
        const { id } = await c.client.newBook({ timeZone: 'Europe/Berlin' });
        const file = csv(
            'metadata.note,STATUS,expiresat,Code,userId,maxRedemptions,active,metadata.Print',
            '"for Ann, who ""asked""\nagain",assigned,2027-03-28,all-1,ann,3,TRUE,7',
            ',,2027-10-31,all-2,,,,',
            ',locked,2027-10-31T02:30:00+02:00,all-3,bob,1000000000,false,',
            'é☃🎟,free,,all-4,,,,',
        );
        const job = await c.client.imported(id, file);
        assertCompleted(job, 4);
        const codes = new Map((await c.client.allCodes(id)).map((code) => [code.code, code]));
        const of = ({ status, assignedTo, active, expiresAt, maxRedemptions, metadata }) => [
            ...[status, assignedTo, active, expiresAt, maxRedemptions, metadata],
        ];
        const note = 'for Ann, who "asked"\nagain';
        assert.deepEqual(of(codes.get('all-1')), [
            ...['assigned', 'ann', true, '2027-03-28T22:00:00.000Z', 3, { note, Print: '7' }],
        ]);
        assert.deepEqual(of(codes.get('all-2')), [
            ...['free', null, true, '2027-10-31T23:00:00.000Z', null, {}],
        ]);
        assert.deepEqual(of(codes.get('all-3')), [
            ...['assigned', 'bob', false, '2027-10-31T00:30:00.000Z', 1_000_000_000, {}],
        ]);
        assert.deepEqual(of(codes.get('all-4')), [
            ...['free', null, true, null, null, { note: 'é☃🎟' }],
        ]);
        const { counts } = (await c.client.get(`/coupon/${id}`)).body;
        assert.deepEqual(counts, { total: 4, available: 2, assigned: 2, locked: 0, redeemed: 0 });
    });

    it('says the same as lines of JSON, and as a list of codes shows them', async () => {
        const { id } = await c.client.newBook({ timeZone: 'Asia/Tokyo' });
        const metadata = { 'ü 🎟': ['\u0000', 1.5, null, {}], big: 'x'.repeat(16_000) };
        const listed = (await c.client.newBookWith(['listed-1', 'listed-2'])).id;
        await c.client.mustAssign('listed-1', 'ann');
        await c.client.mustPatchCode('listed-1', { metadata: { from: 'list' }, maxRedemptions: 2 });
        await c.client.mustAssign('listed-2', 'bob');
        await c.client.mustLock('listed-2', 'bob');
        const rows = (await c.client.allCodes(listed)).map((row) => ({
            ...row,
            code: `again ${row.code}`,
        }));
        rows.push({ code: 'json-1', expiresAt: '2027-03-28', maxRedemptions: 5, active: false });
        rows.push({ code: 'json-2', metadata, userId: 'cid', assignedTo: 'cid', status: 'locked' });
        rows.push({ code: 'json-3', active: null, expiresAt: null, metadata: null, status: null });
        assertCompleted(await c.client.imported(id, ndjson(...rows), json), 5);
        const found = (await c.client.allCodes(id)).map(
            ({ code, status, assignedTo, active, expiresAt, maxRedemptions, metadata: own }) => [
                ...[code, status, assignedTo, active, expiresAt, maxRedemptions, own],
            ],
        );
        assert.deepEqual(found.sort(), [
            ['again listed-1', 'assigned', 'ann', true, null, 2, { from: 'list' }],
            ['again listed-2', 'assigned', 'bob', true, null, null, {}],
            ['json-1', 'free', null, false, '2027-03-28T15:00:00.000Z', 5, {}],
            ['json-2', 'assigned', 'cid', true, null, null, metadata],
            ['json-3', 'free', null, true, null, null, {}],
        ]);
    });

    it('makes codes that live as others do', async () => {
        const { id } = await c.client.newBook();
        const file = csv('code,userId,maxRedemptions', 'live-1,ann,2', 'live-2,,', 'live-3,,');
        assertCompleted(await c.client.imported(id, file), 3);
        for (let use = 0; use < 2; use += 1) {
            await c.client.mustLock('live-1', 'ann');
            await c.client.mustRedeem('live-1', 'ann');
        }
        assertRefused(await c.client.lock('live-1', 'ann'), ...refusals.usedUp);
        const given = [];
        for (const user of ['bob', 'cid']) {
            given.push((await c.client.assignAny(user, id)).body.code);
        }
        assert.deepEqual(given.sort(), ['live-2', 'live-3']);
        assertRefused(await c.client.assignAny('ann', id), ...refusals.noneAvailable);
        await c.client.mustPatchCode('live-2', { metadata: { later: true } });
        const [change] = await settledEntries(c.client, { code: 'live-2', type: 'code_changed' });
        assert.deepEqual(change.before, codeDefaults);
    });

    it('is told in the ledger by the request that brought it, and counted', async () => {
        const { id } = await c.client.newBook();
        const rows = numbered('led-', 30).map((code, index) =>
            index % 3 === 0 ? `${code},user-${index},` : `${code},,2030-01-0${1 + (index % 2)}`,
        );
        const answer = await c.client.importFile(id, csv('code,userId,expiresAt', ...rows), undefined, {
            headers: { 'x-request-id': 'brought-in' },
        });
        assertCompleted(await c.client.untilJob(answer.body.id), 30);
        const entries = await settledEntries(c.client, { bookId: id });
        const own = entries.filter(({ type }) => type !== 'book_created');
        for (const { requestId } of own) assert.equal(requestId, 'brought-in');
        assert.deepEqual(tally(own.map(({ type }) => type)), {
            codes_uploaded: 30,
            code_assigned: 10,
        });
        const uploaded = own.filter(({ type }) => type === 'codes_uploaded');
        assert.equal(uploaded.reduce((sum, { codes }) => sum + codes, 0), 30);
        const assigned = own.filter(({ type }) => type === 'code_assigned');
        for (const { code, userId } of assigned) assert.equal(userId, `user-${code.slice(4)}`);
        const { body: stats } = await c.client.get(`/coupon/${id}/stats`);
        assert.deepEqual(
            [stats.totals.total, stats.totals.available, stats.totals.assigned],
            [30, 20, 10],
        );
        const sum = (name) => stats.series.reduce((all, piece) => all + piece[name], 0);
        assert.deepEqual([sum('uploaded'), sum('generated'), sum('assigned')], [30, 0, 10]);
    });

    it('takes no notice of whether its codes can be used now, nor of who holds others', async () => {
        const book = await c.client.newBook({ endsAt: '2020-01-01', maxAssignmentsPerUser: 1 });
        const file = csv('code,userId', 'hold-1,ann', 'hold-2,ann', 'hold-3,ann', 'hold-4,');
        assertCompleted(await c.client.imported(book.id, file), 4);
        await c.client.mustPatchBook(book.id, { endsAt: null });
        // Who holds more than they may is given none, but the one that came first.
        const answer = await c.client.assignAny('ann', book.id);
        assert.equal(answer.status, 201, answer.text);
        assert.match(answer.body.code, /^hold-[123]$/);
        assertRefused(await c.client.assign('hold-4', 'ann'), ...refusals.assignmentLimit);
        assert.equal((await c.client.assignAny('bob', book.id)).body.code, 'hold-4');
    });

    it('that is large is counted exactly', async () => {
        const { id } = await c.client.newBook();
        const count = 200_000;
        const job = await c.client.imported(id, manyRows('large-', count));
        assertCompleted(job, count);
        assert.equal(await totalOf(c.client, id), count);
        const [{ rows }] = await c.server.data.query(
            `SELECT count(*) AS rows FROM coupon_code WHERE code LIKE 'large-%'`,
        );
        assert.equal(Number(rows), count);
    });

    it('that comes in chunks is taken in as well', async () => {
        const { id } = await c.client.newBook();
        const headers = { 'transfer-encoding': 'chunked', 'content-length': null };
        const answer = await c.client.importFile(id, manyRows('chunk-', 60_000), skip, { headers });
        assert.equal(answer.status, 202, answer.text);
        assertCompleted(await c.client.untilJob(answer.body.id), 60_000);
    });

    it('that comes slowly, a byte at a time, is taken in as well', async (t) => {
        const { id } = await c.client.newBook();
        const file = csv('code,userId', 'slow-1,ann', 'slow-2,', '"slow-3",bob');
        const path = `/coupon/codes/${id}`;
        const raw = await RawConnection.open(c.server.port);
        t.after(() => raw.destroy());
        const headers = { 'Content-Type': 'TEXT/CSV; charset="UTF-8"', 'Content-Length': file.length };
        raw.write(requestText('POST', path, { headers }));
        for (const byte of file) {
            raw.write(byte);
            await new Promise((resolve) => setTimeout(resolve, 2));
        }
        const answer = await raw.next('POST', path);
        assert.equal(answer.status, 202, answer.text);
        assertCompleted(await c.client.untilJob(answer.body.id), 3);
        raw.write(requestText('GET', '/health/live'));
        assert.equal((await raw.next('GET', '/health/live')).status, 200);
    });

    it('is one of the jobs', async () => {
        const { id } = await c.client.newBook();
        const job = await c.client.imported(id, csv('listed'));
        const [listed] = await c.client.allJobs({ couponBookId: id });
        assert.deepEqual(listed, job);
    });

    it('leaves nothing of itself', async () => {
        const parts = 'SELECT count(*) AS parts FROM file_part';
        for (const deadline = Date.now() + 20_000; ;) {
            const [{ parts: left }] = await c.server.data.query(parts);
            if (Number(left) === 0) return;
            assert.ok(Date.now() < deadline, `${left} parts are left`);
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
    });

    it('agrees with the ledger', async () => {
        await c.server.data.verify();
    });
});

describe('a row', () => {
    const c = suiteServer();

    // [what, the file, [line, reason, text] of what is rejected, how many are taken], of CSV.
    const long = 'x'.repeat(65_537);
    const rejectedOfCsv = [
        ['too long', `code\n${long}\nl-1\n`, [[2, 'row_too_long', long.slice(0, 200)]], 1],
        [
            'whose quotes do not fit',
            'code,metadata.note\nq-1,"for Ann\nq-2,for Bob\n"q-3"x,\n',
            [
                [2, 'row_malformed', 'q-1,"for Ann'],
                [4, 'row_malformed', '"q-3"x,'],
            ],
            1,
        ],
        [
            'of more or fewer cells',
            'code,userId\nc-1\nc-2,,\nc-3,\n',
            [
                [2, 'row_malformed', 'c-1'],
                [3, 'row_malformed', 'c-2,,'],
            ],
            1,
        ],
        [
            'that is not UTF-8',
            Buffer.from('code\nu-\xff\nu-1\n', 'latin1'),
            [[2, 'not_utf8', 'u-\ufffd']],
            1,
        ],
        ['that has U+0000 in its code', 'n-\0\nn-1\n', [[1, 'code_invalid', 'n-\ufffd']], 1],
        [
            'whose code is none',
            `code,userId\n${'x'.repeat(129)},\n"a\tb",\n,ann\n`,
            [
                [2, 'code_invalid', `${'x'.repeat(129)},`],
                [3, 'code_invalid', '"a\tb",'],
                [4, 'code_missing', ',ann'],
            ],
            0,
        ],
        [
            'that was redeemed, or whose status is none',
            'code,status\nr-1,redeemed\nr-2,gone\nr-3,free\n',
            [
                [2, 'already_redeemed', 'r-1,redeemed'],
                [3, 'status_invalid', 'r-2,gone'],
            ],
            1,
        ],
        [
            'whose user is none',
            `code,userId\ni-1,${'u'.repeat(256)}\ni-2,"a\nb"\ni-3,${'u'.repeat(255)}\n`,
            [
                [2, 'user_id_invalid', `i-1,${'u'.repeat(196)}`],
                [3, 'user_id_invalid', 'i-2,"a\nb"'],
            ],
            1,
        ],
        [
            'whose end is none',
            'code,expiresAt\nx-1,31.12.2026\nx-2,2026-02-30\nx-3,2026-01-01T00:00:00\nx-4,9999-01-01\nx-5,9998-12-31\n',
            [
                [2, 'expires_at_invalid', 'x-1,31.12.2026'],
                [3, 'expires_at_invalid', 'x-2,2026-02-30'],
                [4, 'expires_at_invalid', 'x-3,2026-01-01T00:00:00'],
                [5, 'expires_at_invalid', 'x-4,9999-01-01'],
            ],
            1,
        ],
        [
            'whose maxRedemptions or active is none',
            'code,maxRedemptions,active\nm-1,0,\nm-2,1.5,\nm-3,1000000001,\nm-4,-1,\nm-5,,yes\nm-6,1,true\n',
            [
                [2, 'max_redemptions_invalid', 'm-1,0,'],
                [3, 'max_redemptions_invalid', 'm-2,1.5,'],
                [4, 'max_redemptions_invalid', 'm-3,1000000001,'],
                [5, 'max_redemptions_invalid', 'm-4,-1,'],
                [6, 'active_invalid', 'm-5,,yes'],
            ],
            1,
        ],
        [
            'whose status and user contradict each other',
            'code,status,userId\ns-1,free,ann\ns-2,assigned,\ns-3,locked,\ns-4,assigned,ann\n',
            [
                [2, 'status_contradictory', 's-1,free,ann'],
                [3, 'status_contradictory', 's-2,assigned,'],
                [4, 'status_contradictory', 's-3,locked,'],
            ],
            1,
        ],
        [
            'whose metadata is too large',
            `code,metadata.k\nd-1,${'x'.repeat(16_384 - 8)}\nd-2,${'x'.repeat(16_384 - 7)}\n`,
            [[3, 'metadata_too_large', `d-2,${'x'.repeat(196)}`]],
            1,
        ],
        [
            'whose code is in a row before',
            'p-1\np-2\np-1\np-1\n',
            [
                [3, 'code_repeated', 'p-1'],
                [4, 'code_repeated', 'p-1'],
            ],
            2,
        ],
    ];
    const rejectedOfJson = [
        [
            'that is no object and no text',
            '5\n[]\nnull\n{"code":"a-1"\n"a-2" "a-3"\n{"code":"a-4","code":"a-5"}\n{}\n""\n"a-6"\n',
            [
                ...['5', '[]', 'null', '{"code":"a-1"', '"a-2" "a-3"', '{"code":"a-4","code":"a-5"}'].map(
                    (text, index) => [index + 1, 'row_malformed', text],
                ),
                [7, 'code_missing', '{}'],
                [8, 'code_missing', '""'],
            ],
            1,
        ],
        [
            'of characters that no code has',
            '"\\u0000"\n"\\ud800"\n{"code":"\\ud83c\\udf9f","metadata":{"k":"\\u0000"}}\n',
            [
                [1, 'code_invalid', '"\\u0000"'],
                [2, 'row_malformed', '"\\ud800"'],
            ],
            1,
        ],
        [
            'with members that are not known, or not of their type',
            ndjson(
                { code: 'b-1', colour: 'red' },
                { code: 5 },
                { code: 'b-2', userId: 5 },
                { code: 'b-3', expiresAt: 5 },
                { code: 'b-4', maxRedemptions: '3' },
                { code: 'b-5', active: 'true' },
                { code: 'b-6', status: '' },
                { code: 'b-7', metadata: [] },
                { code: 'b-8', metadata: metadataOf(16_385) },
                { code: 'b-9', userId: 'ann', assignedTo: 'bob' },
                { code: 'b-10', isRedeemed: true },
                { code: 'b-11', redeemedAt: '2026-01-01T00:00:00.000Z' },
                { code: 'b-12', metadata: metadataOf(16_384) },
            ),
            [
                ...['unknown_member', 'code_invalid', 'user_id_invalid', 'expires_at_invalid'],
                ...['max_redemptions_invalid', 'active_invalid', 'status_invalid'],
                ...['metadata_invalid', 'metadata_too_large', 'status_contradictory'],
                ...['already_redeemed', 'already_redeemed'],
            ].map((reason, index) => [index + 1, reason]),
            1,
        ],
    ];
    for (const [format, all] of [
        ['csv', rejectedOfCsv],
        ['ndjson', rejectedOfJson],
    ]) {
        for (const [what, file, rejected, created] of all) {
            it(`${what} is rejected, as ${format}`, async () => {
                const { id } = await c.client.newBook();
                const whole = await c.client.imported(id, file, { format });
                const requested = rejected.length + created;
                assertJob(whole, {
                    ...{ status: 'failed', error: rowsRejected, requested, created: 0 },
                    ...{ rejected: rejected.length, failed: requested, couponBookId: id },
                });
                assert.equal(await totalOf(c.client, id), 0);
                const job = await c.client.imported(id, file, { format, ...skip });
                assertJob(job, {
                    ...{ status: 'completed', requested, created, rejected: rejected.length },
                    ...{ failed: rejected.length, error: null },
                });
                assert.equal(await totalOf(c.client, id), created);
                for (const { id: jobId } of [whole, job]) {
                    const rows = await c.client.rejectedRows(jobId);
                    const told = rows.map((row) => rejection(row).slice(0, rejected[0].length));
                    assert.deepEqual(told, rejected);
                }
            });
        }
    }

    it('whose code is there already is rejected, in whatever book', async () => {
        const other = await c.client.newBookWith(numbered('there-', 3));
        const { id } = await c.client.newBook();
        const file = csv('new-1', 'there-0', 'new-2', 'there-2', 'new-1');
        const expected = [
            [2, 'codes_already_exist', 'there-0'],
            [4, 'codes_already_exist', 'there-2'],
            [5, 'code_repeated', 'new-1'],
        ];
        const whole = await c.client.imported(id, file);
        assertJob(whole, { status: 'failed', requested: 5, created: 0, rejected: 3, failed: 5 });
        assert.equal(await totalOf(c.client, id), 0);
        assert.deepEqual((await c.client.rejectedRows(whole.id)).map(rejection), expected);
        const job = await c.client.imported(id, file, skip);
        assertJob(job, { status: 'completed', requested: 5, created: 2, rejected: 3, failed: 3 });
        assert.deepEqual((await c.client.rejectedRows(job.id)).map(rejection), expected);
        assert.deepEqual(textsOf(await c.client.allCodes(id)).sort(), ['new-1', 'new-2']);
        assert.equal(await totalOf(c.client, other.id), 3);
    });

    it('that is there in the same spelling is rejected where spellings count as equal', async () => {
        const { id } = await c.client.newBook({ caseSensitive: false });
        assert.equal((await c.client.upload(id, ['Spell-1'])).status, 201);
        const file = csv('SPELL-1', 'spell-2', 'Spell-2', 'spell-3', '---');
        const expected = [
            [1, 'codes_already_exist', 'SPELL-1'],
            [3, 'code_repeated', 'Spell-2'],
            [5, 'code_invalid', '---'],
        ];
        const whole = await c.client.imported(id, file);
        assertJob(whole, { status: 'failed', created: 0, rejected: 3 });
        assert.deepEqual((await c.client.rejectedRows(whole.id)).map(rejection), expected);
        const job = await c.client.imported(id, file, skip);
        assertJob(job, { status: 'completed', created: 2, rejected: 3 });
        assert.deepEqual((await c.client.rejectedRows(job.id)).map(rejection), expected);
        await c.client.mustAssign('SPELL-3', 'ann');
        // Elsewhere they are different codes.
        const exact = await c.client.newBook();
        assertCompleted(await c.client.imported(exact.id, csv('exact-1', 'EXACT-1')), 2);
    });

    it('with a user is rejected where codes are everybody’s', async () => {
        const { id } = await c.client.newBook({ assignment: 'open' });
        const file = csv('code,userId', 'open-1,ann', 'open-2,');
        const whole = await c.client.imported(id, file);
        assertJob(whole, { status: 'failed', error: rowsRejected, created: 0, rejected: 1 });
        const job = await c.client.imported(id, file, skip);
        assertJob(job, { status: 'completed', created: 1, rejected: 1 });
        assert.deepEqual((await c.client.rejectedRows(job.id)).map(rejection), [
            [2, 'book_open', 'open-1'],
        ]);
        await c.client.mustLock('open-2', 'bob');
        await c.client.mustRedeem('open-2', 'bob');
    });

    it('that is rejected is told of by line, a page at a time', async () => {
        const { id } = await c.client.newBook();
        const bad = numbered('', 2_500).map((number) => `page-${number},no date`);
        const job = await c.client.imported(id, csv('code,expiresAt', ...bad), skip);
        assertJob(job, { status: 'completed', requested: 2_500, created: 0, rejected: 2_500 });
        const path = `/coupon/jobs/${job.id}/rejected`;
        const first = await c.client.get(path);
        assert.equal(first.body.length, 1_000);
        assert.equal(nextPage(first), `${path}?limit=1000&after=1001`);
        for (const [row] of [first.body]) {
            assert.deepEqual(Object.keys(row), ['line', 'reason', 'message', 'text']);
            assert.match(row.message, /^expiresAt must be a date/);
        }
        const all = await c.client.rejectedRows(job.id, { limit: 700 });
        assert.deepEqual(
            all.map(({ line }) => line),
            Array.from(bad, (_, index) => index + 2),
        );
        const behind = await c.client.get(`${path}?after=2499&limit=5`);
        assert.deepEqual(behind.body.map(({ line }) => line), [2500, 2501]);
        assert.equal(nextPage(behind), undefined);
        invalid(await c.client.get(`${path}?limit=1001`), ['limit must be an integer from 1 to 1000']);
        assert.equal((await c.client.get(`${path}?after=x`)).status, 400);
        assert.equal((await c.client.get(`${path}?more=1`)).status, 400);
        assertRefused(await c.client.get('/coupon/jobs/999999/rejected'), ...refusals.jobNotFound);
        const { id: other } = await c.client.newBook({ codePattern: 'PG-{8}' });
        const generates = await c.client.mustBegin(other, 1);
        assert.deepEqual(await c.client.rejectedRows(generates.id), []);
    });

    it('is kept of 100,000 that are rejected, and each is counted', async () => {
        const { id } = await c.client.newBook();
        const count = 120_000;
        for (const more of [{}, skip]) {
            const file = csv('code,active') + csvOf(numbered('kept-', count).map((code) => `${code},no`));
            const job = await c.client.imported(id, file, more);
            assertJob(job, { requested: count, created: 0, rejected: count, failed: count });
            const last = await c.client.get(`/coupon/jobs/${job.id}/rejected?after=99991`);
            assert.deepEqual(
                last.body.map(({ line }) => line),
                Array.from({ length: 10 }, (_, index) => 99_992 + index),
            );
        }
    });

    it('may be rejected for reasons that docs/files.md all has', () => {
        const told = textOf('../../docs/files.md');
        const reasonsOf = (source, name) => {
            const [, table] = new RegExp(`${name}[^]*?\\{([^]*?)\\n\\s*\\}{1,2};`).exec(source);
            return [...table.matchAll(/\{"([a-z_0-9]+)"/g)].map(([, reason]) => reason);
        };
        const reader = textOf('../../src/wire/code_file.cpp');
        const rows = reasonsOf(reader, 'row_texts');
        const others = reasonsOf(textOf('../../src/wire/jobs.cpp'), 'other_reasons');
        const files = reasonsOf(reader, 'file_texts');
        assert.deepEqual([rows.length, others.length, files.length], [15, 3, 9]);
        const tableOf = (heading) => {
            const [, section] = told.split(`\n## ${heading}\n`);
            return [...section.split('\n## ')[0].matchAll(/^\| `([a-z_0-9]+)` \|/gm)].map(
                ([, reason]) => reason,
            );
        };
        assert.deepEqual(tableOf('Why a row is rejected'), [...rows, ...others]);
        assert.deepEqual(tableOf('Why a file is refused'), files);
    });

    it('agrees with the ledger', async () => {
        await verifyLedger(c.client);
        await c.server.data.verify();
    });
});

describe('a file that is refused', () => {
    const c = suiteServer();

    for (const [code, file, message] of [
        ['file_empty', '', 'The file has no rows'],
        ['file_empty', '\n\r\n\n'],
        ['file_empty', '\ufeff'],
        ['first_row_too_long', `code,${'x'.repeat(70_000)}\n`],
        ['first_row_malformed', '"code\nx\n'],
        ['first_row_malformed', '"code";"userId"\nx;y\n'],
        ['first_row_not_utf8', Buffer.from('c\xf6de,code\n', 'latin1')],
        ['not_separated_by_commas', 'code;userId\nx;y\n'],
        ['not_separated_by_commas', 'userId\tcode\nx\ty\n'],
        ['too_many_columns', `code${',metadata.x'.repeat(256)}\n`],
        ['code_column_missing', 'a,b\n'],
        ['column_unknown', 'code,colour\nx,red\n', / colour;/],
        ['column_unknown', 'code,\nx,\n'],
        ['column_repeated', 'code,userId,USERID\n', / USERID$/],
        ['column_repeated', 'code,metadata.a,metadata.a\n'],
    ]) {
        it(`is told why: ${code} of ${JSON.stringify(file).slice(0, 60)}`, async () => {
            const { id } = await c.client.newBook();
            for (const more of [{}, skip]) {
                assertRefused(await c.client.importFile(id, file, more), 400, message, code);
            }
            assert.deepEqual(await c.client.allJobs({ couponBookId: id }), []);
        });
    }

    it('of lines of JSON is empty', async () => {
        const { id } = await c.client.newBook();
        for (const file of ['', '\n \n', '\ufeff\n']) {
            const answer = await c.client.importFile(id, file, json);
            assertRefused(answer, 400, 'The file has no rows', 'file_empty');
        }
    });

    it('may have much more to come', async () => {
        const { id } = await c.client.newBook();
        const answer = await c.client.importFile(id, `code,colour\n${'x,y\n'.repeat(200_000)}`);
        assertRefused(answer, 400, undefined, 'column_unknown');
        assert.deepEqual(await c.client.allJobs({ couponBookId: id }), []);
    });

    it('is one for no book, or one that is archived', async () => {
        for (const file of ['one', manyRows('none-', 60_000)]) {
            assertRefused(await c.client.importFile(999_999, file), ...refusals.bookNotFound);
            const { id } = await c.client.newBook();
            await c.client.mustArchive(id);
            assertRefused(await c.client.importFile(id, file), ...refusals.bookArchived);
            await c.client.mustRestore(id);
            assert.equal(await totalOf(c.client, id), 0);
        }
        assert.equal((await c.client.importFile('x', 'one')).status, 400);
    });

    it('is asked for in a wrong manner', async () => {
        const { id } = await c.client.newBook();
        const path = `/coupon/codes/${id}`;
        const post = (target, type, headers) =>
            c.client.post(target, 'asked', { headers: { 'content-type': type, ...headers } });
        for (const [query, message] of [
            ['onConflict=some', 'onConflict must be one of fail, skip'],
            ['onConflict=', 'onConflict must be one of fail, skip'],
            ['onConflict=fail&onConflict=fail', undefined],
            ['wait=true', undefined],
        ]) {
            const answer = await post(`${path}?${query}`, 'text/csv');
            invalid(answer, message && [message]);
        }
        for (const type of [
            ...['text/csv; charset=iso-8859-1', 'application/x-ndjson;charset=utf-16'],
            ...['text/plain', 'application/vnd.ms-excel', 'text/csvx'],
        ]) {
            const answer = await post(path, type);
            assertRefused(answer, 415, undefined, 'unsupported_media_type');
        }
        for (const type of ['Text/CSV', 'text/csv;header=present', 'text/csv; charset=utf-8']) {
            const answer = await post(`${path}?onConflict=skip`, type);
            assert.equal(answer.status, 202, answer.text);
            await c.client.untilJob(answer.body.id);
        }
        const answer = await post(path, 'text/csv', { 'idempotency-key': '' });
        assert.equal(answer.status, 400, answer.text);
        // Only of a book.
        assert.equal((await post('/coupon/codes', 'text/csv')).status, 415);
    });

    it('is larger than 4 GiB', async (t) => {
        const { id } = await c.client.newBook();
        const path = `/coupon/codes/${id}`;
        for (const [length, expected] of [
            [2 ** 32 + 1, 413],
            [2 ** 63, 413],
        ]) {
            const raw = await RawConnection.open(c.server.port);
            t.after(() => raw.destroy());
            const headers = { 'Content-Type': 'text/csv', 'Content-Length': `${BigInt(length)}` };
            raw.write(requestText('POST', path, { headers }));
            const answer = await raw.next('POST', path);
            assert.equal(answer.status, expected, answer.text);
            await raw.closed();
        }
        assert.deepEqual(await c.client.allJobs({ couponBookId: id }), []);
    });

    it('agrees with the ledger', async () => {
        await verifyLedger(c.client);
    });
});

describe('a file with an Idempotency-Key', () => {
    const c = suiteServer();
    const keyed = (key) => ({ headers: { 'idempotency-key': key } });
    const unfinished = async (id) =>
        (await c.client.allJobs({ couponBookId: id })).filter(({ finishedAt }) => finishedAt === null);

    for (const [what, count] of [
        ['small', 10],
        ['of several parts', 60_000],
    ]) {
        it(`that is ${what} is taken in once, and answered the same again`, async () => {
            const { id } = await c.client.newBook();
            const file = manyRows(`again${count}-`, count);
            const options = keyed(`again-${count}`);
            const first = await c.client.importFile(id, file, undefined, options);
            assert.equal(first.status, 202, first.text);
            for (let time = 0; time < 2; time += 1) {
                const answer = await c.client.importFile(id, file, undefined, options);
                assert.deepEqual([answer.status, answer.text], [202, first.text]);
                assert.equal(answer.headers['idempotent-replayed'], 'true');
                assert.equal(answer.headers.location, first.headers.location);
                if (time === 0) assertCompleted(await c.client.untilJob(first.body.id), count);
            }
            await assertOnly(id, first.body.id, count);
            // The same key for anything else.
            for (const [other, more] of [
                [`${file}more,\n`, undefined],
                [`x${file.slice(1)}`, undefined],
                [file, skip],
            ]) {
                const answer = await c.client.importFile(id, other, more, options);
                const isRefused = answer.body.code === 'column_unknown' || answer.body.code === 'code_column_missing';
                if (!isRefused) assertRefused(answer, 422, undefined, 'idempotency_key_reused');
            }
            const upload = await c.client.post(`/coupon/codes/${id}`, { codes: ['x'] }, options);
            assertRefused(upload, 422, undefined, 'idempotency_key_reused');
            await assertOnly(id, first.body.id, count);
        });
    }

    /** Of a book's files only one was taken in, and no other goes on. */
    async function assertOnly(id, jobId, count) {
        for (const deadline = Date.now() + 5_000; (await unfinished(id)).length > 0;) {
            assert.ok(Date.now() < deadline, 'a second import goes on');
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
        for (const job of await c.client.allJobs({ couponBookId: id })) {
            if (job.id === jobId) assertCompleted(job, count);
            else assert.deepEqual([job.status, job.error.code], ['failed', 'upload_interrupted']);
        }
        assert.equal(await totalOf(c.client, id), count);
    }

    /** What was sent before on other connections has been read. */
    async function untilTaken(port) {
        const raw = await RawConnection.open(port);
        for (let times = 0; times < 3; times += 1) {
            raw.write(requestText('GET', '/health/live'));
            await raw.next('GET', '/health/live');
        }
        raw.destroy();
    }

    it('may be in use by one that still comes', async (t) => {
        const { id } = await c.client.newBook();
        const path = `/coupon/codes/${id}`;
        const file = csv('inuse-1', 'inuse-2');
        const { port } = c.server;
        const client = new Client(port);
        t.after(() => client.close());
        const raw = await RawConnection.open(port);
        t.after(() => raw.destroy());
        const headers = { 'Content-Type': 'text/csv', 'Idempotency-Key': 'inuse' };
        headers['Content-Length'] = file.length;
        raw.write(requestText('POST', path, { headers }) + file.slice(0, 5));
        await untilTaken(port);
        const second = await client.importFile(id, 'x\n', undefined, keyed('inuse'));
        assertRefused(second, 409, undefined, 'idempotency_key_in_use');
        raw.write(file.slice(5));
        const answer = await raw.next('POST', path);
        assert.equal(answer.status, 202, answer.text);
        assertCompleted(await c.client.untilJob(answer.body.id), 2);
        const again = await client.importFile(id, file, undefined, keyed('inuse'));
        assert.deepEqual([again.status, again.text], [202, answer.text]);
    });

    it('is of the same file, however late its end comes', async (t) => {
        const { id } = await c.client.newBook();
        const path = `/coupon/codes/${id}`;
        // Two whole parts, of which nothing is left when the end comes.
        const rows = manyRows('late-', 40_000);
        const file = rows + '\n'.repeat(512 * 1024 - rows.length);
        assert.equal(file.length, 512 * 1024);
        const { port } = c.server;
        const raw = await RawConnection.open(port);
        t.after(() => raw.destroy());
        const headers = { 'Content-Type': 'text/csv', 'Idempotency-Key': 'late' };
        headers['Transfer-Encoding'] = 'chunked';
        raw.write(requestText('POST', path, { headers }));
        raw.write(`${file.length.toString(16)}\r\n${file}\r\n`);
        await sleep(1_000);
        raw.write('0\r\n\r\n');
        const answer = await raw.next('POST', path);
        assert.equal(answer.status, 202, answer.text);
        assertCompleted(await c.client.untilJob(answer.body.id), 40_000);
        const chunked = { 'transfer-encoding': 'chunked', 'content-length': null };
        for (const more of [{}, chunked]) {
            const again = await c.client.importFile(id, file, undefined, {
                headers: { 'idempotency-key': 'late', ...more },
            });
            assert.deepEqual([again.status, again.text], [202, answer.text]);
            assert.equal(again.headers['idempotent-replayed'], 'true');
        }
    });

    it('that was refused may be mended', async () => {
        const { id } = await c.client.newBook();
        const options = keyed('mended');
        assert.equal((await c.client.importFile(id, 'a,b\n', undefined, options)).status, 400);
        const answer = await c.client.importFile(id, 'code\nmended\n', undefined, options);
        assert.equal(answer.status, 202, answer.text);
        assertCompleted(await c.client.untilJob(answer.body.id), 1);
    });

    it('agrees with the ledger', async () => {
        await c.server.data.verify();
    });
});

describe('an import', () => {
    it('can be cancelled while it waits and while it runs; what is taken in stays', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBook();
        const jobs = [];
        for (const prefix of ['a-', 'b-']) {
            jobs.push(await client.mustImport(id, manyRows(prefix, 150_000), skip));
        }
        await client.untilJob(jobs[0].id, ({ created }) => created > 0);
        const ended = await client.mustCancel(jobs[0].id);
        assert.ok(ended.created > 0 && ended.created < 150_000, JSON.stringify(ended));
        const other = await client.mustCancel(jobs[1].id);
        assert.deepEqual(await client.mustCancel(jobs[0].id), ended);
        assert.equal(await totalOf(client, id), ended.created + other.created);
        assertCompleted(await client.imported(id, 'after\n'), 1);
        assert.equal(await totalOf(client, id), ended.created + other.created + 1);
        assertRefused(
            await client.cancel((await client.imported(id, 'done\n')).id),
            ...refusals.jobFinished,
        );
        await untilNoParts(server);
        await server.data.verify();
    });

    it('of all or none can be cancelled until it begins to add', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBook();
        const rows = 100_000;
        const told = { cancelled: 0, job_adds_all: 0, job_finished: 0 };
        for (let round = 0; told.cancelled === 0 || told.job_adds_all === 0; round += 1) {
            assert.ok(round < 10, JSON.stringify(told));
            const job = await client.mustImport(id, manyRows(`r${round}-`, rows));
            // The later it is asked, the further the job has come: perhaps to its end.
            if (round % 2 === 1) await client.untilJob(job.id, ({ created }) => created > 0);
            const answer = await client.cancel(job.id);
            if (answer.status === 200) {
                told.cancelled += 1;
                assertJob(answer.body, { status: 'cancelled', created: 0 });
                continue;
            }
            assertCompleted(await client.untilJob(job.id), rows);
            const late = answer.body.code === 'job_finished' ? 'job_finished' : 'job_adds_all';
            told[late] += 1;
            assertRefused(answer, 409, undefined, late);
        }
        assert.equal(await totalOf(client, id), (told.job_adds_all + told.job_finished) * rows);
        await untilNoParts(server);
        await server.data.verify();
    });

    it('of all or none has others who add codes wait for it, and loses none of theirs', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBook();
        const ready = numbered('ready-', 4_000);
        const other = await client.newBookWith(ready, { codePattern: 'W-{10}' });
        const job = await client.mustImport(id, manyRows('alone-', 60_000));
        const generates = await client.mustBegin(other.id, 3_000);
        const skipping = await client.mustImport(other.id, manyRows('skips-', 3_000), skip);
        const added = [];
        let refused = 0;
        let assigned = 0;
        let ended = false;
        const end = client.untilJob(job.id).then((last) => {
            ended = true;
            assertCompleted(last, 60_000);
        });
        while (!ended) {
            const code = `beside-${added.length}`;
            for (const answer of [
                await client.upload(other.id, [code]),
                await client.generate(other.id, 1, { wait: true }),
            ]) {
                if (answer.status === 201) {
                    added.push(answer.body[0].code);
                    continue;
                }
                refused += 1;
                assertRefused(
                    answer,
                    503,
                    'A file of codes is being taken in, all of them or none: try again in a moment',
                    'codes_being_imported',
                );
                assert.match(answer.headers['retry-after'], /^[1-9]\d*$/);
            }
            // Nobody else has to wait.
            await client.mustAssign(`ready-${assigned}`, 'ann');
            assigned += 1;
        }
        await end;
        t.diagnostic(`${refused} refused, ${added.length} added`);
        assert.ok(refused > 0, 'nobody was in its way');
        assert.equal((await client.upload(other.id, ['behind'])).status, 201);
        assertJob(await client.untilJob(generates.id), { status: 'completed', created: 3_000 });
        assertCompleted(await client.untilJob(skipping.id), 3_000);
        const codes = new Set(textsOf(await client.allCodes(other.id)));
        for (const code of added) assert.ok(codes.has(code), code);
        assert.equal(codes.size, ready.length + added.length + 1 + 6_000);
        await server.data.verify();
    });

    it('ends where its book is archived, unless it adds all or none already', async (t) => {
        const { server, client } = await testServer(t);
        const archived = {
            code: 'coupon_book_archived',
            message: 'Coupon book has been archived',
        };
        const { id } = await client.newBook();
        const job = await client.mustImport(id, manyRows('arch-', 100_000), skip);
        await client.untilJob(job.id, ({ created }) => created > 0);
        await client.mustArchive(id);
        const ended = await client.untilJob(job.id);
        assertJob(ended, { status: 'failed', error: archived });
        assert.ok(ended.created < 100_000);
        assert.equal(await totalOf(client, id), ended.created);

        const early = await client.newBook();
        const never = await client.mustImport(early.id, manyRows('early-', 50_000));
        await client.mustArchive(early.id);
        assertJob(await client.untilJob(never.id), { status: 'failed', error: archived, created: 0 });
        assert.equal(await totalOf(client, early.id), 0);

        const late = await client.newBook();
        const whole = await client.mustImport(late.id, manyRows('late-', 50_000));
        await client.untilJob(whole.id, ({ created }) => created > 0);
        await client.mustArchive(late.id);
        assertCompleted(await client.untilJob(whole.id), 50_000);
        await server.data.verify();
    });

    it('of a file of which the connection is lost ends, and leaves nothing', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBook();
        const path = `/coupon/codes/${id}`;
        const file = Buffer.from(manyRows('lost-', 100_000));
        for (const [sent, chunked] of [
            [700_000, false],
            [100_000, false],
            [600_000, true],
        ]) {
            const before = (await client.allJobs()).length;
            const raw = await RawConnection.open(server.port);
            const length = chunked ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': file.length };
            raw.write(requestText('POST', path, { headers: { 'Content-Type': 'text/csv', ...length } }));
            if (chunked) raw.write(`${file.length.toString(16)}\r\n`);
            raw.write(file.subarray(0, sent));
            const jobs = await jobsOnceThere(client, sent > 300_000 ? before + 1 : before);
            if (sent > 300_000) {
                assertJob(jobs[0], { type: 'import', status: 'queued', requested: 0 });
            } else {
                await new Promise((resolve) => setTimeout(resolve, 100));
            }
            raw.destroy();
            if (sent < 300_000) continue; // nothing of it was kept yet
            const ended = await client.untilJob(jobs[0].id, undefined, 10_000);
            assertJob(ended, {
                status: 'failed',
                created: 0,
                error: { code: 'upload_interrupted', message: 'The file has not come whole' },
            });
        }
        await untilNoParts(server);
        assert.equal(await totalOf(client, id), 0);
        assert.equal((await client.allJobs()).length, 2);
        await server.data.verify();
    });

    it('of a file that still comes can be cancelled, which whoever sends it is told', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBook();
        const path = `/coupon/codes/${id}`;
        const file = Buffer.from(manyRows('coming-', 100_000));
        const raw = await RawConnection.open(server.port);
        const headers = { 'Content-Type': 'text/csv', 'Content-Length': file.length };
        raw.write(requestText('POST', path, { headers }));
        raw.write(file.subarray(0, 700_000));
        const [job] = await jobsOnceThere(client, 1);
        await client.mustCancel(job.id);
        raw.write(file.subarray(700_000));
        const answer = await raw.next('POST', path);
        assertRefused(answer, 409, undefined, 'upload_interrupted');
        raw.destroy();
        assertJob(await client.untilJob(job.id), { status: 'cancelled', created: 0 });
        await untilNoParts(server);
        assert.equal(await totalOf(client, id), 0);
    });

    /** All jobs, once there are so many. */
    async function jobsOnceThere(client, count) {
        for (const deadline = Date.now() + 10_000; ;) {
            const jobs = await client.allJobs();
            if (jobs.length === count) return jobs;
            assert.ok(Date.now() < deadline, `${jobs.length} jobs`);
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
    }

    /** No part of any file is kept any more. */
    async function untilNoParts(server) {
        for (const deadline = Date.now() + 20_000; ;) {
            const [{ parts }] = await server.data.query('SELECT count(*) AS parts FROM file_part');
            if (Number(parts) === 0) return;
            assert.ok(Date.now() < deadline, `${parts} parts are left`);
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
    }
});

describe('what was exported', () => {
    const exported = async (client, id, accept) => {
        const answer = await client.get(`/coupon/codes/${id}`, { headers: { accept } });
        assert.equal(answer.status, 200, answer.text);
        return answer.text;
    };
    const file = csv(
        'code,userId,expiresAt,maxRedemptions,active,metadata.note,metadata.=1,metadata.',
        'Z-1,ann,2030-01-02T03:04:05.678Z,3,false,"a, ""b""\r\n",=x,',
        '-A-2,,,,,,,empty name',
        'é☃🎟,bob,,,,,,',
        "'=M-3,,2031-05-06,,true,@x,,",
        'a-4,ann,,,,,,',
    );

    for (const [format, accept] of [
        ['csv', 'text/csv'],
        ['ndjson', 'application/x-ndjson'],
    ]) {
        it(`as ${format} comes into an empty server as it was`, async (t) => {
            const { client } = await testServer(t);
            const book = await client.newBook({ codePattern: 'X{8}' });
            assertCompleted(await client.imported(book.id, file), 5);
            await client.newBookWith(numbered('another-', 40));
            // More than are taken in by the order of a file, and in no order, nor that of their ids.
            await client.mustGenerate(book.id, 9_000, { metadata: { n: 5 }, expiresAt: '2032-01-01' });
            assert.equal((await client.upload(book.id, numbered('u-', 40).reverse())).status, 201);
            await client.untilJob((await client.mustBegin(book.id, 12_000)).id);
            const mixed = Array.from({ length: 500 }, (_, i) => `X-${(i * 7_919) % 500}`);
            assert.equal((await client.upload(book.id, mixed)).status, 201);
            const first = await exported(client, book.id, accept);
            const other = await testServer(t);
            await other.client.newBookWith(numbered('other-', 40));
            const { id } = await other.client.newBook({ codePattern: 'Y{8}' });
            assertCompleted(await other.client.imported(id, first, { format }), 21_545);
            const second = await exported(other.client, id, accept);
            if (format === 'csv') return assert.equal(second, first);
            // Ids and times of creation are the server's.
            const said = (text) =>
                text
                    .split('\n')
                    .filter(Boolean)
                    .map((line) => ({ ...JSON.parse(line), id: 0, createdAt: '' }));
            assert.deepEqual(said(second), said(first));
        });
    }
});
