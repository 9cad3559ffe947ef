// What coupond says about itself: /api, /api-json, /health/live and /health/ready.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import YAML from 'yaml';
import { assertRefused } from '../support/client.js';
import { suiteServer } from '../support/harness.js';

const description = new URL('../../api/openapi.yaml', import.meta.url);
const outside = /\b(?:https?:)?\/\/(?!127\.0\.0\.1)[a-z0-9]/i;

/** What a page loads: the values of src and href. */
const loads = (html) =>
    [...html.matchAll(/\b(?:src|href)\s*=\s*["']?([^"'\s>]+)/gi)].map(([, target]) => target);

describe('/api-json', () => {
    const c = suiteServer();

    it('is api/openapi.yaml', async () => {
        const answer = await c.client.get('/api-json');
        assert.equal(answer.status, 200);
        assert.deepEqual(answer.body, YAML.parse(readFileSync(description, 'utf8')));
    });

    it('describes the seven endpoints', async () => {
        const { paths } = (await c.client.get('/api-json')).body;
        for (const [path, method] of [
            ['/coupon', 'post'],
            ['/coupon', 'get'],
            ['/coupon/codes', 'post'],
            ['/coupon/codes/{id}', 'post'],
            ['/coupon/assign', 'post'],
            ['/coupon/assign/{code}', 'post'],
            ['/coupon/lock/{code}', 'post'],
            ['/coupon/redeem/{code}', 'post'],
        ]) {
            assert.ok(paths[path]?.[method], `${method} ${path}`);
        }
    });
});

describe('/api', () => {
    const c = suiteServer();

    it('is Swagger UI, with all that it loads on this server', async () => {
        const page = await c.client.get('/api');
        assert.equal(page.status, 200);
        assert.match(page.headers['content-type'], /^text\/html/);
        assert.match(page.headers['content-security-policy'], /^default-src 'none'; script-src 'self'/);
        assert.match(page.text, /swagger/i);
        assert.doesNotMatch(page.text, outside);
        const targets = loads(page.text).filter((target) => !target.startsWith('data:'));
        assert.ok(
            targets.some((target) => target.endsWith('.js')),
            page.text,
        );
        assert.ok(
            targets.some((target) => target.endsWith('.css')),
            page.text,
        );
        const types = {
            js: /^(text|application)\/javascript/,
            css: /^text\/css/,
            png: /^image\/png/,
        };
        let scripts = page.text;
        for (const target of targets) {
            const url = new URL(target, 'http://127.0.0.1/api');
            assert.equal(url.host, '127.0.0.1', target);
            const file = await c.client.get(url.pathname);
            assert.equal(file.status, 200, target);
            assert.ok(file.text.length > 0, target);
            const type = types[/\.(\w+)$/.exec(url.pathname)?.[1]];
            if (type) assert.match(file.headers['content-type'], type, target);
            if (target.endsWith('.css'))
                assert.doesNotMatch(file.text, /(url\(["']?|@import\s+["']?)(https?:)?\/\//i);
            // The bundle names many addresses that it never loads; our own scripts are short.
            if (target.endsWith('.js') && file.text.length < 20_000) {
                assert.doesNotMatch(file.text, outside, target);
                scripts += file.text;
            }
        }
        assert.match(scripts, /api-json/);
    });

    it('has no other files', async () => {
        for (const path of [
            '/api/nope.js',
            '/api/%2e%2e/%2e%2e/etc/passwd',
            '/api/..%2f..%2fetc%2fpasswd',
            '/api/package.json',
            '/api/a/b',
        ]) {
            assertRefused(await c.client.get(path), 404, undefined, 'route_not_found');
        }
    });
});

describe('/health', () => {
    const c = suiteServer();

    for (const [path, status] of [
        ['/health/live', 'ok'],
        ['/health/ready', 'ready'],
    ]) {
        it(`${path} is ${status}`, async () => {
            const answer = await c.client.get(path);
            assert.equal(answer.status, 200);
            assert.deepEqual(answer.body, { status });
            assert.equal(answer.headers['cache-control'], 'no-store');
        });
    }
});
