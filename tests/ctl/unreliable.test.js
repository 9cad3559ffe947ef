// couponctl and servers that are not there, hang up, are slow or answer something else.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
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

const json = 'Content-Type: application/json\r\n';

function jsonAnswer(body, more = '') {
    return `HTTP/1.1 200 OK\r\n${json}${more}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

const answers = {
    'is no HTTP': 'hello there\r\n\r\n',
    'is a page of somebody else': 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>',
    'is an error of somebody else':
        'HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found',
    'says it is longer than anything':
        'HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n{',
    'has a header without an end': `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`,
    'is JSON of another kind': jsonAnswer('42'),
    'is an object of somebody else': jsonAnswer('{"x":1}'),
    'is a list of nothing': jsonAnswer('[null]'),
    'is nested without end': jsonAnswer('['.repeat(100_000)),
    'is not UTF-8': jsonAnswer(Buffer.from([0x22, 0xff, 0x22]).toString('latin1')),
    'is not there yet, for ever': 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(1_000),
    'leads elsewhere': 'HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n',
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
            for (const args of [
                ['ping'],
                ['book', 'show', '1'],
                ['book', 'list'],
                ['codes', 'generate', '1', '5'],
                ['redeem', 'A', '--user', 'ann'],
                ['stats'],
                ['user', 'show', 'ann', '--output', 'csv'],
                ['codes', 'export', '1'],
                ['events', '--follow'],
            ]) {
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
                const whole = `HTTP/1.1 200 OK\r\n${json}Content-Length: ${body.length}\r\n\r\n${body}`;
                socket.end(times < 3 ? whole.slice(0, -5) : whole);
            });
        });
        const result = await new Ctl(t, port).run(['ping']);
        assert.equal(result.status, 0, result.stderr);
        assert.equal(times, 3);
    });

    it('that is slow is waited for', async (t) => {
        const port = await badServer(t, (socket) => {
            socket.on('data', () => {
                const answer = jsonAnswer('{"status":"ready"}');
                [...answer].forEach((each, i) => setTimeout(() => socket.write(each), i * 20));
            });
        });
        const { status, stderr } = await new Ctl(t, port).run(['ping']);
        assert.equal(status, 0, stderr);
    });

    it('that is busy behind a change that was lost is told to be in doubt', async (t) => {
        let times = 0;
        const port = await badServer(t, (socket) => {
            socket.on('data', () => {
                times += 1;
                const busy = '{"statusCode":503,"message":"busy","code":"overloaded"}';
                if (times === 1) socket.destroy();
                else {
                    socket.end(
                        `HTTP/1.1 503 Busy\r\nRetry-After: 99\r\n${json}Content-Length: ${busy.length}\r\n\r\n${busy}`,
                    );
                }
            });
        });
        const { status, stderr } = await new Ctl(t, port).run(['assign', 'A', '--user', 'ann']);
        assert.equal(status, 3, stderr);
        assert.match(stderr, /may have been done[^]*--idempotency-key couponctl-/);
    });

    it('that is busy is asked again, and what it does is done once', async (t) => {
        const keys = [];
        const port = await badServer(t, (socket) => {
            socket.on('data', (data) => {
                keys.push(/idempotency-key: (\S+)/i.exec(data.toString())?.[1]);
                const busy = '{"statusCode":503,"message":"busy","code":"overloaded"}';
                const done = '{"code":"A","id":1}';
                socket.end(
                    keys.length < 3
                        ? `HTTP/1.1 503 Busy\r\nRetry-After: 0\r\n${json}Content-Length: ${busy.length}\r\n\r\n${busy}`
                        : `HTTP/1.1 201 Created\r\n${json}Content-Length: ${done.length}\r\n\r\n${done}`,
                );
            });
        });
        const result = await new Ctl(t, port).run(['assign', 'A', '--user', 'ann']);
        assert.equal(result.status, 0, result.stderr);
        assert.equal(keys.length, 3);
        assert.ok(keys[0] && keys.every((key) => key === keys[0]), keys.join());
    });

    it('that answers figures that cannot be is drawn all the same', async (t) => {
        const port = await badServer(t, (socket) => {
            const series = [{ assigned: -50, locked: 1 }, { assigned: 1 }];
            const funnel = [{ status: 'free', codes: -1, rate: 7 }, { codes: 77 }];
            const body = JSON.stringify({ totals: { total: -1 }, series, funnel }).replace('77', '1e999');
            socket.on('data', () => socket.end(jsonAnswer(body.replace('-50', '1e999'))));
        });
        const { status, stderr } = await new Ctl(t, port).run(['stats']);
        assert.equal(status, 0, stderr);
    });

    it('whose list leads to itself is left', async (t) => {
        const port = await badServer(t, (socket) => {
            socket.on('data', (data) => {
                const target = data.toString().split(' ')[1];
                socket.write(jsonAnswer('[]', `Link: </x>; rel="prev", <${target}>; rel="next"\r\n`));
            });
        });
        const { status, stderr } = await new Ctl(t, port).run(['book', 'list']);
        assert.equal(status, 3, stderr);
        assert.match(stderr, /no list/);
    });

    it('that is lost behind a change is told to be in doubt, with the key to say again', async (t) => {
        let times = 0;
        const port = await badServer(t, (socket) => {
            socket.on('data', () => {
                times += 1;
                socket.destroy();
            });
        });
        const ctl = new Ctl(t, port);
        const { status, stderr } = await ctl.run(['redeem', 'A', '--user', 'ann']);
        assert.equal(status, 3, stderr);
        assert.ok(times >= 5, `${times}`);
        assert.match(stderr, /may have been done[^]*--idempotency-key couponctl-\S+ /);
    });

    it('that comes back after a while is waited for', async (t) => {
        const keys = [];
        let server;
        const listen = (port, treat) =>
            new Promise((resolve) => {
                server = createServer((socket) => {
                    socket.on('error', () => {});
                    socket.on('data', (data) => {
                        keys.push(/idempotency-key: (\S+)/i.exec(data.toString())[1]);
                        treat(socket);
                    });
                });
                server.listen(port, '127.0.0.1', () => resolve(server.address().port));
            });
        const port = await listen(0, (socket) => {
            socket.destroy();
            server.close();
        });
        const running = new Ctl(t, port).begin(['assign', 'A', '--user', 'ann', '--idempotency-key', 'mine']);
        while (server.listening) await new Promise((resolve) => setTimeout(resolve, 5));
        await new Promise((resolve) => setTimeout(resolve, 1_500));
        await listen(port, (socket) => socket.end(jsonAnswer('{"code":"A","id":1}')));
        const { status, stderr } = await running.ended;
        server.close();
        assert.equal(status, 0, stderr);
        assert.deepEqual(keys, ['mine', 'mine']);
    });

    it('that refuses an upload before it has come is heard', async (t) => {
        const port = await badServer(t, (socket) => {
            const body = '{"statusCode":404,"message":"No such book","code":"coupon_book_not_found"}';
            socket.once('data', () => {
                socket.pause();
                setTimeout(() => {
                    socket.end(
                        `HTTP/1.1 404 Not Found\r\n${json}Content-Length: ${body.length}\r\n\r\n${body}`,
                    );
                }, 300);
            });
        });
        const ctl = new Ctl(t, port);
        writeFileSync(path.join(ctl.home, 'big.txt'), 'x'.repeat(60).concat('\n').repeat(200_000));
        const { status, stderr } = await ctl.run(['codes', 'upload', '9', 'big.txt']);
        assert.equal(status, 1, stderr);
        assert.match(stderr, /coupon_book_not_found/);
    });
});
