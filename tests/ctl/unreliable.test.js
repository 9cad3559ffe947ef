// couponctl and servers that are not there, hang up, are slow or answer something else.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';

import { Ctl } from '../support/couponctl.js';

/** A server that does to each connection what the test says. */
async function badServer(t, treat) {
    const sockets = new Set();
    const server = createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        treat(socket);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
        for (const socket of sockets) socket.destroy();
        server.close();
    });
    return server.address().port;
}

const answers = {
    'is no HTTP': 'hello there\r\n\r\n',
    'is a page of somebody else': 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>',
    'is an error of somebody else':
        'HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found',
    'says it is longer than anything':
        'HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n{',
    'has a header without an end': `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`,
    'is JSON of another kind': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n42',
};

describe('a server', () => {
    it('that is not there is told in a line', async (t) => {
        const port = await badServer(t, (socket) => socket.destroy());
        for (const args of [['ping', '--server', 'http://127.0.0.1:1'], ['book', 'list']]) {
            const result = await new Ctl(t, port).run(args);
            assert.equal(result.status, 3, result.stderr);
            assert.match(result.stderr, /cannot reach http:\/\/127\.0\.0\.1/);
            assert.equal(result.stdout.replace(/\[?\n?$/, ''), '');
        }
    });

    for (const [what, answer] of Object.entries(answers)) {
        it(`whose answer ${what} is told in a line`, async (t) => {
            const port = await badServer(t, (socket) => {
                socket.on('data', () => socket.end(answer));
            });
            for (const args of [['ping'], ['book', 'show', '1'], ['codes', 'generate', '1', '5']]) {
                const result = await new Ctl(t, port).run(args);
                assert.equal(result.status, 3, `${args}: ${result.stdout}${result.stderr}`);
                assert.match(result.stderr, /^couponctl: /m);
            }
        });
    }

    it('that hangs up in the middle of an answer is asked again', async (t) => {
        let times = 0;
        const port = await badServer(t, (socket) => {
            socket.on('data', () => {
                times += 1;
                const body = '{"status":"ready"}';
                const whole = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
                socket.end(times < 3 ? whole.slice(0, -5) : whole);
            });
        });
        const result = await new Ctl(t, port).run(['ping']);
        assert.equal(result.status, 0, result.stderr);
        assert.equal(times, 3);
    });

    it('that is busy is asked again, and what it does is done once', async (t) => {
        const keys = [];
        const port = await badServer(t, (socket) => {
            socket.on('data', (data) => {
                keys.push(/idempotency-key: (\S+)/i.exec(data.toString())?.[1]);
                const busy = '{"statusCode":503,"message":"busy","code":"overloaded"}';
                const done = '{"id":1}';
                socket.end(
                    keys.length < 3
                        ? `HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: ${busy.length}\r\n\r\n${busy}`
                        : `HTTP/1.1 201 Created\r\nContent-Length: ${done.length}\r\n\r\n${done}`,
                );
            });
        });
        const result = await new Ctl(t, port).run(['assign', 'A', '--user', 'ann']);
        assert.equal(result.status, 0, result.stderr);
        assert.equal(keys.length, 3);
        assert.ok(keys[0] && keys.every((key) => key === keys[0]), keys.join());
    });
});
