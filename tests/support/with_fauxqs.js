// Runs a command with an S3 and an SQS beside it (fauxqs.js), and ends as it ends:
//
//   node tests/support/with_fauxqs.js build/dev/tests/unit_aws
//
// The command finds them by COUPOND_TEST_AWS and COUPOND_TEST_AWS_TLS, and the authority's
// certificate by COUPOND_TEST_AWS_AUTHORITY. There are the bucket `coupons` and the queue `jobs`.
import { spawn } from 'node:child_process';
import { Fauxqs } from './fauxqs.js';

const words = process.argv.slice(2);
if (words.length === 0) {
    console.error('usage: with_fauxqs.js command [argument…]');
    process.exit(2);
}

const fauxqs = await Fauxqs.start();
await fauxqs.makeBucket('coupons');
await fauxqs.makeQueue('jobs');

const command = spawn('/usr/bin/setpriv', ['--pdeathsig', 'KILL', '--', ...words], {
    env: {
        ...process.env,
        COUPOND_TEST_AWS: fauxqs.url,
        COUPOND_TEST_AWS_TLS: fauxqs.urlOverTls,
        COUPOND_TEST_AWS_AUTHORITY: fauxqs.authority,
    },
    stdio: 'inherit',
});
process.on('exit', () => command.kill('SIGKILL'));
command.on('exit', (code, signal) => {
    if (signal) console.error(`${words[0]} was ended by ${signal}`);
    process.exit(code ?? 1);
});
