// Runs a command with a PostgreSQL beside it, in which coupond's schema is ready to be copied, and
// ends as it ends:
//
//   node tests/support/with_servers.js node --test tests/race/*.test.js
//
// Starting a PostgreSQL takes seconds, so one serves all tests of a run; each Coupond gets a
// database of its own in it (data.js finds it by COUPOND_TEST_POSTGRES).
import { spawn } from 'node:child_process';
import { startWithTemplate } from './data.js';

const words = process.argv.slice(2);
if (words.length === 0) {
    console.error('usage: with_servers.js command [argument…]');
    process.exit(2);
}
// Each Coupond has a few connections; several files of tests may run at once.
const postgres = await startWithTemplate({ settings: { max_connections: 200 } });
const command = spawn('/usr/bin/setpriv', ['--pdeathsig', 'KILL', '--', ...words], {
    env: {
        ...process.env,
        COUPOND_TEST_POSTGRES: String(postgres.address),
        COUPOND_TEST_POSTGRES_URL: postgres.address.superuserUrl(), // for the tests in C++
    },
    stdio: 'inherit',
});
process.on('exit', () => command.kill('SIGKILL'));
command.on('exit', async (code, signal) => {
    if (!postgres.running) console.error(`PostgreSQL ended by itself\n${postgres.log}`);
    else if (code !== 0) console.error(`PostgreSQL's log:\n${postgres.log.slice(-20_000)}`);
    const ended = postgres.running;
    await postgres.stop();
    if (signal) console.error(`${words[0]} was ended by ${signal}`);
    process.exit(ended ? (code ?? 1) : 1);
});
