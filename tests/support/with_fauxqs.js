// Runs a command with an S3 and an SQS beside it, on loopback, and ends as it ends:
//
//   node tests/support/with_fauxqs.js build/dev/tests/unit_aws
//
// Both are fauxqs, over HTTP and, with a certificate of the tests' own authority, over HTTPS. The
// command finds them by COUPOND_TEST_AWS and COUPOND_TEST_AWS_TLS, and the authority's certificate
// by COUPOND_TEST_AWS_AUTHORITY. There are the bucket `coupons` and the queue `jobs`.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { buildApp } from 'fauxqs';
import { makeCertificates } from './certificates.js';
import { temporaryFolder } from './processes.js';

const words = process.argv.slice(2);
if (words.length === 0) {
    console.error('usage: with_fauxqs.js command [argument…]');
    process.exit(2);
}

/** What is asked over HTTPS, asked of `port` over HTTP. */
function forward(port) {
    return (request, response) => {
        const { method, url, headers } = request;
        const onward = http.request({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
            response.writeHead(answer.statusCode, answer.rawHeaders);
            answer.pipe(response);
        });
        onward.on('error', () => response.destroy());
        request.pipe(onward);
    };
}

// Not by startFauxqs(), which listens on all addresses, and with a store that calls queues by the
// address that they are reached by, not by a name that the machine may not know.
const dist = new URL('../../node_modules/fauxqs/dist/', import.meta.url);
const { SqsStore } = await import(new URL('sqs/sqsStore.js', dist));
const sqsStore = new SqsStore();
sqsStore.host = '';
const fauxqs = buildApp({ logger: false, stores: { sqsStore } });
await fauxqs.listen({ port: 0, host: '127.0.0.1' });
const { port } = fauxqs.server.address();

/** Asks fauxqs for what the command finds there; anything but success throws. */
async function make(method, path, headers = {}, body = undefined) {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, body });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.text();
}
await make('PUT', '/coupons');
await make(
    'POST',
    '/',
    { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'AmazonSQS.CreateQueue' },
    JSON.stringify({ QueueName: 'jobs' }),
);

const { authority, certificate, key } = await makeCertificates(temporaryFolder());
const overTls = https.createServer(
    { key: readFileSync(key), cert: readFileSync(certificate) },
    forward(port),
);
await new Promise((resolve) => overTls.listen(0, '127.0.0.1', resolve));

const command = spawn('/usr/bin/setpriv', ['--pdeathsig', 'KILL', '--', ...words], {
    env: {
        ...process.env,
        COUPOND_TEST_AWS: `http://127.0.0.1:${port}`,
        COUPOND_TEST_AWS_TLS: `https://127.0.0.1:${overTls.address().port}`,
        COUPOND_TEST_AWS_AUTHORITY: authority,
    },
    stdio: 'inherit',
});
process.on('exit', () => command.kill('SIGKILL'));
command.on('exit', (code, signal) => {
    if (signal) console.error(`${words[0]} was ended by ${signal}`);
    process.exit(code ?? 1);
});
