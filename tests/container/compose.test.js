// compose.yaml: Compose understands it, what it says fits coupond and its image, and what its
// services run does run, on this machine's PostgreSQL and Redis. (The images of those two cannot be
// had here.)
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client } from '../support/client.js';
import { run } from '../support/coupond.js';
import { outputOf, temporaryFolder } from '../support/processes.js';
import { Postgres } from '../support/postgres.js';
import { isHealthy, RedisService, services, tryCompose, variables } from './compose.js';
import { cannotRun, Container, releaseImage, takeImage } from './podman.js';

const source = (name) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const secrets = {
    POSTGRES_PASSWORD: `it's $0 for #1`,
    REDIS_SERVER_PASSWORD: `it's $1 for #2`,
};

describe('compose.yaml', () => {
    it('has no password of its own, and asks for those that are missing by name', async () => {
        assert.equal((await tryCompose(secrets, 'config', '--quiet')).code, 0);
        for (const name of Object.keys(secrets)) {
            for (const value of [undefined, '']) {
                const env = { ...secrets, [name]: value };
                if (value === undefined) delete env[name];
                const { code, stderr } = await tryCompose(env, 'config', '--quiet');
                assert.notEqual(code, 0);
                assert.match(stderr, new RegExp(`set ${name}`));
            }
        }
    });

    it('takes from the environment what the README tells of', () => {
        const readme = source('README.md');
        for (const name of variables) assert.ok(readme.includes(`\`${name}\``), name);
    });

    it('shares .env with a coupond that is not in a container', async () => {
        const cwd = temporaryFolder();
        const lines = variables.map((name) => `${name}=1`);
        writeFileSync(path.join(cwd, '.env'), `${lines.join('\n')}\n`);
        const { code, stderr } = await run(['migrate'], { cwd });
        assert.equal(code, 0, stderr);
    });

    it('sets nothing that coupond does not know', async () => {
        const { app } = await services(secrets);
        const { stdout: help } = await run([app.command[0], '--help']);
        for (const name of Object.keys(app.environment)) {
            assert.match(help, new RegExp(`\\b${name}\\b`));
        }
        for (const flag of app.command.slice(1)) assert.ok(help.includes(flag), flag);
    });

    it('builds the image it runs, and opens it to this machine only', async () => {
        const { app, ...others } = await services(secrets);
        const root = fileURLToPath(new URL('../..', import.meta.url));
        assert.equal(path.resolve(app.build.context), path.resolve(root));
        assert.equal(app.image, 'coupond');
        assert.deepEqual(app.ports, ['127.0.0.1:3000:3000/tcp']);
        const { app: moved } = await services({ ...secrets, PORT: '8080' });
        assert.deepEqual(moved.ports, ['127.0.0.1:8080:3000/tcp']);
        for (const [name, service] of Object.entries(others)) {
            assert.equal(service.ports, undefined, name);
            assert.deepEqual(app.depends_on[name], { condition: 'service_healthy' });
        }
    });
});

describe('the services of compose.yaml', { skip: cannotRun }, () => {
    let app, redis, postgres, postgresService;
    before(async () => {
        await takeImage();
        const all = await services(secrets);
        app = all.app;
        redis = new RedisService(all.redis);
        postgresService = all.postgres;
        // Debian's PostgreSQL, with what its image makes of its environment.
        const { POSTGRES_USER: user, POSTGRES_DB: database } = postgresService.environment;
        postgres = await Postgres.start();
        await postgres.execute(
            null,
            `ALTER ROLE ${user} PASSWORD '${secrets.POSTGRES_PASSWORD.replaceAll("'", "''")}'`,
        );
        await postgres.execute(null, `CREATE DATABASE ${database} OWNER ${user}`);
    });
    after(async () => {
        await redis?.remove();
        await postgres?.remove();
        releaseImage();
    });

    /** The app as compose.yaml says it, with the other two where they are here. */
    async function startApp(t) {
        const env = {
            ...app.environment,
            DB_HOST: postgres.host,
            DB_PORT: postgres.port,
            REDIS_HOST: redis.host,
            REDIS_PORT: redis.port,
        };
        const options = [
            ...(app.read_only ? ['--read-only'] : []),
            ...app.cap_drop.map((name) => `--cap-drop=${name}`),
            ...app.security_opt.map((option) => `--security-opt=${option}`),
        ];
        const container = await Container.start({ env, options, words: app.command });
        const client = new Client(() => container.port);
        t.after(async () => {
            client.close();
            await container.stop();
        });
        return { container, client };
    }

    it('redis takes its password, and is healthy then only', async () => {
        await redis.start();
        assert.equal(await isHealthy(redis.service, redis.port), true);
        const ping = (password) =>
            outputOf(['redis-cli', '-p', String(redis.port), 'ping'], {
                env: password === undefined ? {} : { REDISCLI_AUTH: password },
            });
        assert.equal(await ping(secrets.REDIS_SERVER_PASSWORD), 'PONG\n');
        assert.match(await ping(), /NOAUTH/);
        const commandLine = readFileSync(`/proc/${redis.pid}/cmdline`, 'utf8');
        assert.match(commandLine, /^redis-server|^\/usr\/bin\/redis-server/);
        assert.ok(!commandLine.includes(secrets.REDIS_SERVER_PASSWORD), commandLine);
        await redis.restart();
        await redis.stop();
        assert.equal(await isHealthy(redis.service, redis.port), false);
        await redis.start();
    });

    it('postgres is healthy while it runs', async () => {
        assert.equal(await isHealthy(postgresService, postgres.port), true);
        await postgres.stop();
        assert.equal(await isHealthy(postgresService, postgres.port), false);
        await postgres.start();
    });

    it('app makes its schema, and keeps coupons in the one and locks in the other', async (t) => {
        const { container, client } = await startApp(t);
        assert.equal(await container.isHealthy(), true);
        await client.newBookWith(['COMPOSE-1']);
        await client.mustAssign('COMPOSE-1', 'ann');
        const keys = async () =>
            outputOf(['redis-cli', '-p', String(redis.port), 'keys', '*'], {
                env: { REDISCLI_AUTH: secrets.REDIS_SERVER_PASSWORD },
            });
        assert.doesNotMatch(await keys(), /COMPOSE-1/);
        await client.mustLock('COMPOSE-1', 'ann');
        assert.match(await keys(), /COMPOSE-1/);
        await client.mustRedeem('COMPOSE-1', 'ann');
        await container.stop();

        const again = await startApp(t);
        const [{ counts }] = await again.client.allBooks();
        assert.equal(counts.redeemed, 1);
    });

    it('app is not healthy without its database, and by itself again with it', async (t) => {
        const { container } = await startApp(t);
        await postgres.stop();
        assert.equal(await container.isHealthy(), false);
        await postgres.start();
        for (const deadline = Date.now() + 60_000; !(await container.isHealthy()); ) {
            assert.ok(Date.now() < deadline, container.output);
        }
    });
});
