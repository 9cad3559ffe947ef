// An S3 and an SQS on loopback: fauxqs, in this process, over HTTP and, with a certificate of the
// tests' own authority, over HTTPS.
//
//   const aws = await Fauxqs.start()
//   aws.env                       the credentials and the region, as coupond takes them
//   aws.url, aws.urlOverTls       where both are; aws.authority: the certificate to trust
//   aws.makeBucket(name), aws.objects(name): Map of key → {contentType, body}
//   aws.makeQueue(name) → its URL; aws.send(url, body), aws.purge(url),
//   aws.messages(url) → {waiting, received}, bodies of those that may be, and were, received
//   aws.down(), aws.up()          nobody answers; it is there again with what it had
//   aws.stop()
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { buildApp } from 'fauxqs';
import { makeCertificates } from './certificates.js';
import { freePort, temporaryFolder } from './processes.js';

// Its stores have no front door.
const dist = new URL('../../node_modules/fauxqs/dist/', import.meta.url);
const { SqsStore } = await import(new URL('sqs/sqsStore.js', dist));
const { S3Store } = await import(new URL('s3/s3Store.js', dist));

const host = '127.0.0.1';
const secret = 'never+to/be/logged';

/** What is asked over HTTPS, asked of `port` over HTTP. */
function forward(port) {
    return (request, response) => {
        const { method, url, headers } = request;
        const onward = http.request({ host, port, method, path: url, headers }, (answer) => {
            response.writeHead(answer.statusCode, answer.rawHeaders);
            answer.pipe(response);
        });
        onward.on('error', () => response.destroy());
        request.pipe(onward);
    };
}

export class Fauxqs {
    #app;
    #overTls;
    #sqsStore = new SqsStore();
    #s3Store = new S3Store();

    static async start() {
        const fauxqs = new Fauxqs();
        fauxqs.port = await freePort();
        // Queues are called by the address that they are reached by, not by a name that the machine
        // may not know.
        fauxqs.#sqsStore.host = '';
        await fauxqs.up();
        const { authority, certificate, key } = await makeCertificates(temporaryFolder());
        fauxqs.authority = authority;
        fauxqs.#overTls = https.createServer(
            { key: readFileSync(key), cert: readFileSync(certificate) },
            forward(fauxqs.port),
        );
        await new Promise((resolve) => fauxqs.#overTls.listen(0, host, resolve));
        return fauxqs;
    }

    get url() {
        return `http://${host}:${this.port}`;
    }

    get urlOverTls() {
        return `https://${host}:${this.#overTls.address().port}`;
    }

    env = {
        AWS_REGION: 'us-east-1',
        AWS_ACCESS_KEY_ID: 'COUPONDTEST',
        AWS_SECRET_ACCESS_KEY: secret,
    };

    /** What nobody may read in a log. */
    secret = secret;

    /** There is nobody any more. */
    async down() {
        await this.#app.close();
    }

    // Not by startFauxqs(), which listens on all addresses.
    async up() {
        const stores = { sqsStore: this.#sqsStore, s3Store: this.#s3Store };
        this.#app = buildApp({ logger: false, stores });
        await this.#app.listen({ port: this.port, host });
    }

    async stop() {
        this.#sqsStore.shutdown();
        this.#overTls.close();
        this.#overTls.closeAllConnections();
        await this.down();
    }

    async #ask(method, path, headers, body) {
        const answer = await fetch(`${this.url}${path}`, { method, headers, body });
        const text = await answer.text();
        assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
        return text;
    }

    async #askQueue(action, members) {
        const type = 'application/x-amz-json-1.0';
        const headers = { 'content-type': type, 'x-amz-target': `AmazonSQS.${action}` };
        return JSON.parse((await this.#ask('POST', '/', headers, JSON.stringify(members))) || '{}');
    }

    async makeBucket(name) {
        await this.#ask('PUT', `/${name}`);
    }

    /** What is in a bucket, by key. */
    objects(bucket) {
        return this.#s3Store.buckets.get(bucket);
    }

    async makeQueue(name) {
        return (await this.#askQueue('CreateQueue', { QueueName: name })).QueueUrl;
    }

    async send(url, body) {
        await this.#askQueue('SendMessage', { QueueUrl: url, MessageBody: body });
    }

    async purge(url) {
        await this.#askQueue('PurgeQueue', { QueueUrl: url });
    }

    messages(url) {
        const queue = this.#sqsStore.getQueue(url);
        queue.processTimers();
        return {
            waiting: queue.messages.map(({ body }) => body),
            received: [...queue.inflightMessages.values()].map(({ message }) => message.body),
        };
    }
}
