// The Dockerfile: its image is built, and run as Docker would run it.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Client } from '../support/client.js';
import { temporaryFolder } from '../support/processes.js';
import { cannotRun, Container, podman, releaseImage, takeImage, tryPodman } from './podman.js';

/** A container and a client of it, for one test. */
async function testContainer(t, options) {
    const container = await Container.start(options);
    const client = new Client(() => container.port);
    t.after(async () => {
        client.close();
        await container.stop();
    });
    return { container, client };
}

describe('the image', { skip: cannotRun }, () => {
    before(takeImage);
    after(releaseImage);

    it('says how it is to be run', async () => {
        const [{ Config: config }] = JSON.parse(await podman('image', 'inspect', 'coupond'));
        const said = ['User', 'Entrypoint', 'Cmd', 'StopSignal', 'Volumes', 'ExposedPorts'];
        assert.deepEqual(Object.fromEntries(said.map((name) => [name, config[name]])), {
            User: '10001:10001',
            Entrypoint: ['coupond'],
            Cmd: ['serve'],
            StopSignal: 'SIGTERM',
            Volumes: { '/data': {} },
            ExposedPorts: { '3000/tcp': {} },
        });
        const settings = config.Env.filter((setting) => !/^(PATH|container)=/.test(setting));
        assert.deepEqual(settings.sort(), ['DATA_DIR=/data', 'HOST=0.0.0.0', 'PORT=3000']);
    });

    it('holds nothing that only its building needs', async () => {
        const { stdout } = await tryPodman(
            ...['run', '--rm', '--entrypoint', 'sh', 'coupond', '-c'],
            'command -v c++ cmake curl git node npm; ls -d /coupond',
        );
        assert.equal(stdout, '');
    });

    it('serves as a user without rights, is healthy, and ends in order', async (t) => {
        const { container, client } = await testContainer(t);
        const status = await container.exec('cat', '/proc/1/status');
        assert.match(status, /^Uid:\t10001\t10001\t10001\t10001$/m);
        assert.match(status, /^Gid:\t10001\t10001\t10001\t10001$/m);
        assert.match(status, /^CapEff:\t0+$/m);
        assert.equal((await client.get('/health/ready')).status, 200);
        await client.newBookWith(['IMAGE-1']);
        const shown = 'couponctl --server "http://127.0.0.1:$PORT" codes show IMAGE-1';
        assert.match(await container.exec('sh', '-c', shown), /status +free/);
        assert.equal(await container.isHealthy(), true);
        await container.stop();
    });

    it('is not healthy where nobody serves', async (t) => {
        const name = `coupond-test-${process.pid}-idle`;
        const options = ['--detach', '--rm', '--name', name, '--entrypoint', 'sleep'];
        await podman('run', ...options, 'coupond', '600');
        t.after(() => podman('rm', '--force', '--time', '0', name));
        assert.equal((await tryPodman('healthcheck', 'run', name)).code, 1);
    });

    it('keeps what it knows on the volume /data', async (t) => {
        const folder = temporaryFolder({ user: { uid: 10001, gid: 10001 } });
        const options = ['--volume', `${folder}:/data`, '--read-only'];
        const first = await testContainer(t, { options });
        await first.client.newBookWith(['KEPT-1'], { name: 'Kept' });
        await first.container.stop();
        const second = await testContainer(t, { options });
        const [book] = await second.client.allBooks({ codes: true });
        assert.equal(book.name, 'Kept');
        assert.deepEqual(
            book.codes.map(({ code }) => code),
            ['KEPT-1'],
        );
    });
});
