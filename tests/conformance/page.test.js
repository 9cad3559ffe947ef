// Swagger UI at /api in a real browser, Debian's Chromium: it explains every operation, can try one out, and asks no
// other host for anything.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { chromium } from 'playwright-core';
import { suiteServer } from '../support/harness.js';
import { openapiDocument } from '../support/openapi.js';

const methods = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'];

describe('Swagger UI in a browser', () => {
    const c = suiteServer();
    let browser;

    before(async () => {
        browser = await chromium.launch({
            executablePath: '/usr/bin/chromium',
            args: [
                // Chromium refuses its sandbox to root, which tests in a container run as.
                ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
                '--disable-gpu',
                '--disable-background-networking',
                '--disable-component-update',
                '--disable-sync',
                '--no-first-run',
            ],
        });
    });
    after(() => browser?.close());

    it('shows every operation, runs one, and stays at home', async () => {
        const own = `http://127.0.0.1:${c.server.port}`;
        const page = await browser.newPage();
        page.setDefaultTimeout(15_000);
        const strangers = [];
        const complaints = [];
        page.on('request', (request) => {
            const url = request.url();
            if (!url.startsWith(`${own}/`) && !url.startsWith('data:')) strangers.push(url);
        });
        page.on('console', (message) => {
            if (message.type() === 'error') complaints.push(message.text());
        });
        page.on('pageerror', (error) => complaints.push(String(error)));

        await page.goto(`${own}/api`);
        await page.waitForSelector('.opblock');
        const operations = Object.values(openapiDocument().paths).flatMap((path) =>
            Object.keys(path).filter((key) => methods.includes(key)),
        );
        assert.equal(await page.locator('.opblock').count(), operations.length);

        const list = page
            .locator('.opblock-get')
            .filter({ has: page.locator('[data-path="/coupon"]') });
        await list.locator('.opblock-summary').click();
        await list.getByRole('button', { name: 'Execute' }).click();
        const status = list.locator('.live-responses-table .response-col_status').nth(1);
        await status.waitFor();
        assert.match(await status.innerText(), /200/);

        assert.deepEqual(strangers, []);
        assert.deepEqual(complaints, []);
    });
});
