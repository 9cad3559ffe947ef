// GET /coupon/qr/:code.svg and .png. What is drawn is read back by ZBar.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused } from '../support/client.js';
import { suiteServer } from '../support/harness.js';
import { errorLevelOf, marginOf, modules, pixels, scanned } from '../support/qr.js';
import { refusals } from '../support/refusals.js';

const encode = encodeURIComponent;
const kinds = ['svg', 'png'];

const target = (code, kind, query = {}) =>
    `/coupon/qr/${encode(code)}.${kind}?${new URLSearchParams(query)}`.replaceAll('+', '%20');

describe('GET /coupon/qr/:code', () => {
    const c = suiteServer();
    const show = (code, kind, query) => c.client.get(target(code, kind, query));
    const mustShow = async (code, kind, query) => {
        const { status, bytes, text } = await show(code, kind, query);
        assert.equal(status, 200, text);
        return bytes;
    };

    it('shows any code, and what is said of it, as SVG and as PNG', async () => {
        const codes = [
            ...['SUMMER-AAA111', '0123456789', 'lower case', '10% OFF', 'a/b?c#d&e=f', '"<&>\''],
            ...['x.svg', 'x.svg.svg', 'x.png', '.', '..', '.svg', 'stats', '+', '%2F', 'a\\b'],
            ...['Grüße', 'クーポン', '😀', 'é'.repeat(127), '\u{10FFFF}'.repeat(127)],
        ];
        await c.client.newBookWith(codes);
        for (const code of codes) {
            for (const kind of kinds) {
                const answer = await show(code, kind);
                assert.equal(answer.status, 200, `${code}: ${answer.text}`);
                assert.equal(answer.headers['content-type'], { svg: 'image/svg+xml', png: 'image/png' }[kind]);
                assert.equal(answer.headers['cache-control'], 'no-store');
                assert.equal(answer.headers['x-content-type-options'], 'nosniff');
                const policy = { svg: "default-src 'none'", png: undefined }[kind];
                assert.equal(answer.headers['content-security-policy'], policy);
                assert.equal(await scanned(answer.bytes), code, `${code} as ${kind}`);
            }
        }
    });

    it('answers HEAD as GET, and the same again to the byte', async () => {
        await c.client.newBookWith(['head']);
        for (const kind of kinds) {
            const { status, headers, bytes } = await show('head', kind);
            const head = await c.client.request('HEAD', target('head', kind));
            assert.equal(head.status, status);
            for (const name of ['content-type', 'content-length', 'cache-control']) {
                assert.equal(head.headers[name], headers[name]);
            }
            assert.deepEqual(await mustShow('head', kind), bytes);
        }
    });

    it('has the errorLevel and the margin that are asked for', async () => {
        await c.client.newBookWith(['LEVEL-1']);
        for (const errorLevel of [undefined, 'L', 'M', 'Q', 'H']) {
            for (const margin of [undefined, 0, 1, 4, 16]) {
                const query = JSON.parse(JSON.stringify({ errorLevel, margin }));
                const svg = await mustShow('LEVEL-1', 'svg', query);
                const grid = modules(svg);
                assert.equal(grid.length, 21 + 2 * (margin ?? 4), 'the smallest code there is');
                assert.equal(marginOf(grid), margin ?? 4);
                assert.equal(errorLevelOf(grid), errorLevel ?? 'M');
                const png = await mustShow('LEVEL-1', 'png', query);
                assert.deepEqual(modules(png, grid.length), grid);
                if ((margin ?? 4) < 4) continue; // without one, nobody has to find it
                assert.equal(await scanned(png), 'LEVEL-1');
                assert.equal(await scanned(svg), 'LEVEL-1');
            }
        }
    });

    it('has the size that is asked for, to the pixel, and modules of whole pixels', async () => {
        await c.client.newBookWith(['SIZE-1']);
        const grid = modules(await mustShow('SIZE-1', 'svg'));
        assert.equal(grid.length, 29);
        for (const size of [undefined, 29, 30, 57, 58, 59, 87, 100, 399, 401, 1999, 2000]) {
            const query = size === undefined ? {} : { size };
            const png = await mustShow('SIZE-1', 'png', query);
            const rows = pixels(png);
            assert.equal(rows.length, size ?? 400);
            assert.ok(rows.every((row) => row.length === rows.length));
            assert.deepEqual(modules(png, grid.length), grid);
            const svg = await mustShow('SIZE-1', 'svg', query);
            assert.match(svg.toString(), new RegExp(` width="${size ?? 400}" height="${size ?? 400}" `));
            assert.deepEqual(modules(svg), grid);
            if ((size ?? 400) < 58) continue; // a module a pixel is too small for ZBar
            assert.equal(await scanned(png), 'SIZE-1');
            assert.equal(await scanned(svg), 'SIZE-1');
        }
        for (const kind of kinds) {
            for (const [query, least] of [
                [{ size: 28 }, 29],
                [{ size: 1 }, 29],
                [{ size: 52, margin: 16 }, 53],
                [{ size: 20, margin: 0 }, 21],
            ]) {
                assertRefused(
                    await show('SIZE-1', kind, query),
                    400,
                    `size must be at least ${least} for this code, url, errorLevel and margin`,
                    'qr_size_too_small',
                );
                await mustShow('SIZE-1', kind, { ...query, size: least });
            }
        }
    });

    it('draws a url with the code in it', async () => {
        const codes = ['URL-1', '20% OFF', 'u/b?c#d&e=f', 'Straße', '{code}', "A-z_0.9~!'()*"];
        await c.client.newBookWith(codes);
        for (const code of codes) {
            for (const [before, after] of [
                ['https://shop.example/?c=', ''],
                ['HTTPS://SHOP.EXAMPLE/', '/go?a=1&b=%20#x'],
                ['app+shop.1:', '!$&\'()*+,;=:@[]~'],
                ['mailto:a@b.example?subject=', ''],
            ]) {
                const escaped = encode(code).replace(
                    /[!'()*]/g,
                    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
                );
                const url = `${before}{code}${after}`;
                for (const kind of kinds) {
                    const picture = await mustShow(code, kind, { url });
                    assert.equal(await scanned(picture), `${before}${escaped}${after}`);
                }
            }
        }
    });

    it('refuses more than a QR code holds', async () => {
        const code = 'é'.repeat(128);
        await c.client.newBookWith([code]);
        // The most bytes of each level (ISO/IEC 18004, table 7).
        for (const [errorLevel, most] of Object.entries({ H: 1273, Q: 1663 })) {
            const url = `h:{code}${'x'.repeat(most - 2 - encode(code).length)}`;
            for (const kind of kinds) {
                const picture = await mustShow(code, kind, { url, errorLevel, size: 2000 });
                assert.equal(await scanned(picture), url.replace('{code}', encode(code)));
                assertRefused(
                    await show(code, kind, { url: `${url}x`, errorLevel, size: 2000 }),
                    400,
                    'No QR code of this errorLevel holds this code and url; ' +
                        'a lower errorLevel or a shorter url may do',
                    'qr_text_too_long',
                );
                await mustShow(code, kind, { url: `${url}x`, errorLevel: 'M' });
            }
        }
        // The longest that can be asked for fits into the least level.
        const longest = '\u{10FFFF}'.repeat(128);
        await c.client.newBookWith([longest]);
        const url = `https://shop.example/?c={code}${'x'.repeat(994)}`;
        assert.equal(url.length, 1024);
        const picture = await mustShow(longest, 'png', { url, errorLevel: 'L', size: 2000 });
        assert.equal(await scanned(picture), url.replace('{code}', encode(longest)));
    });

    it('answers 404 where there is no such code, and no such picture', async () => {
        await c.client.newBookWith(['here', 'a.svg']);
        for (const code of ['gone', 'HERE', 'here.png', 'a', '%']) {
            for (const kind of kinds) assertRefused(await show(code, kind), ...refusals.codeNotFound);
        }
        for (const file of ['here', 'here.gif', 'here.SVG', 'heresvg', 'here.svg.', '.svg', '.png', 'svg', 'here.svgz']) {
            assertRefused(
                await c.client.get(`/coupon/qr/${file}`),
                404,
                `Cannot GET /coupon/qr/${file}`,
                'route_not_found',
            );
        }
        for (const path of ['/coupon/qr/', '/coupon/qr/here/x.svg', '/coupon/qr//here.svg']) {
            assertRefused(await c.client.get(path), 404, undefined, 'route_not_found');
        }
        const posted = await c.client.post('/coupon/qr/here.svg', {});
        assertRefused(posted, 400, ['id must be a positive integer'], 'validation_failed');
    });

    it('refuses what does not fit, by name', async () => {
        await c.client.newBookWith(['bad']);
        const size = 'size must be an integer from 1 to 2000';
        const margin = 'margin must be an integer from 0 to 16';
        const errorLevel = 'errorLevel must be one of L, M, Q, H';
        const url =
            'url must be an absolute URI of at most 1024 characters that holds {code} once, ' +
            'such as https://shop.example/?c={code}';
        const code = 'code must be 1 to 128 characters without control characters';
        const cases = [
            ...['0', '-1', '2001', '1.5', '', 'x', '1e2', '99999999999999999999'].map((value) => [{ size: value }, size]),
            ...['-1', '17', '', '4 ', '0x1'].map((value) => [{ margin: value }, margin]),
            ...['l', 'X', '', 'LM', 'medium'].map((value) => [{ errorLevel: value }, errorLevel]),
            ...[
                ...['', '{code}', 'https://shop.example/', '/c={code}', '//shop.example/{code}', '1a:{code}'],
                ...['h:{code}{code}', 'h:{code', 'h:{Code}', 'h:{code}}', 'h:{{code}', 'h: {code}', 'h:{code}é'],
                ...['h:{code}\n', 'h:{code}%', 'h:{code}%2', 'h:%{code}', 'h:%2{code}', 'h:%zz{code}', ':{code}'],
                ...['h:{code}"', 'h:{code}<', '-a:{code}', 'a b:{code}', `h:{code}${'x'.repeat(1017)}`],
            ].map((value) => [{ url: value }, url]),
            [{ colour: 'red' }, 'property colour should not exist'],
            [{ Size: '100' }, 'property Size should not exist'],
        ];
        for (const kind of kinds) {
            for (const [query, message] of cases) {
                assertRefused(await show('bad', kind, query), 400, [message], 'validation_failed');
            }
            assertRefused(
                await c.client.get(
                    `/coupon/qr/${encode('\u0001')}.${kind}?x=1&size=1&url=&margin=2&size=1&errorLevel=&margin=2`,
                ),
                400,
                [
                    ...[code, 'size must be given once', 'margin must be given once', errorLevel, url],
                    'property x should not exist',
                ],
                'validation_failed',
            );
            for (const unfit of ['x'.repeat(129), '\u0085']) {
                assertRefused(await show(unfit, kind), 400, [code], 'validation_failed');
            }
            // As long as a url may be.
            await mustShow('bad', kind, { url: `h:{code}${'x'.repeat(1016)}` });
        }
    });

    it('draws what is stored, however it is spelled', async () => {
        await c.client.newBookWith(['Qr-Code ab.svg'], { caseSensitive: false });
        for (const code of ['Qr-Code ab.svg', 'QRCODEAB.SVG', 'qr code-ab.svg']) {
            for (const kind of kinds) {
                assert.equal(await scanned(await mustShow(code, kind)), 'Qr-Code ab.svg');
            }
            const picture = await mustShow(code, 'png', { url: 'https://shop.example/{code}' });
            assert.equal(await scanned(picture), 'https://shop.example/Qr-Code%20ab.svg');
        }
    });

    it('shows codes in every state', async () => {
        const { id } = await c.client.newBookWith(['STATE-1', 'STATE-2']);
        await c.client.mustAssign('STATE-1', 'ann');
        await c.client.mustLock('STATE-1', 'ann');
        await c.client.mustRedeem('STATE-1', 'ann');
        await c.client.mustArchive(id);
        for (const code of ['STATE-1', 'STATE-2']) {
            assert.equal(await scanned(await mustShow(code, 'png')), code);
        }
    });
});
