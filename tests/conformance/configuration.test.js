// The command line, the environment and .env: what is taken from where, and what is said of bad
// values.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { run } from '../support/coupond.js';
import { freshData } from '../support/data.js';
import { testServer } from '../support/harness.js';
import { openapiDocument } from '../support/openapi.js';
import { temporaryFolder } from '../support/processes.js';

const lines = (text) => text.split('\n').filter((line) => line.trim() !== '');

describe('help and version', () => {
    it('--help names the subcommands', async () => {
        const { code, stdout, stderr } = await run(['--help']);
        assert.equal(code, 0);
        assert.match(stdout, /\bserve\b/);
        assert.match(stdout, /\bmigrate\b/);
        assert.equal(stderr, '');
    });

    it('--help says what the exit status means', async () => {
        for (const words of [['--help'], ['serve', '--help'], ['migrate', '--help']]) {
            assert.match((await run(words)).stdout, /Exit status: 0 .* 1 .*\n?.* 2 /);
        }
    });

    it('serve --help names every flag and its environment variable', async () => {
        const { code, stdout, stderr } = await run(['serve', '--help']);
        assert.equal(code, 0);
        for (const [flag, variable] of [
            ['--host', 'HOST'],
            ['--port', 'PORT'],
            ['--data-dir', 'DATA_DIR'],
            ['--lock-ttl-seconds', 'LOCK_TTL_SECONDS'],
            ['--log-level', 'LOG_LEVEL'],
            ['--log-format', 'LOG_FORMAT'],
        ]) {
            assert.ok(stdout.includes(flag), flag);
            assert.match(stdout, new RegExp(`\\b${variable}\\b`));
        }
        assert.equal(stderr, '');
    });

    it('--version is that of the API', async () => {
        const { code, stdout } = await run(['--version']);
        assert.equal(code, 0);
        assert.ok(stdout.includes(openapiDocument().info.version), stdout);
        assert.equal(lines(stdout).length, 1);
    });
});

describe('bad values', () => {
    // The setting → a value → what the complaint says is allowed.
    const bad = [
        ['PORT', '70000', /65535/],
        ['PORT', '-1', /65535/],
        ['PORT', 'http', /65535/],
        ['PORT', '3000x', /65535/],
        ['LOG_LEVEL', 'loud', /debug.*info.*warn.*error/],
        ['LOG_FORMAT', 'xml', /text.*json|json.*text/],
        ['LOCK_TTL_SECONDS', '0', /\b1\b/],
        ['LOCK_TTL_SECONDS', '-5', /\b1\b/],
        ['LOCK_TTL_SECONDS', 'five', /\b1\b/],
        ['LOCK_TTL_SECONDS', '1.5', /\b1\b/],
    ];
    const flagOf = (name) => `--${name.toLowerCase().replace(/_/g, '-')}`;
    const dataDir = () => ['--data-dir', temporaryFolder()];

    const assertComplaint = ({ code, stdout, stderr }, name, value, allowed) => {
        assert.equal(code, 2, stderr);
        assert.equal(stdout, '');
        assert.equal(lines(stderr).length, 1, stderr);
        assert.ok(stderr.includes(name), stderr);
        assert.ok(stderr.includes(value), stderr);
        assert.match(stderr, allowed);
    };

    for (const [name, value, allowed] of bad) {
        it(`${name}=${value} in the environment is refused by name`, async () => {
            assertComplaint(
                await run(['serve', ...dataDir()], { env: { [name]: value } }),
                name,
                value,
                allowed,
            );
        });

        it(`${flagOf(name)}=${value} is refused by name`, async () => {
            const end = await run(['serve', ...dataDir(), `${flagOf(name)}=${value}`]);
            assertComplaint(end, flagOf(name), value, allowed);
        });
    }

    it('of .env are refused by name', async () => {
        const cwd = temporaryFolder();
        writeFileSync(path.join(cwd, '.env'), 'LOG_LEVEL=loud\n');
        assertComplaint(
            await run(['serve', ...dataDir()], { cwd }),
            'LOG_LEVEL',
            'loud',
            /debug.*info/,
        );
    });

    it('an unknown flag or subcommand is refused by name, with a hint at --help', async () => {
        for (const args of [
            ['serve', '--prot', '3000'],
            ['--nope'],
            ['srve'],
            ['serve', 'extra'],
        ]) {
            const { code, stdout, stderr } = await run(args);
            assert.equal(code, 2, `${args}: ${stderr}`);
            assert.equal(stdout, '');
            assert.ok(stderr.includes(args.find((arg) => arg !== 'serve')), stderr);
            assert.match(stderr, /--help/);
        }
    });

    it('a flag without its value is refused', async () => {
        const { code, stderr } = await run(['serve', '--port']);
        assert.equal(code, 2);
        assert.match(stderr, /--port/);
    });
});

describe('passwords and certificates that would not be used', () => {
    const bad = [
        [{ DATABASE_URL: 'postgresql://h/d', DB_PASSWORD: 's3cret' }, /DB_PASSWORD/],
        [{ DB_HOST: 'h', REDIS_URL: 'redis://h', REDIS_PASSWORD: 's3cret' }, /REDIS_PASSWORD/],
        [{ DB_HOST: 'h', REDIS_HOST: 'h', REDIS_SSLROOTCERT: 'ca' }, /REDIS_SSLROOTCERT/],
        [{ DB_HOST: 'h', REDIS_URL: 'redis://h', REDIS_SSLROOTCERT: 'ca' }, /REDIS_SSLROOTCERT/],
    ];
    for (const [env, pattern] of bad) {
        it(`${Object.keys(env).join(' and ')} are refused`, async () => {
            const { code, stderr } = await run(['serve'], { env });
            assert.equal(code, 2, stderr);
            assert.match(stderr, pattern);
            assert.doesNotMatch(stderr, /s3cret/);
        });
    }
});

describe('where images go, and the queue of jobs', () => {
    const keys = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 's3cret' };
    const aws = { AWS_REGION: 'eu-central-1', ...keys };
    const bucket = { S3_BUCKET: 'coupons', ...aws };
    const queue = { JOB_QUEUE_URL: 'https://sqs.eu-central-1.amazonaws.com/1/jobs', ...keys };
    const without = ({ ...settings }, name) => {
        delete settings[name];
        return settings;
    };
    // What is set, and what the complaint names.
    const bad = [
        [{ S3_ENDPOINT: 'https://minio.internal:9000' }, /S3_ENDPOINT is set but S3_BUCKET is not/],
        [{ ...bucket, QR_DIR: 'images' }, /S3_BUCKET.*QR_DIR/],
        [without(bucket, 'AWS_REGION'), /S3_BUCKET is set but AWS_REGION is not/],
        [without(bucket, 'AWS_ACCESS_KEY_ID'), /S3_BUCKET is set but AWS_ACCESS_KEY_ID is not/],
        [without(bucket, 'AWS_SECRET_ACCESS_KEY'), /S3_BUCKET is set but AWS_SECRET_ACCESS_KEY is not/],
        [{ ...bucket, S3_BUCKET: 'ab' }, /S3_BUCKET.*3 to 63/],
        [{ ...bucket, S3_BUCKET: 'a/b/c' }, /S3_BUCKET.*3 to 63/],
        [{ ...bucket, AWS_REGION: 'EU west' }, /S3_BUCKET.*region must be a name/],
        [{ ...bucket, S3_ENDPOINT: 'minio.internal:9000' }, /S3_BUCKET.*endpoint/],
        [{ ...bucket, S3_ENDPOINT: 'https://s3cret:s3cret@minio.internal' }, /S3_BUCKET.*endpoint/],
        [{ ...bucket, AWS_CA_BUNDLE: '/nowhere.pem' }, /S3_BUCKET.*\/nowhere\.pem/],
        [{ ...bucket, AWS_ACCESS_KEY_ID: 'an id' }, /S3_BUCKET.*access key id/],
        [without(queue, 'AWS_ACCESS_KEY_ID'), /JOB_QUEUE_URL is set but AWS_ACCESS_KEY_ID is not/],
        [without(queue, 'AWS_SECRET_ACCESS_KEY'), /JOB_QUEUE_URL is set but AWS_SECRET_ACCESS_KEY is not/],
        [{ ...queue, JOB_QUEUE_URL: 'jobs' }, /JOB_QUEUE_URL/],
        [{ ...queue, JOB_QUEUE_URL: 'https://s3cret:s3cret@sqs.internal/1/jobs' }, /JOB_QUEUE_URL/],
        [{ ...queue, JOB_QUEUE_URL: 'https://sqs.internal/1/jobs' }, /JOB_QUEUE_URL.*AWS_REGION/],
        [{ ...queue, JOB_QUEUE_URL: 'https://sqs.eu-central-1.amazonaws.com/' }, /JOB_QUEUE_URL.*name/],
        [{ ...queue, AWS_CA_BUNDLE: '/nowhere.pem' }, /JOB_QUEUE_URL.*\/nowhere\.pem/],
    ];
    for (const [env, pattern] of bad) {
        it(`${JSON.stringify(env)} is refused`, async () => {
            const { code, stdout, stderr } = await run(['serve', '--data-dir', temporaryFolder()], { env });
            assert.deepEqual([code, stdout], [2, ''], stderr);
            assert.match(lines(stderr).at(-1), pattern);
            assert.doesNotMatch(stderr, /s3cret/);
        });
    }

    it('what AWS reads alone hinders nobody, nor these whoever draws nothing', async (t) => {
        const env = { ...aws, AWS_CA_BUNDLE: '/nowhere.pem', AWS_SESSION_TOKEN: 'token' };
        const { client } = await testServer(t, { env });
        await client.newBookWith(['AWS-1']);
        for (const subcommand of ['migrate', 'verify', 'export-ledger']) {
            const data = freshData('sqlite');
            data.retain();
            await run(['migrate'], { data });
            const end = await run([subcommand], { data, env: { S3_BUCKET: 'x', JOB_QUEUE_URL: 'x' } });
            assert.equal(end.code, 0, end.stderr);
            await data.release();
        }
    });

    it('may be flags, and are in the help of who draws', async () => {
        const { code, stderr } = await run(['serve', '--s3-bucket=coupons', '--qr-dir=images'], { env: aws });
        assert.equal(code, 2);
        assert.match(stderr, /S3_BUCKET.*QR_DIR/);
        for (const words of ['serve', 'work']) {
            const { stdout } = await run([words, '--help']);
            for (const [flag, variable] of [
                ['--qr-dir', 'QR_DIR'],
                ['--s3-bucket', 'S3_BUCKET'],
                ['--s3-endpoint', 'S3_ENDPOINT'],
                ['--job-queue-url', 'JOB_QUEUE_URL'],
            ]) {
                assert.ok(stdout.includes(flag), flag);
                assert.match(stdout, new RegExp(`\\b${variable}\\b`));
            }
            for (const name of [...Object.keys(aws), 'AWS_SESSION_TOKEN', 'AWS_CA_BUNDLE']) {
                assert.match(stdout, new RegExp(`\\b${name}\\b`));
            }
        }
        assert.ok(!(await run(['verify', '--help'])).stdout.includes('--qr-dir'));
    });
});

describe('precedence', () => {
    /** How many seconds ahead a lock of this server ends. */
    async function lockTtl(t, options) {
        const { client } = await testServer(t, options);
        await client.newBookWith(['X']);
        await client.mustAssign('X', 'ann');
        const before = Date.now();
        const { lockedUntil } = await client.mustLock('X', 'ann');
        return Math.round((Date.parse(lockedUntil) - before) / 1000);
    }

    const folderWithEnv = (text) => {
        const cwd = temporaryFolder();
        writeFileSync(path.join(cwd, '.env'), text);
        return cwd;
    };
    const near = (seconds, expected) =>
        assert.ok(Math.abs(seconds - expected) <= 30, `${seconds} s`);

    it('by default a lock lasts five minutes', async (t) => {
        near(await lockTtl(t, {}), 300);
    });

    it('.env in the working directory sets what nothing else does', async (t) => {
        const cwd = folderWithEnv('# a comment\n\nLOCK_TTL_SECONDS=1000\n');
        near(await lockTtl(t, { cwd }), 1000);
    });

    it('.env may quote and space its values', async (t) => {
        const cwd = folderWithEnv('LOG_LEVEL="warn"\r\n  LOCK_TTL_SECONDS = \'1000\'  \r\n');
        near(await lockTtl(t, { cwd }), 1000);
    });

    it('the environment comes before .env', async (t) => {
        const cwd = folderWithEnv('LOCK_TTL_SECONDS=1000\n');
        near(await lockTtl(t, { cwd, env: { LOCK_TTL_SECONDS: '2000' } }), 2000);
    });

    it('a flag comes before the environment and .env', async (t) => {
        const cwd = folderWithEnv('LOCK_TTL_SECONDS=1000\n');
        near(
            await lockTtl(t, {
                cwd,
                env: { LOCK_TTL_SECONDS: '2000' },
                args: ['--lock-ttl-seconds', '3000'],
            }),
            3000,
        );
    });
});

describe('what cannot be had', () => {
    const serve = async (t, ...flags) => {
        const data = freshData();
        t.after(() => data.remove());
        return run(['serve', ...flags], { data, env: { LOG_LEVEL: 'error' } });
    };

    const assertOneLine = ({ code, signal, stdout, stderr }, pattern) => {
        assert.equal(signal, null);
        assert.equal(code, 1);
        assert.equal(stdout, '');
        assert.equal(lines(stderr).length, 1, stderr);
        assert.match(stderr, pattern);
    };

    it('a port in use', async (t) => {
        const { server } = await testServer(t);
        const end = await serve(t, '--host', '127.0.0.1', '--port', String(server.port));
        assertOneLine(end, new RegExp(`\\b${server.port}\\b`));
        assert.match(end.stderr, /in use/i);
    });

    it('a host that is none of ours', async (t) => {
        assertOneLine(await serve(t, '--host', '192.0.2.1', '--port', '0'), /192\.0\.2\.1/);
    });
});

describe('the log', () => {
    it('is lines of JSON with LOG_FORMAT=json', async (t) => {
        const env = { LOG_FORMAT: 'json', LOG_LEVEL: 'debug' };
        const { server } = await testServer(t, { env });
        await server.stop();
        assert.ok(lines(server.stderr).length > 0);
        for (const line of lines(server.stderr)) {
            assert.equal(typeof JSON.parse(line), 'object', line);
        }
    });

    it('holds no code and no user id', async (t) => {
        const { server, client } = await testServer(t);
        await client.newBookWith(['SECRET-CODE']);
        await client.mustAssign('SECRET-CODE', 'private-user');
        await client.lock('SECRET-CODE', 'private-user');
        await client.redeem('SECRET-CODE', 'private-user');
        await client.redeem('SECRET-CODE', 'private-user');
        const { id } = await client.newBook({ codePattern: 'SECRET-CODE-{6}' });
        await client.mustGenerate(id, 1);
        await client.untilJob((await client.mustBegin(id, 1_000)).id);
        await server.stop();
        assert.doesNotMatch(server.stderr + server.stdout, /SECRET-CODE|private-user/);
    });
});
